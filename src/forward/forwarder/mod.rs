//! The forwarder of one destination: two machines that share one link. [`deliveries`] sends the entries of the logs;
//! [`totals`] adds up deltas and sends the totals if the destination wants totals.

mod deliveries;
mod link;
mod totals;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use self::deliveries::{Deliveries, Turn};
use self::link::Link;
use self::totals::TotalsMachine;
use super::journal::Journal;
use super::totals::{Life, Totals};
use crate::client::Proxies;
use crate::credential::Credentials;
use crate::otlp::Signal;
use crate::profile::Destination;
use crate::spool::Source;
use crate::state::Places;
use crate::state::backoff::{Backoff, LONGEST};
use crate::state::clock::Ages;
use crate::state::log::Log;
use crate::store::deliveries::Route;
use crate::store::recipient::Subscription;
use crate::store::{Store, StoreError};
use crate::system::random;

/// How long fetching credentials may take after the session has ended.
const FETCHED_WITHIN: Duration = Duration::from_mins(1);

/// Delivers to one destination.
#[derive(Debug)]
pub struct Forwarder {
    link: Link,
    deliveries: Deliveries,
    /// Handles deltas if the destination wants totals.
    totals: Option<TotalsMachine>,
    /// How long new entries wait for more.
    batch: Duration,
    /// For failures of the store.
    backoff: Backoff,
}

/// The result of a step.
enum Step {
    Sent,
    Empty,
    Failed(Duration),
}

impl Forwarder {
    /// Creates a forwarder that delivers the entries of these logs for these recipients to `destination`. It does
    /// nothing until it runs.
    pub fn new(
        subscriptions: Vec<Subscription>,
        source: Source,
        destination: &Destination,
        proxies: &Proxies,
        credentials: Credentials,
        store: Store,
    ) -> Self {
        let fingerprint = subscriptions.first().map(|of| of.to.fingerprint.clone()).unwrap_or_default();
        Self {
            link: Link::new(&fingerprint, destination, proxies, credentials, store),
            deliveries: Deliveries::new(Route { subscriptions, signals: None, is_cumulative: false }, source),
            totals: None,
            batch: destination.batch,
            backoff: Backoff::default(),
        }
    }

    /// The same, but sends totals instead of deltas if `destination` wants them. The totals belong to the profile of
    /// that name and to the destination's own fingerprint.
    #[must_use]
    pub fn totalling(mut self, places: &Places, profile: &str, destination: &Destination, fingerprint: &[u8]) -> Self {
        self.totals = Totals::of(places, profile, destination, fingerprint).map(TotalsMachine::new);
        let is_cumulative = self.totals.is_some();
        self.deliveries.change_route(|route| Route { is_cumulative, ..route });
        self
    }

    /// The same, for a destination other than the one in the recorded deliveries: with the signals that it wants, and
    /// under its own fingerprint.
    #[must_use]
    pub fn instead(mut self, fingerprint: Vec<u8>, signals: impl IntoIterator<Item = Signal>) -> Self {
        self.link.fingerprint = fingerprint;
        let signals = Some(signals.into_iter().collect());
        self.deliveries.change_route(|route| Route { signals, ..route });
        self
    }

    /// The same, with our own counters beside the metrics that it delivers, under a resource with these attributes.
    #[must_use]
    pub fn telling(mut self, resource: BTreeMap<String, String>) -> Self {
        self.link.resource = Some(Arc::new(resource));
        self
    }

    /// The same, with this clock to judge ages. The forwarder adds the time that the destination's clock shows.
    #[must_use]
    pub fn aging(mut self, ages: &Ages) -> Self {
        self.link = self.link.aging(ages);
        self
    }

    /// The same, with a log that records when deliveries begin to be held, and when they pass again.
    #[must_use]
    pub fn noting(mut self, log: Log) -> Self {
        let destination = self.deliveries.reporter().map(|to| to.destination.clone());
        self.link.journal = Journal::of(log, &destination.unwrap_or_default());
        self
    }

    /// Runs until the session has ended and nothing waits any longer. `wake` says that something new waits. When
    /// `ended` says that the session is over, everything that waits is tried once more at once, regardless of the
    /// destination's back-off.
    pub async fn run(mut self, mut ended: watch::Receiver<bool>, wake: Arc<Notify>) {
        let mut last_try = true;
        loop {
            let over = *ended.borrow_and_update();
            let urgent = over && last_try;
            let life = if over { Life::JustEnded } else { Life::Running };
            forget(&wake).await;
            match self.step(urgent, life).await {
                Ok(Step::Sent) => self.backoff = Backoff::default(),
                Ok(Step::Empty) if over => return,
                Ok(Step::Empty) => self.rest(&mut ended, &wake).await,
                failed => {
                    last_try &= !urgent;
                    let pause = match failed {
                        Ok(Step::Failed(pause)) => pause,
                        _ => self.backoff.pause(LONGEST, random::jitter()),
                    };
                    self.pause(pause, over, &mut ended).await;
                }
            }
        }
    }

    /// Waits until an entry arrives, and then for more entries to go with it; or until totals are due.
    async fn rest(&self, ended: &mut watch::Receiver<bool>, wake: &Notify) {
        let repeat = match &self.totals {
            Some(totals) => totals.until_repeat(&self.link).await,
            None => None,
        };
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

    /// Waits after a failure, but no longer than until the session ends or the awaited credentials may have arrived.
    async fn pause(&mut self, pause: Duration, over: bool, ended: &mut watch::Receiver<bool>) {
        let rest =
            async { if over { tokio::time::sleep(pause).await } else { drop(timeout(pause, ended.changed()).await) } };
        tokio::select! {
            () = rest => {}
            _ = self.link.fetches.changed() => {}
        }
    }

    /// Delivers everything that waits, up to the first failure. An `urgent` call ignores the destination's back-off.
    /// Credentials that are being fetched are waited for.
    pub async fn run_once(mut self, urgent: bool) {
        loop {
            match self.step(urgent, Life::LongOver).await {
                Ok(Step::Sent) => {}
                Ok(Step::Failed(_)) if self.link.credentials.is_fetching() => {
                    if timeout(FETCHED_WITHIN, self.link.fetches.changed()).await.is_err() {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    /// Takes the next step as far as possible. Never waits while it keeps other processes from sending.
    async fn step(&mut self, urgent: bool, life: Life) -> Result<Step, StoreError> {
        let step = self.step_on(urgent, life).await;
        if !matches!(step, Ok(Step::Sent))
            && let Some(totals) = &mut self.totals
        {
            totals.abandon();
        }
        step
    }

    async fn step_on(&mut self, urgent: bool, life: Life) -> Result<Step, StoreError> {
        let Self { link, deliveries, totals, .. } = self;
        if let Some(step) = deliveries.note_pending(link).await? {
            return Ok(step);
        }
        if let Some(totals) = totals {
            totals.fold(link, deliveries).await?;
        }
        let turn = deliveries.turn(link, urgent).await?;
        let pause = match turn {
            Turn::Done(step) => return Ok(step),
            Turn::Nothing => None,
            Turn::Wait(pause) => Some(pause),
        };
        // Requests that were deferred in favour of others do not hold up totals.
        let step = match totals {
            Some(totals) => totals.step(link, deliveries.reporter(), urgent, life).await?,
            None => Step::Empty,
        };
        if matches!(step, Step::Failed(_)) {
            deliveries.forget_success();
        }
        Ok(match (step, pause) {
            (Step::Empty, Some(pause)) => Step::Failed(pause),
            (step, _) => step,
        })
    }
}

/// Takes a wake-up for entries that are looked at now, so that it does not end a later rest.
async fn forget(wake: &Notify) {
    tokio::select! {
        biased;
        () = wake.notified() => {}
        () = std::future::ready(()) => {}
    }
}
