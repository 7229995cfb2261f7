//! Sending a request: with which credentials, and with our counters beside it.

use bytes::BytesMut;

use super::{Forwarder, now};
use crate::credential::{Headers, Unavailable};
use crate::forward::answer::Outcome;
use crate::forward::counters;
use crate::otlp::Signal;
use crate::store::deliveries::Delivery;
use crate::store::tally;

impl Forwarder {
    /// Sends a request, if it may be with our counters, and says what became of it and of these.
    pub(super) async fn attempt(&mut self, delivery: &Delivery, headers: Headers) -> (Outcome, bool) {
        let Some(counted) = self.with_counters(delivery).await else {
            return (self.send(delivery, headers).await, false);
        };
        match self.send(&counted, headers).await {
            // Ours must not be what somebody else's data is given up for.
            Outcome::Refused { .. } | Outcome::TooLarge { .. } => {
                let outcome = match self.headers().await {
                    Ok(headers) => self.send(delivery, headers).await,
                    Err(Unavailable { reason, .. }) => Outcome::Unauthorized { reason },
                };
                if matches!(outcome, Outcome::Delivered { .. }) {
                    self.resource = None;
                }
                (outcome, false)
            }
            outcome => (outcome, true),
        }
    }

    /// The same request with our counters behind it, if there are any to be told.
    async fn with_counters(&self, delivery: &Delivery) -> Option<Delivery> {
        // Where totals are sent they are among these.
        let is_beside = delivery.signal == Signal::Metrics && self.totals.is_none();
        let resource = self.resource.as_ref().filter(|_| is_beside)?;
        let teller = self.recipients.first()?.clone();
        let destination = teller.destination.clone();
        let tallies = self.store.commit(move |connection| tally::claim(connection, &teller)).await.ok()?;
        let counters = counters::request(&tallies, &destination, resource, now());
        if counters.is_empty() {
            return None;
        }
        let mut body = BytesMut::with_capacity(delivery.body.len() + counters.len());
        body.extend_from_slice(&delivery.body);
        body.extend_from_slice(&counters);
        Some(Delivery { signal: delivery.signal, parts: Vec::new(), body: body.freeze() })
    }

    /// The headers for the next request. What was fetched until then is no news any more.
    pub(super) async fn headers(&mut self) -> Result<Headers, Unavailable> {
        self.fetches.mark_unchanged();
        let headers = self.credentials.headers().await;
        if headers.is_ok() {
            // What was waited for is there: a pause from here on is for another reason.
            self.fetches.mark_unchanged();
        }
        headers
    }

    /// Sends a request; once more if its credentials are not accepted and there are others.
    pub(super) async fn send(&mut self, delivery: &Delivery, mut headers: Headers) -> Outcome {
        let mut is_first = true;
        loop {
            let outcome = match &self.transport {
                Ok(transport) => transport.send(delivery.signal, delivery.body.clone(), &headers.value).await,
                Err(reason) => Outcome::Held { reason: reason.clone(), retry_after: None },
            };
            match &outcome {
                Outcome::Unauthorized { reason } if self.credentials.refused(&headers, reason) && is_first => {}
                Outcome::Unauthorized { .. } => return outcome,
                Outcome::Delivered { .. } => {
                    self.credentials.accepted(&headers);
                    return outcome;
                }
                _ => {
                    self.credentials.undecided(&headers);
                    return outcome;
                }
            }
            headers = match self.headers().await {
                Ok(headers) => headers,
                Err(Unavailable { reason, .. }) => return Outcome::Unauthorized { reason },
            };
            is_first = false;
        }
    }
}
