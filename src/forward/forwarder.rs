//! The forwarder of one destination: takes what waits in turn, sends it, and has it noted what became of it.

mod noting;
mod sending;
mod totals;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::backoff::{self, Backoff, Verdict};
use super::gathering::Gathering;
use super::journal::Journal;
use super::totals::Totals;
use super::transport::Transport;
use crate::client::Proxies;
use crate::credential::{Credentials, Unavailable};
use crate::log::Log;
use crate::otlp::Signal;
use crate::profile::{Destination, Protocol, Tls};
use crate::random;
use crate::store::backoff::Trouble;
use crate::store::batches::Recipient;
use crate::store::deliveries::{self, Delivery, Request, Which};
use crate::store::{self, Store, StoreError};
use crate::surroundings::Places;

/// How long somebody else's attempt is waited for, beyond what the attempt itself may take: for credentials that are
/// fetched anew, and for the note of what became of it.
const ATTEMPT_OVERHEAD: Duration = Duration::from_secs(30);

/// The most that an attempt counts for.
const LONGEST_ATTEMPT: Duration = Duration::from_mins(10);

/// How long to wait for credentials that do not say themselves when to look again.
const WITHOUT_CREDENTIALS: Duration = Duration::from_secs(30);

/// How long to wait after credentials were refused, before they are asked what to do.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// How long credentials may take where nobody is there to wait for them any longer.
const FETCHED_WITHIN: Duration = Duration::from_mins(1);

/// Delivers to one destination.
#[derive(Debug)]
pub struct Forwarder {
    /// Whose data it delivers: the session's, or that of several which have ended. All of one destination.
    recipients: Arc<[Recipient]>,
    /// Under which the destination's trouble is known.
    fingerprint: Vec<u8>,
    /// What it delivers, if not everything.
    signals: Option<Arc<[Signal]>>,
    /// How to send, or why nothing can be sent.
    transport: Result<Transport, String>,
    credentials: Credentials,
    /// Tells of fetches that have ended since the credentials were asked last.
    fetches: watch::Receiver<()>,
    store: Store,
    /// How long what has come waits for more.
    batch: Duration,
    /// How long an attempt may take.
    attempt: Duration,
    is_grpc: bool,
    gathering: Gathering,
    /// Whether the last request passed: one that then fails does so on its own account.
    passed: bool,
    /// For failures of the store.
    backoff: Backoff,
    put_off: PutOff,
    /// The resource under which the destination is told of what became of its data; not at all if there is none.
    resource: Option<BTreeMap<String, String>>,
    /// What the destination has and the store could not note yet.
    receipt: Option<Receipt>,
    journal: Journal,
    /// What becomes of deltas where the destination wants totals.
    totals: Option<Totals>,
    /// Whether the session lives whose data it delivers, or has just ended; nothing where that is long over.
    lives: Option<bool>,
}

/// The pace of what was put off for the sake of others.
#[derive(Debug, Default)]
struct PutOff {
    backoff: Backoff,
    until: Option<Instant>,
}

/// That the destination has a request.
#[derive(Clone, Debug)]
struct Receipt {
    delivery: Delivery,
    /// How many records of it the destination did not want.
    rejected: u64,
    message: Option<String>,
    /// Whether it was told our counters.
    told: bool,
}

/// What is next.
enum Next {
    Nothing,
    Wait(Duration),
    Send { delivery: Delivery, made: Option<Trouble> },
}

/// What came of a step.
enum Step {
    Sent,
    Empty,
    Failed(Duration),
}

impl Forwarder {
    /// A forwarder to `destination` of what waits for these recipients; it does nothing until it runs.
    pub fn new(
        recipients: Vec<Recipient>,
        destination: &Destination,
        proxies: &Proxies,
        credentials: Credentials,
        store: Store,
    ) -> Self {
        let transport = Transport::new(destination).map_err(|error| error.to_string());
        let fingerprint = recipients.first().map(|recipient| recipient.fingerprint.as_slice()).unwrap_or_default();
        Self {
            fingerprint: trouble_key(fingerprint, &destination.tls),
            recipients: recipients.into(),
            signals: None,
            transport: transport.map(|transport| transport.through(proxies)),
            fetches: credentials.fetches(),
            credentials,
            store,
            batch: destination.batch,
            attempt: (destination.timeout.saturating_mul(2) + ATTEMPT_OVERHEAD).min(LONGEST_ATTEMPT),
            is_grpc: destination.protocol == Protocol::Grpc,
            gathering: Gathering::default(),
            passed: false,
            backoff: Backoff::default(),
            put_off: PutOff::default(),
            resource: None,
            receipt: None,
            journal: Journal::default(),
            totals: None,
            lives: None,
        }
    }

    /// The same, with totals in place of deltas if that is what `destination` wants: those of the profile of that name,
    /// and of the destination's own fingerprint.
    #[must_use]
    pub fn totalling(self, places: &Places, profile: &str, destination: &Destination, fingerprint: &[u8]) -> Self {
        Self { totals: Totals::of(places, profile, destination, fingerprint), ..self }
    }

    /// The same, for a destination that is not the one which the deliveries remember: of the signals that it wants, and
    /// by its own fingerprint.
    #[must_use]
    pub fn instead(self, fingerprint: Vec<u8>, signals: impl IntoIterator<Item = Signal>) -> Self {
        Self { fingerprint, signals: Some(signals.into_iter().collect()), ..self }
    }

    /// The same, with our own counters beside the metrics that it delivers, under a resource with these attributes.
    #[must_use]
    pub fn telling(self, resource: BTreeMap<String, String>) -> Self {
        Self { resource: Some(resource), ..self }
    }

    /// The same, with a log in which it says when deliveries begin to be held, and when they pass again.
    #[must_use]
    pub fn noting(self, log: Log) -> Self {
        let destination = self.recipients.first().map(|recipient| recipient.destination.as_str());
        Self { journal: Journal::of(log, destination.unwrap_or_default()), ..self }
    }

    /// Runs until the session has ended and nothing waits any longer. `wake` says that something new waits; when
    /// `ended` says that the session is over, what waits is tried once more at once, whatever is known against the
    /// destination.
    pub async fn run(mut self, mut ended: watch::Receiver<bool>, wake: Arc<Notify>) {
        let mut last_try = true;
        loop {
            let over = *ended.borrow_and_update();
            let urgent = over && last_try;
            self.lives = Some(!over);
            forget(&wake).await;
            match self.step(urgent).await {
                Ok(Step::Sent) => {}
                Ok(Step::Empty) if over => return,
                Ok(Step::Empty) => {
                    let repeat = self.until_repeat().await;
                    let is_time = async {
                        match repeat {
                            Some(rest) => tokio::time::sleep(rest).await,
                            None => std::future::pending().await,
                        }
                    };
                    let is_woken = tokio::select! {
                        () = wake.notified() => true,
                        _ = ended.changed() => false,
                        () = is_time => false,
                    };
                    if is_woken {
                        drop(timeout(self.batch, ended.changed()).await);
                    }
                }
                failed => {
                    last_try &= !urgent;
                    let pause = match failed {
                        Ok(Step::Failed(pause)) => pause,
                        _ => self.backoff.after_failure(random::jitter()),
                    };
                    let rest = async {
                        if over { tokio::time::sleep(pause).await } else { drop(timeout(pause, ended.changed()).await) }
                    };
                    tokio::select! {
                        () = rest => {}
                        // What was waited for may be there.
                        _ = self.fetches.changed() => {}
                    }
                }
            }
        }
    }

    /// Delivers what waits, as far as the first failure. An `urgent` one tries whatever is known against the
    /// destination. Credentials that are being fetched are waited for.
    pub async fn run_once(mut self, urgent: bool) {
        loop {
            match self.step(urgent).await {
                Ok(Step::Sent) => {}
                Ok(Step::Failed(_)) if self.credentials.is_fetching() => {
                    if timeout(FETCHED_WITHIN, self.fetches.changed()).await.is_err() {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    /// Takes the request whose turn it is as far as it gets. Nobody rests who keeps others from sending.
    async fn step(&mut self, urgent: bool) -> Result<Step, StoreError> {
        let step = self.step_on(urgent).await;
        if !matches!(step, Ok(Step::Sent))
            && let Some(totals) = &mut self.totals
        {
            totals.abandon();
        }
        step
    }

    async fn step_on(&mut self, urgent: bool) -> Result<Step, StoreError> {
        if let Some(receipt) = self.receipt.clone() {
            return self.note(receipt).await;
        }
        self.fold().await?;
        let (delivery, made) = match self.next(urgent).await? {
            Next::Nothing => return self.tell(urgent).await,
            Next::Wait(pause) => {
                // What was put off for the sake of others holds up no totals.
                let step = self.tell(urgent).await?;
                return Ok(if matches!(step, Step::Empty) { Step::Failed(pause) } else { step });
            }
            Next::Send { delivery, made } => (delivery, made),
        };
        if self.gathering.is_too_large(delivery.body.len()) && delivery.parts.len() == 1 {
            return self.split(delivery, "larger than what was too large before".to_owned(), made).await;
        }
        let headers = match self.headers().await {
            Ok(headers) => headers,
            Err(Unavailable { reason, again }) => {
                // What is on its way is no news.
                if !self.credentials.is_fetching() {
                    self.journal.without_credentials(&reason);
                }
                return self.wait(delivery, reason, again.unwrap_or(WITHOUT_CREDENTIALS)).await;
            }
        };
        if !urgent && let Some(trouble) = made {
            let (fingerprint, until) = (self.fingerprint.clone(), backoff::later(now(), self.attempt));
            let claim = move |connection: &Connection| store::backoff::claim(connection, &fingerprint, trouble, until);
            if !self.store.commit(claim).await? {
                // Somebody else was faster.
                self.credentials.undecided(&headers);
                return Ok(Step::Failed(Duration::from_millis(100)));
            }
        }
        let (outcome, told) = self.attempt(&delivery, headers).await;
        self.settle(delivery, outcome, told, made).await
    }

    /// What is to be sent next, if anything may be.
    async fn next(&self, urgent: bool) -> Result<Next, StoreError> {
        let (recipients, fingerprint) = (Arc::clone(&self.recipients), self.fingerprint.clone());
        let (bytes, batches) = (self.gathering.bytes(), self.gathering.batches());
        let signals = self.signals.clone();
        let without_deltas = self.totals.is_some();
        let put_off_for = self.put_off.until.map(|until| until.saturating_duration_since(Instant::now()));
        let look = move |connection: &Connection| {
            let which = Which { signals: signals.as_deref(), without_deltas, ..Which::in_turn(bytes, batches) };
            let in_turn = deliveries::next(connection, &recipients, which)?;
            let is_in_turn = in_turn.is_some();
            // One at a time: most of what was put off together may be without fault.
            let found = match in_turn {
                Some(found) => Some(found),
                None => deliveries::next(connection, &recipients, Which { put_off: true, batches: 1, ..which })?,
            };
            let Some(found) = found else { return Ok(Next::Nothing) };
            let made = store::backoff::find(connection, &fingerprint)?;
            if !urgent && let Verdict::Wait(pause) = backoff::verdict(made, now()) {
                return Ok(Next::Wait(pause));
            }
            if let Some(pause) = put_off_for.filter(|pause| !is_in_turn && !urgent && !pause.is_zero()) {
                return Ok(Next::Wait(pause));
            }
            let found = if made.is_some() { least_tried(connection, &recipients, which, found)? } else { found };
            let delivery = found.load(connection)?;
            Ok(if delivery.parts.is_empty() { Next::Nothing } else { Next::Send { delivery, made } })
        };
        self.store.read(look).await
    }
}

/// Under which a destination's trouble is known: whom it is trusted by is no matter of whose data it may have, but who
/// does not trust it must not keep it from those who do.
fn trouble_key(fingerprint: &[u8], tls: &Tls) -> Vec<u8> {
    let ca = tls.ca.iter().flat_map(|path| path.as_os_str().as_encoded_bytes());
    let name = tls.server_name.iter().flat_map(|name| [0].iter().chain(name.as_bytes()));
    fingerprint.iter().chain(ca).chain(name).copied().collect()
}

/// The request of those found and those behind it that failed less often: what is sent to find out whether the
/// destination is well must not always be the same, for that may be what it does not like.
fn least_tried(
    connection: &Connection,
    recipients: &[Recipient],
    which: Which<'_>,
    found: Request,
) -> rusqlite::Result<Request> {
    let attempts = |request: &Request| request.parts.first().map_or(0, |part| part.attempts);
    if attempts(&found) == 0 {
        return Ok(found);
    }
    let after = found.parts.last();
    let other = deliveries::next(connection, recipients, Which { after, ..which })?;
    Ok(other.filter(|other| attempts(other) < attempts(&found)).unwrap_or(found))
}

/// Takes a wake-up that was meant for what is looked at now, so that it ends no later rest.
async fn forget(wake: &Notify) {
    tokio::select! {
        biased;
        () = wake.notified() => {}
        () = std::future::ready(()) => {}
    }
}

/// In Unix milliseconds.
fn now() -> i64 {
    Timestamp::now().as_millisecond()
}
