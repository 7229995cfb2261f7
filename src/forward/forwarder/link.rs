//! The link to one destination: transport, credentials and back-off.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::watch;

use crate::client::{Proxies, Tls};
use crate::credential::{Credentials, Headers, Unavailable};
use crate::forward::answer::Outcome;
use crate::forward::journal::Journal;
use crate::forward::transport::{Encoded, Transport};
use crate::profile::{Destination, Protocol};
use crate::state::backoff::{Backoff, later};
use crate::state::clock::Ages;
use crate::store::deliveries::Delivery;
use crate::store::failure::Failure;
use crate::store::{self, Store, StoreError};

/// How long to wait for another process's attempt beyond the time of the attempt itself: time to fetch credentials
/// again and to record the outcome.
const ATTEMPT_OVERHEAD: Duration = Duration::from_secs(30);

/// The longest attempt that is allowed for.
const LONGEST_ATTEMPT: Duration = Duration::from_mins(10);

/// How long to wait for credentials that do not say when to look again.
const WITHOUT_CREDENTIALS: Duration = Duration::from_secs(30);

/// How long to wait after a refusal of the credentials before asking them again.
pub(super) const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// One destination, as both machines use it.
#[derive(Debug)]
pub(super) struct Link {
    /// The key of the destination's back-off.
    pub(super) fingerprint: Vec<u8>,
    /// How to send, or why nothing can be sent.
    transport: Result<Transport, String>,
    pub(super) credentials: Credentials,
    /// Reports fetches that have ended since the credentials were last read.
    pub(super) fetches: watch::Receiver<()>,
    pub(super) store: Store,
    /// How long an attempt may take.
    attempt: Duration,
    pub(super) is_grpc: bool,
    pub(super) journal: Journal,
    /// The clock that judges ages.
    pub(super) ages: Ages,
    /// The resource for counters about the destination's data; `None` if the destination gets no counters.
    pub(super) resource: Option<Arc<BTreeMap<String, String>>>,
}

/// Why there are no credentials for a request, and when to look again.
pub(super) struct WithoutCredentials {
    pub(super) failure: Failure,
    pub(super) pause: Duration,
}

impl Link {
    pub(super) fn new(
        fingerprint: &[u8],
        destination: &Destination,
        proxies: &Proxies,
        credentials: Credentials,
        store: Store,
    ) -> Self {
        let transport = Transport::new(destination).map_err(|error| error.to_string());
        Self {
            fingerprint: backoff_key(fingerprint, &destination.tls),
            transport: transport.map(|transport| transport.through(proxies)),
            fetches: credentials.fetches(),
            credentials,
            store,
            attempt: (destination.timeout.saturating_mul(2) + ATTEMPT_OVERHEAD).min(LONGEST_ATTEMPT),
            is_grpc: destination.protocol == Protocol::Grpc,
            journal: Journal::default(),
            ages: Ages::default(),
            resource: None,
        }
    }

    /// The same, with this clock to judge ages.
    pub(super) fn aging(self, ages: &Ages) -> Self {
        let transport = self.transport.map(|transport| transport.hearing(ages));
        Self { transport, ages: ages.clone(), ..self }
    }

    /// The headers for the next request, or how long to pause without credentials. Both are written to the journal.
    pub(super) async fn headers_or_pause(&mut self) -> Result<Headers, WithoutCredentials> {
        self.headers().await.map_err(|Unavailable { reason, again, next_try }| {
            // A fetch in progress is not a change.
            if !self.credentials.is_fetching() {
                self.journal.without_credentials(&reason);
            }
            let pause = again.unwrap_or(WITHOUT_CREDENTIALS);
            WithoutCredentials { failure: Failure { reason, next_try: next_try.or(Some(later(now(), pause))) }, pause }
        })
    }

    /// The headers for the next request. Fetches that have ended before this call are not reported again.
    pub(super) async fn headers(&mut self) -> Result<Headers, Unavailable> {
        self.fetches.mark_unchanged();
        let headers = self.credentials.headers().await;
        if headers.is_ok() {
            // The credentials that were waited for have arrived: a pause from here on has another reason.
            self.fetches.mark_unchanged();
        }
        headers
    }

    /// Until when other processes wait for an attempt that begins now, in Unix milliseconds.
    pub(super) fn attempt_until(&self) -> i64 {
        later(now(), self.attempt)
    }

    /// Claims the next attempt at a failing destination; returns false if another session was faster.
    pub(super) async fn claim(&self, backoff: Backoff) -> Result<bool, StoreError> {
        let (fingerprint, until) = (self.fingerprint.clone(), self.attempt_until());
        self.store
            .commit(move |connection: &Connection| store::backoff::claim(connection, &fingerprint, backoff, until))
            .await
    }

    /// The destination answers, but needs a different request: its back-off no longer applies.
    pub(super) async fn answered(&self, made: Option<Backoff>) -> Result<(), StoreError> {
        if made.is_some() {
            let fingerprint = self.fingerprint.clone();
            self.store.commit(move |connection| store::backoff::clear(connection, &fingerprint)).await?;
        }
        Ok(())
    }

    /// A request as it goes over the wire, or the reason why it cannot be encoded.
    pub(super) async fn encode(&self, delivery: &Delivery) -> Result<Encoded, Outcome> {
        match &self.transport {
            Ok(transport) => transport.encode(delivery.signal, delivery.body.clone()).await,
            Err(reason) => Err(Outcome::Held { reason: reason.clone(), retry_after: None }),
        }
    }

    /// Sends a request. If its credentials are not accepted and others are available, sends it once more.
    pub(super) async fn send(&mut self, delivery: &Delivery, headers: Headers) -> Outcome {
        match self.encode(delivery).await {
            Ok(encoded) => self.send_encoded(&encoded, headers).await,
            Err(outcome) => {
                self.credentials.undecided(&headers);
                outcome
            }
        }
    }

    /// The same for an encoded request.
    pub(super) async fn send_encoded(&mut self, encoded: &Encoded, mut headers: Headers) -> Outcome {
        let mut is_first = true;
        loop {
            let outcome = match &self.transport {
                Ok(transport) => transport.send_encoded(encoded, &headers.value).await,
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

/// The key of a destination's back-off. The trusted authorities do not affect whose data may be delivered, but a
/// process that does not trust the destination must not delay those that do.
fn backoff_key(fingerprint: &[u8], tls: &Tls) -> Vec<u8> {
    let ca = tls.ca.iter().flat_map(|path| path.as_os_str().as_encoded_bytes());
    let name = tls.server_name.iter().flat_map(|name| [0].iter().chain(name.as_bytes()));
    fingerprint.iter().chain(ca).chain(name).copied().collect()
}

/// The current time in Unix milliseconds.
#[expect(clippy::disallowed_methods, reason = "the moment at which it happens, in a process that lives for days")]
pub(super) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}
