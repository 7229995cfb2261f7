//! The machine that delivers: finds the next request in the logs, sends it, and records its outcome.

mod counting;
mod noting;

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tokio::time::Instant;

use super::Step;
use super::link::{Link, WithoutCredentials, now};
use crate::forward::backoff::{self, Verdict};
use crate::forward::gathering::Gathering;
use crate::otlp::Signal;
use crate::spool::Source;
use crate::state::backoff::Backoff;
use crate::store::deliveries::{self, Delivery, Floors, Found, Origin, Passed, Route, Which};
use crate::store::recipient::Recipient;
use crate::store::{self, StoreError};

/// How long to wait if another process was faster.
const OUTRUN: Duration = Duration::from_millis(100);

/// Delivers the entries of logs for some recipients to one destination.
#[derive(Debug)]
pub(super) struct Deliveries {
    /// Whose data it delivers: the session's, or that of several ended sessions.
    pub(super) route: Arc<Route>,
    /// Their logs.
    pub(super) source: Source,
    /// How far it has delivered each log, in case the store forgets.
    floors: Floors,
    gathering: Gathering,
    state: State,
    last: Last,
    rest: Rest,
}

/// The next action.
#[derive(Debug)]
enum State {
    /// Look for the next request.
    Looking,
    /// The destination has a request, which still has to be recorded.
    Noting(Receipt),
}

/// The destination has this request.
#[derive(Clone, Debug)]
struct Receipt {
    delivery: Delivery,
    /// The number of its records that the destination rejected.
    rejected: u64,
    message: Option<String>,
    /// Whether our counters went along.
    reported: bool,
}

/// How the last request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// There was none, or its outcome does not concern the destination.
    Nothing,
    /// It passed. If the next one fails, the cause is that request itself.
    Passed,
    /// The first request failed: the one behind it is tried next.
    FirstFailed,
    /// The request behind a failed one failed as well.
    ProbeFailed,
}

/// How long a request rests that was deferred in favour of others.
#[derive(Debug, Default)]
struct Rest {
    backoff: Backoff,
    until: Option<Instant>,
}

/// The result of a turn.
pub(super) enum Turn {
    /// A step was made or tried.
    Done(Step),
    /// There is nothing to deliver.
    Nothing,
    /// Something waits, but cannot be delivered yet.
    Wait(Duration),
}

/// The next request.
enum Next {
    Nothing,
    Wait(Duration),
    Send { delivery: Delivery, made: Option<Backoff> },
}

impl Deliveries {
    pub(super) fn new(route: Route, source: Source) -> Self {
        Self {
            route: Arc::new(route),
            source,
            floors: Floors::new(),
            gathering: Gathering::default(),
            state: State::Looking,
            last: Last::Nothing,
            rest: Rest::default(),
        }
    }

    /// Changes the way in which it delivers from now on.
    pub(super) fn change_route(&mut self, change: impl FnOnce(Route) -> Route) {
        self.route = Arc::new(change((*self.route).clone()));
    }

    /// The recipient on whose behalf the counters are sent to the destination.
    pub(super) fn reporter(&self) -> Option<&Recipient> {
        self.route.subscriptions.first().map(|of| &of.to)
    }

    /// Records a delivery that the store could not record yet: nothing else may be done before.
    pub(super) async fn note_pending(&mut self, link: &mut Link) -> Result<Option<Step>, StoreError> {
        match &self.state {
            State::Noting(receipt) => self.note(link, receipt.clone()).await.map(Some),
            State::Looking => Ok(None),
        }
    }

    /// Takes the next request as far as possible.
    pub(super) async fn turn(&mut self, link: &mut Link, urgent: bool) -> Result<Turn, StoreError> {
        let (delivery, made) = match self.next(link, urgent).await? {
            Next::Nothing => return Ok(Turn::Nothing),
            Next::Wait(pause) => return Ok(Turn::Wait(pause)),
            Next::Send { delivery, made } => (delivery, made),
        };
        let headers = match link.headers_or_pause().await {
            Ok(headers) => headers,
            Err(WithoutCredentials { failure, pause }) => {
                return self.wait(link, delivery, failure, pause).await.map(Turn::Done);
            }
        };
        if !urgent
            && let Some(backoff) = made
            && !link.claim(backoff).await?
        {
            link.credentials.undecided(&headers);
            return Ok(Turn::Done(Step::Failed(OUTRUN)));
        }
        let (outcome, reported) = self.attempt(link, &delivery, headers).await;
        self.settle(link, delivery, outcome, reported, made).await.map(Turn::Done)
    }

    /// The next request to send, if one may be sent.
    async fn next(&mut self, link: &Link, urgent: bool) -> Result<Next, StoreError> {
        let look = Look {
            route: Arc::clone(&self.route),
            // Entries that arrive while the store is busy wait for more, as all entries do.
            source: self.source.as_of_now(),
            floors: self.floors.clone(),
            fingerprint: link.fingerprint.clone(),
            bytes: self.gathering.bytes(Instant::now()),
            batches: self.gathering.batches(),
            may_probe: self.last == Last::FirstFailed,
            rest: self.rest.until.map(|until| until.saturating_duration_since(Instant::now())),
            urgent,
        };
        let (next, passed) = link.store.read(move |connection| look.look(connection)).await?;
        if matches!(next, Next::Nothing) {
            self.pass(link, passed).await?;
        }
        Ok(next)
    }

    /// Moves cursors past whole segments that have no entries for them.
    async fn pass(&mut self, link: &Link, mut passed: Vec<Passed>) -> Result<(), StoreError> {
        let is_cumulative = self.route.is_cumulative;
        passed.retain(|stretch| {
            let is_rest = is_cumulative && stretch.signal == Signal::Metrics;
            is_rest || stretch.from.segment() != stretch.end.segment()
        });
        if passed.is_empty() {
            return Ok(());
        }
        for stretch in &passed {
            self.floors.insert((stretch.recipient, stretch.signal), stretch.end);
        }
        let route = Arc::clone(&self.route);
        link.store.commit(move |connection| deliveries::passed(connection, &route, &passed)).await
    }

    /// Something else has failed since: the next request to fail need not be the cause.
    pub(super) fn forget_success(&mut self) {
        if self.last == Last::Passed {
            self.last = Last::Nothing;
        }
    }

    /// Remembers that a request has left the log.
    fn has_left(&mut self, delivery: &Delivery) {
        for part in &delivery.parts {
            if let Origin::Log { end, .. } = part.origin {
                self.floors.insert((part.recipient, delivery.signal), end);
            }
        }
    }
}

/// Looks for the next request to send.
struct Look {
    route: Arc<Route>,
    source: Source,
    floors: Floors,
    fingerprint: Vec<u8>,
    bytes: usize,
    batches: usize,
    /// Whether an untried request may be sent before a tried one.
    may_probe: bool,
    /// How long a deferred request rests.
    rest: Option<Duration>,
    urgent: bool,
}

impl Look {
    fn look(&self, connection: &Connection) -> rusqlite::Result<(Next, Vec<Passed>)> {
        let made = store::backoff::find(connection, &self.fingerprint)?;
        let verdict = backoff::verdict(made, now());
        let wait = match verdict {
            Verdict::Wait(pause) if !self.urgent => Some(pause),
            _ => None,
        };
        // While nothing may be sent, it only matters whether anything waits.
        let batches = if wait.is_some() { 1 } else { self.batches };
        let (bytes, floors) = (self.bytes, &self.floors);
        let in_turn = Which { bytes, batches, is_deferred: false, is_untried: false, floors };
        let find = |which| deliveries::next(connection, &self.source, &self.route, which);
        let Found { mut delivery, passed } = find(in_turn)?;
        let is_in_turn = delivery.is_some();
        if !is_in_turn {
            // One at a time: most batches that were deferred together may be good.
            delivery = find(Which { is_deferred: true, batches: 1, ..in_turn })?.delivery;
        }
        let Some(delivery) = delivery else { return Ok((Next::Nothing, passed)) };
        let rest = self.rest.filter(|rest| !is_in_turn && !self.urgent && !rest.is_zero());
        if let Some(pause) = wait.or(rest) {
            return Ok((Next::Wait(pause), passed));
        }
        // The request that probes whether the destination is well must not always be the same one, because the
        // destination may object to that request only.
        let is_tried = delivery.parts.first().is_some_and(|part| part.attempts > 0);
        let probe = if made.is_some() && is_tried && self.may_probe && is_in_turn {
            find(Which { is_untried: true, ..in_turn })?.delivery
        } else {
            None
        };
        Ok((Next::Send { delivery: probe.unwrap_or(delivery), made }, passed))
    }
}
