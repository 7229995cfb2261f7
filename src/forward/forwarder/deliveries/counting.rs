//! Sends our counters along with deliveries.

use bytes::BytesMut;
use rusqlite::Connection;
use tokio::time::Instant;

use super::Deliveries;
use crate::credential::{Headers, Unavailable};
use crate::forward::answer::Outcome;
use crate::forward::counters;
use crate::forward::forwarder::link::{Link, now};
use crate::otlp::{Signal, halve};
use crate::store::deliveries::Delivery;
use crate::store::{self, intake};

impl Deliveries {
    /// Sends a request, with our counters if possible. Returns its outcome, and whether the counters went along.
    pub(super) async fn attempt(&mut self, link: &mut Link, delivery: &Delivery, headers: Headers) -> (Outcome, bool) {
        let Some(counted) = self.with_counters(link, delivery).await else {
            return (self.send(link, delivery, headers).await, false);
        };
        match self.send(link, &counted, headers).await {
            // The program's data must not be rejected because of our own counters.
            Outcome::Refused { .. } | Outcome::TooLarge { .. } => {
                let outcome = match link.headers().await {
                    Ok(headers) => self.send(link, delivery, headers).await,
                    Err(Unavailable { reason, .. }) => Outcome::Unauthorized { reason },
                };
                if matches!(outcome, Outcome::Delivered { .. }) {
                    link.resource = None;
                }
                (outcome, false)
            }
            outcome => (outcome, true),
        }
    }

    /// Sends a request. A request that is larger on the wire than one that was too large before is not sent if it can
    /// be split instead.
    async fn send(&mut self, link: &mut Link, delivery: &Delivery, headers: Headers) -> Outcome {
        let outcome = match link.encode(delivery).await {
            Ok(encoded) if self.gathering.is_too_large(encoded.size(), Instant::now()) && can_be_parted(delivery) => {
                Err(Outcome::TooLarge { reason: "larger than what was too large before".to_owned() })
            }
            other => other,
        };
        let outcome = match outcome {
            Ok(encoded) => {
                let outcome = link.send_encoded(&encoded, headers).await;
                if matches!(outcome, Outcome::TooLarge { .. }) {
                    self.gathering.too_large(encoded.size(), Instant::now());
                }
                outcome
            }
            Err(outcome) => {
                link.credentials.undecided(&headers);
                outcome
            }
        };
        if matches!(outcome, Outcome::TooLarge { .. }) {
            self.gathering.smaller_than(delivery.body.len());
        }
        outcome
    }

    /// The same request followed by our counters, if any are pending.
    async fn with_counters(&self, link: &Link, delivery: &Delivery) -> Option<Delivery> {
        // For a destination of totals, the counters are part of the totals.
        let is_beside = delivery.signal == Signal::Metrics && !self.route.is_cumulative;
        let resource = link.resource.as_ref().filter(|_| is_beside)?;
        let (reporter, source) = (self.reporter()?.clone(), self.source.clone());
        let destination = reporter.destination.clone();
        let claim = move |connection: &Connection| {
            // Received records are counted before their outcome.
            intake::count(connection, &source, &reporter.session, now())?;
            store::counters::claim(connection, &reporter)
        };
        let pending = link.store.commit(claim).await.ok()?;
        let counters = counters::request(&pending, &destination, resource, now());
        if counters.is_empty() {
            return None;
        }
        let mut body = BytesMut::with_capacity(delivery.body.len() + counters.len());
        body.extend_from_slice(&delivery.body);
        body.extend_from_slice(&counters);
        Some(Delivery { parts: Vec::new(), body: body.freeze(), ..*delivery })
    }
}

/// Whether a request has more than one record. One with our counters is sent, so that it can be sent again without
/// them.
fn can_be_parted(delivery: &Delivery) -> bool {
    match &delivery.parts[..] {
        [] => false,
        [_] => matches!(halve(delivery.signal, &delivery.body), Ok(Some(_))),
        _ => true,
    }
}
