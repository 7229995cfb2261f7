//! One recipient's forwarder: takes what waits in turn, sends it, and notes what became of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::answer::Outcome;
use super::backoff::Backoff;
use super::proxy::Proxies;
use super::transport::Transport;
use crate::credential::{Credentials, Unavailable};
use crate::profile::Destination;
use crate::store::batches::{self, Delivery, Recipient};
use crate::store::{Store, StoreError, sessions};

/// How long credentials may take where nobody is there to wait for them any longer.
const FETCHED_WITHIN: Duration = Duration::from_mins(1);

/// Delivers to one recipient.
#[derive(Debug)]
pub struct Forwarder {
    recipient: Recipient,
    /// How to send, or why nothing can be sent.
    transport: Result<Transport, String>,
    credentials: Credentials,
    /// Tells of fetches that have ended since the credentials were asked last.
    fetches: watch::Receiver<()>,
    store: Store,
    backoff: Backoff,
    /// What the recipient has and the store could not note yet.
    receipt: Option<Receipt>,
}

/// That a recipient has a batch.
#[derive(Clone, Debug)]
struct Receipt {
    batch: i64,
    /// How many records of it the recipient did not want.
    rejected: u64,
    message: Option<String>,
}

impl Forwarder {
    /// A forwarder; it does nothing until it runs.
    pub fn new(
        recipient: Recipient,
        destination: &Destination,
        proxies: &Proxies,
        credentials: Credentials,
        store: Store,
    ) -> Self {
        let transport = Transport::new(destination).map_err(|error| error.to_string());
        let transport = transport.map(|transport| transport.through(proxies));
        let fetches = credentials.fetches();
        Self { recipient, transport, credentials, fetches, store, backoff: Backoff::default(), receipt: None }
    }

    /// Runs until the session has ended and nothing waits any longer. `wake` says that something new waits; when
    /// `ended` says that the session is over, what waits is tried once more at once.
    pub async fn run(mut self, mut ended: watch::Receiver<bool>, wake: Arc<Notify>) {
        loop {
            let pause = match self.step().await {
                Ok(Step::Sent) => continue,
                Ok(Step::Empty) if *ended.borrow() => return,
                Ok(Step::Empty) => None,
                Ok(Step::Failed(asked)) => Some(self.backoff.after_failure(asked)),
                Err(_) => Some(self.backoff.after_failure(None)),
            };
            let is_pause = pause.is_some();
            tokio::select! {
                () = rest(pause, &mut ended, &wake) => {}
                // What was waited for may be there.
                _ = self.fetches.changed(), if is_pause => {}
            }
        }
    }

    /// Delivers what waits, as far as the first failure. Credentials that are being fetched are waited for.
    pub async fn run_once(mut self) {
        loop {
            match self.step().await {
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

    /// Takes the batch whose turn it is as far as it gets.
    async fn step(&mut self) -> Result<Step, StoreError> {
        if let Some(receipt) = self.receipt.clone() {
            return self.note(receipt).await;
        }
        let recipient = self.recipient.clone();
        let Some(delivery) = self.store.commit(move |connection| batches::next(connection, &recipient)).await? else {
            return Ok(Step::Empty);
        };
        match self.send(&delivery).await {
            Outcome::Delivered { rejected, message } => {
                let receipt = Receipt { batch: delivery.batch, rejected, message };
                // Where the disk is full for a day, the recipient must not be given the same sums all day.
                self.receipt = Some(receipt.clone());
                self.note(receipt).await
            }
            Outcome::Refused { reason } | Outcome::TooLarge { reason } => self.give_up(delivery, reason).await,
            Outcome::Unauthorized { reason } => self.hold(&delivery, reason, None, true).await,
            Outcome::Held { reason, retry_after } => self.hold(&delivery, reason, retry_after, false).await,
        }
    }

    /// Sends a batch; once more if its credentials are not accepted and there are others.
    async fn send(&mut self, delivery: &Delivery) -> Outcome {
        let transport = match &self.transport {
            Ok(transport) => transport,
            Err(reason) => return Outcome::Held { reason: reason.clone(), retry_after: None },
        };
        let mut is_first = true;
        loop {
            self.fetches.mark_unchanged();
            let headers = match self.credentials.headers().await {
                Ok(headers) => headers,
                Err(Unavailable { reason, again }) => return Outcome::Held { reason, retry_after: again },
            };
            // What was waited for is there: a pause from here on is for another reason.
            self.fetches.mark_unchanged();
            let outcome = transport.send(delivery.signal, delivery.body.clone(), &headers.value).await;
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
            is_first = false;
        }
    }

    /// Notes a delivery. One that cannot be noted is kept in mind, and noted before anything else is sent.
    async fn note(&mut self, receipt: Receipt) -> Result<Step, StoreError> {
        let recipient = self.recipient.clone();
        let committed = self.store.commit(move |connection| {
            let Receipt { batch, rejected, message } = receipt;
            if rejected > 0 || message.is_some() {
                sessions::count_rejected(connection, &recipient.session, rejected, message.as_deref())?;
            }
            batches::delivered(connection, &recipient, batch)
        });
        committed.await?;
        self.receipt = None;
        self.backoff.after_success();
        Ok(Step::Sent)
    }

    async fn give_up(&mut self, delivery: Delivery, reason: String) -> Result<Step, StoreError> {
        let recipient = self.recipient.clone();
        let now = Timestamp::now().as_millisecond();
        let given_up =
            self.store.commit(move |connection| batches::give_up(connection, &recipient, &delivery, &reason, now));
        given_up.await?;
        self.backoff.after_success();
        Ok(Step::Sent)
    }

    async fn hold(
        &mut self,
        delivery: &Delivery,
        reason: String,
        after: Option<Duration>,
        behind: bool,
    ) -> Result<Step, StoreError> {
        let (recipient, batch) = (self.recipient.clone(), delivery.batch);
        let held = self.store.commit(move |connection| batches::held(connection, &recipient, batch, &reason, behind));
        held.await?;
        Ok(Step::Failed(after))
    }
}

/// Waits for something to do: for new data, or after a failure for the pause to pass. The end of the session ends either,
/// once.
async fn rest(pause: Option<Duration>, ended: &mut watch::Receiver<bool>, wake: &Notify) {
    let over = *ended.borrow();
    match pause {
        Some(pause) if over => tokio::time::sleep(pause).await,
        Some(pause) => drop(timeout(pause, ended.changed()).await),
        None => {
            tokio::select! {
                () = wake.notified() => {}
                _ = ended.changed() => {}
            }
        }
    }
}

/// What came of a step.
enum Step {
    Sent,
    Empty,
    Failed(Option<Duration>),
}
