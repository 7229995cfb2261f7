//! The machine for totals: adds deltas up, and sends the sums.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;

use super::Step;
use super::deliveries::Deliveries;
use super::link::{AFTER_REFUSAL, Link, WithoutCredentials, now};
use crate::forward::answer::Outcome;
use crate::forward::backoff::{self, Verdict};
use crate::forward::counters;
use crate::forward::totals::{Life, REPEAT, Snapshot, Totals, until_repeat};
use crate::otlp::Signal;
use crate::state::SessionLock;
use crate::state::backoff::{Backoff, later};
use crate::store::deliveries::Delivery;
use crate::store::failure::Failure;
use crate::store::recipient::Recipient;
use crate::store::totals::{self, Batch, Chunk, FoldFloors};
use crate::store::{self, StoreError, intake, sessions};
use crate::system::random;
use crate::totals::{Sifted, sift};

/// How soon to check again whether another process has sent its snapshot.
const BUSY: Duration = Duration::from_millis(200);

/// Keeps and sends the totals of one destination.
#[derive(Debug)]
pub(super) struct TotalsMachine {
    totals: Totals,
    state: State,
    /// How far deltas are in the totals, by recipient, in case the store forgets: they must not be added twice.
    floors: FoldFloors,
}

/// The next action.
#[derive(Debug)]
enum State {
    /// Check whether a snapshot is due.
    Resting,
    /// Send the next request of a snapshot.
    Sending(Snapshot),
}

/// The next request of a snapshot.
enum Next {
    Send(Chunk),
    /// Another process is trying the destination.
    Outrun,
    /// The destination has all of it.
    Complete,
}

impl TotalsMachine {
    pub(super) fn new(totals: Totals) -> Self {
        Self { totals, state: State::Resting, floors: FoldFloors::new() }
    }

    /// Releases a snapshot, and its lock with it.
    pub(super) fn abandon(&mut self) {
        if let State::Sending(snapshot) = std::mem::replace(&mut self.state, State::Resting) {
            snapshot.let_go(&self.totals.lock);
        }
    }

    /// Adds the deltas of all new batches to the totals.
    pub(super) async fn fold(&mut self, link: &Link, deliveries: &Deliveries) -> Result<(), StoreError> {
        loop {
            let (route, source) = (Arc::clone(&deliveries.route), deliveries.source.as_of_now());
            let floors = self.floors.clone();
            let look = move |connection: &Connection| {
                let is_behind = totals::is_behind(connection, &route, &floors)?;
                Ok((totals::next(connection, &source, &route, &floors)?, is_behind))
            };
            let (batches, is_behind) = link.store.read(look).await?;
            if is_behind {
                let (route, floors) = (Arc::clone(&deliveries.route), self.floors.clone());
                link.store.commit(move |connection| totals::catch_up(connection, &route, &floors)).await?;
            }
            let Some((recipient, end)) = batches.last().map(|batch| (batch.recipient, batch.end)) else {
                return Ok(());
            };
            self.count(link, deliveries, batches).await?;
            self.floors.insert(recipient, end);
        }
    }

    /// Adds deltas to the totals in one commit, together with everything counted about the destination since. Our own
    /// counters become totals too, but never cause a request by themselves, because each delivery adds something to
    /// count.
    async fn count(&self, link: &Link, deliveries: &Deliveries, batches: Vec<Batch>) -> Result<(), StoreError> {
        let (route, source) = (Arc::clone(&deliveries.route), deliveries.source.clone());
        let (whose, installation) = (self.totals.whose.clone(), self.totals.installation);
        let own = link.resource.clone();
        let counted = link.store.commit(move |connection| {
            for batch in &batches {
                let Some(of) = route.subscriptions.get(batch.recipient) else { continue };
                totals::fold(connection, &whose, of, batch, installation, now())?;
            }
            if let Some((resource, reporter)) = own.as_ref().zip(route.subscriptions.first()) {
                intake::count(connection, &source, &reporter.to.session, now())?;
                let pending = store::counters::claim(connection, &reporter.to)?;
                let request = counters::request(&pending, &reporter.to.destination, resource, now());
                let Sifted { deltas, .. } = sift(&request, installation).unwrap_or_default();
                if !deltas.is_empty() {
                    totals::count_in(connection, &whose, &deltas, now())?;
                }
                store::counters::reported(connection, &reporter.to)?;
            }
            Ok(())
        });
        counted.await
    }

    /// Sends the next request of the current snapshot, or begins a snapshot if one is due.
    pub(super) async fn step(
        &mut self,
        link: &mut Link,
        reporter: Option<&Recipient>,
        urgent: bool,
        life: Life,
    ) -> Result<Step, StoreError> {
        let (whose, key) = (self.totals.whose.clone(), link.fingerprint.clone());
        let look = move |connection: &Connection| {
            Ok((totals::state(connection, &whose)?, store::backoff::find(connection, &key)?))
        };
        let (state, made) = link.store.read(look).await?;
        self.say_what_is_forgotten(link, state);
        if matches!(self.state, State::Resting) {
            let Some(state) = state.filter(|state| self.totals.due(*state, life, now()).is_some()) else {
                return Ok(Step::Empty);
            };
            if !urgent && let Verdict::Wait(pause) = backoff::verdict(made, now()) {
                return Ok(Step::Failed(pause));
            }
            if state.series == 0 {
                // No new batch had a value.
                return acknowledge(link, state.id, state.generation, false).await;
            }
            return self.begin(link, life).await;
        }
        let headers = match link.headers_or_pause().await {
            Ok(headers) => headers,
            Err(WithoutCredentials { failure, pause }) => return self.send_later(link, failure, pause).await,
        };
        let chunk = match self.next(link, urgent, made).await? {
            Next::Send(chunk) => chunk,
            Next::Outrun => {
                link.credentials.undecided(&headers);
                return Ok(Step::Failed(BUSY));
            }
            Next::Complete => {
                link.credentials.undecided(&headers);
                return self.end(link).await;
            }
        };
        let body = Bytes::from(chunk.body.clone());
        let delivery = Delivery { signal: Signal::Metrics, parts: Vec::new(), body, is_probe: false };
        let outcome = link.send(&delivery, headers).await;
        self.settle(link, reporter, chunk, outcome, made).await
    }

    fn say_what_is_forgotten(&mut self, link: &Link, state: Option<totals::State>) {
        let Some(state) = state else { return };
        let before = self.totals.forgotten.replace(state.forgotten).unwrap_or(state.forgotten);
        if state.forgotten > before {
            link.journal.forgotten(state.forgotten - before);
        }
    }

    /// Takes the lock, and begins a snapshot if one is still due once the lock is held.
    async fn begin(&mut self, link: &Link, life: Life) -> Result<Step, StoreError> {
        let (path, whose) = (self.totals.lock.clone(), self.totals.whose.clone());
        let lock = match SessionLock::take(&path) {
            Ok(Some(lock)) => lock,
            // Another process is sending, perhaps the totals that wait here, or the disk is full.
            Ok(None) => return Ok(Step::Failed(BUSY)),
            Err(error) => return Err(StoreError::Lock(Arc::new(error))),
        };
        let state = link.store.read(move |connection| totals::state(connection, &whose)).await?;
        let due = state.and_then(|state| Some((state, self.totals.due(state, life, now())?)));
        let Some((state, above)) = due else {
            lock.remove(&path);
            return Ok(Step::Empty);
        };
        self.state = State::Sending(Snapshot::begin(state, above, life == Life::JustEnded, lock));
        Ok(Step::Sent)
    }

    /// The next request of the current snapshot.
    async fn next(&self, link: &Link, urgent: bool, made: Option<Backoff>) -> Result<Next, StoreError> {
        let State::Sending(snapshot) = &self.state else { return Ok(Next::Complete) };
        let (id, wanted, now) = (snapshot.totals, snapshot.wanted(), now());
        let before = self.totals.oldest(link.ages.now_in_milliseconds(now));
        let claim = made.filter(|_| !urgent).map(|made| (link.fingerprint.clone(), made));
        let until = link.attempt_until();
        let take = move |connection: &Connection| {
            let Some(chunk) = totals::take(connection, id, wanted, now, before)? else { return Ok(Next::Complete) };
            let is_ours = match &claim {
                Some((fingerprint, made)) => store::backoff::claim(connection, fingerprint, *made, until)?,
                None => true,
            };
            Ok(if is_ours { Next::Send(chunk) } else { Next::Outrun })
        };
        link.store.commit(take).await
    }

    /// Handles the outcome of a request.
    async fn settle(
        &mut self,
        link: &mut Link,
        reporter: Option<&Recipient>,
        chunk: Chunk,
        outcome: Outcome,
        made: Option<Backoff>,
    ) -> Result<Step, StoreError> {
        let State::Sending(snapshot) = &mut self.state else { return Ok(Step::Empty) };
        let id = snapshot.totals;
        match outcome {
            Outcome::Delivered { rejected, message } => {
                snapshot.passed();
                if !chunk.is_zero {
                    snapshot.go_on_behind(&chunk.places);
                }
                // The same points are left out of every snapshot: they are reported and counted once.
                let complaint = message.or_else(|| (rejected > 0).then(String::new));
                let is_new = complaint.is_some() && self.totals.said != complaint;
                if is_new {
                    self.totals.said.clone_from(&complaint);
                }
                let complaint = reporter.filter(|_| is_new).map(|to| (to.session.clone(), rejected, complaint));
                passed(link, id, chunk, complaint, made).await
            }
            Outcome::Refused { .. } | Outcome::TooLarge { .. } if chunk.places.len() > 1 => {
                snapshot.fewer(chunk.places.len());
                link.answered(made).await?;
                Ok(Step::Sent)
            }
            Outcome::Refused { reason } | Outcome::TooLarge { reason } => {
                if snapshot.is_hopeless() {
                    return hold(link, id, reason, None, made).await;
                }
                if !chunk.is_zero {
                    snapshot.go_on_behind(&chunk.places);
                }
                leave_out(link, id, reporter, chunk, reason).await
            }
            Outcome::Unauthorized { reason } => {
                link.journal.without_credentials(&reason);
                link.answered(made).await?;
                let next_try = Some(later(now(), AFTER_REFUSAL));
                self.send_later(link, Failure { reason, next_try }, AFTER_REFUSAL).await
            }
            Outcome::Held { reason, retry_after } => hold(link, id, reason, retry_after, made).await,
        }
    }

    /// The destination has the whole snapshot.
    async fn end(&mut self, link: &mut Link) -> Result<Step, StoreError> {
        let State::Sending(snapshot) = &self.state else { return Ok(Step::Empty) };
        let (is_full, is_last) = (snapshot.is_full(), snapshot.is_last);
        let step = acknowledge(link, snapshot.totals, snapshot.generation, is_full).await?;
        self.totals.is_last_sent |= is_last && is_full;
        self.abandon();
        link.journal.passing();
        Ok(step)
    }

    /// No credentials are accepted.
    async fn send_later(&self, link: &Link, failure: Failure, pause: Duration) -> Result<Step, StoreError> {
        if let State::Sending(snapshot) = &self.state {
            let id = snapshot.totals;
            link.store.commit(move |connection| totals::failed(connection, id, &failure, now())).await?;
        }
        Ok(Step::Failed(pause))
    }

    /// How long until the totals are sent again.
    pub(super) async fn until_repeat(&self, link: &Link) -> Option<Duration> {
        let whose = self.totals.whose.clone();
        let state = link.store.read(move |connection| totals::state(connection, &whose)).await;
        let state = state.ok().flatten().filter(|state| state.series > 0);
        // Another session may be about to create the first totals.
        Some(state.map_or(REPEAT, |state| until_repeat(state, now())))
    }
}

/// Records that the destination has a request. A complaint is counted and kept with its session.
async fn passed(
    link: &Link,
    id: i64,
    chunk: Chunk,
    complaint: Option<(String, u64, Option<String>)>,
    made: Option<Backoff>,
) -> Result<Step, StoreError> {
    let fingerprint = link.fingerprint.clone();
    let passed = link.store.commit(move |connection| {
        if let Some((session, rejected, message)) = &complaint {
            sessions::count_rejected(connection, session, *rejected, message.as_deref())?;
        }
        if made.is_some() {
            store::backoff::clear(connection, &fingerprint)?;
        }
        if chunk.is_zero {
            totals::begun(connection, id, &chunk.places)
        } else {
            totals::passed(connection, id, &chunk.places)
        }
    });
    passed.await?;
    Ok(Step::Sent)
}

/// A series was refused for its own sake: it is reported, and the others continue.
async fn leave_out(
    link: &Link,
    id: i64,
    reporter: Option<&Recipient>,
    chunk: Chunk,
    reason: String,
) -> Result<Step, StoreError> {
    link.journal.left_out(&chunk.metric, &reason);
    let reporter = reporter.cloned();
    let message = format!("a series of `{}` was refused: {reason}", chunk.metric);
    let left_out = link.store.commit(move |connection| {
        if let Some(to) = &reporter {
            sessions::count_rejected(connection, &to.session, 1, Some(&message))?;
        }
        match chunk.places.first() {
            // The totals alone may pass.
            Some(place) if chunk.is_zero => totals::without_zero(connection, id, place),
            Some(place) => totals::refused(connection, id, place, now()),
            None => Ok(()),
        }
    });
    left_out.await?;
    Ok(Step::Sent)
}

/// The destination fails: the snapshot is sent again when it may have recovered.
async fn hold(
    link: &mut Link,
    id: i64,
    reason: String,
    asked: Option<Duration>,
    made: Option<Backoff>,
) -> Result<Step, StoreError> {
    link.journal.held(&reason);
    let fingerprint = link.fingerprint.clone();
    let next = backoff::after_failure(made, now(), asked, random::jitter());
    let held = link.store.commit(move |connection| {
        totals::failed(connection, id, &Failure::new(&reason), now())?;
        store::backoff::failed(connection, &fingerprint, made, next)
    });
    held.await?;
    Ok(match backoff::verdict(Some(next), now()) {
        Verdict::Wait(pause) => Step::Failed(pause),
        Verdict::Free | Verdict::Try => Step::Failed(Duration::ZERO),
    })
}

async fn acknowledge(link: &Link, id: i64, generation: i64, is_full: bool) -> Result<Step, StoreError> {
    let acknowledged =
        link.store.commit(move |connection| totals::acknowledge(connection, id, generation, is_full, now()));
    acknowledged.await?;
    Ok(Step::Sent)
}
