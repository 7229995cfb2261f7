//! Decides when to fetch credentials, when to send with them, and when to wait. Pure: the clock (in Unix milliseconds),
//! the jitter and the shared state are arguments, and the caller carries out the decisions.

use std::time::Duration;

use super::acceptance::Acceptance;

/// The shortest time between two fetches without a rejection, even if a source says that its value expires sooner.
const BETWEEN_REFRESHES: Duration = Duration::from_mins(1);

/// The shortest time between two reads of a cheap source: a file or the keyring.
const BETWEEN_READS: Duration = Duration::from_secs(1);

/// The longest that a session waits because of its own failures while other sessions are accepted.
const ALONE: Duration = Duration::from_mins(1);

/// The part of a value's lifetime that is left when it is fetched again, before jitter.
const MARGIN: f64 = 0.1;

/// What sources are like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is read independently")]
pub(super) struct Kind {
    /// Fetching again may return another value. Literals and variables never change.
    pub(super) changes: bool,
    /// Fetching runs a command or uses the network, so it should be rare.
    pub(super) runs: bool,
    /// There are no credentials, and every request may try first.
    pub(super) is_bare: bool,
    /// An expired value is not used: only the user, who entered it, could reject it.
    pub(super) is_strict: bool,
}

/// What the credentials are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A session's own data: fetch at once.
    Session,
    /// Data of ended sessions: fetch nothing before it is due.
    Leftovers,
    /// A user waits and may have fixed something: fetch and try at once.
    Flush,
}

/// A value to send with, and its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued<V> {
    /// The value.
    pub value: V,
    serial: u64,
    /// No other request is sent until its outcome is known.
    is_trial: bool,
    /// It is the single retry after a rejection.
    is_retry: bool,
}

impl<V> Issued<V> {
    /// The outcome says nothing about the credentials: the destination was unreachable or failed.
    pub(super) fn undecided(&self, shared: &mut Acceptance) {
        if self.is_trial {
            shared.released();
        }
    }
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next<V> {
    /// Send, and start a fetch in the background if the flag is set.
    Send(Issued<V>, bool),
    /// Start a fetch, and look again when it is done.
    Fetch,
    /// Look again when the current fetch is done.
    Fetching,
    /// Wait, for this long if that is known.
    Wait(Why, Option<Duration>),
}

/// Why to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The last attempt was rejected, with this message if it was ours.
    Refused(Option<String>),
    /// Another session is trying the same credentials.
    Claimed,
    /// There is no value: the errors of the sources.
    Missing(String),
}

/// The state of a destination's credentials in this process.
#[derive(Debug)]
pub(super) struct Upkeep<V> {
    kind: Kind,
    /// Nothing has been fetched yet, so other sessions' back-off does not delay the first fetch.
    hurries: bool,
    /// Nothing has been sent yet, so other sessions' back-off does not delay the first request.
    insists: bool,
    answer: Option<Answer<V>>,
    serial: u64,
    is_fetching: bool,
    fetched_at: Option<i64>,
    failure: Option<String>,
    refusal: Option<String>,
    /// This process's own failures.
    own: Acceptance,
    /// A claim that has not been used yet. The flag marks the single retry.
    lease: Option<bool>,
}

#[derive(Debug)]
struct Answer<V> {
    value: V,
    serial: u64,
    /// When to fetch it again.
    due: Option<i64>,
    expires: Option<i64>,
    is_refused: bool,
    /// It differs from the value that was rejected before.
    is_changed: bool,
}

impl<V: Clone + PartialEq> Upkeep<V> {
    /// A state without any knowledge.
    pub(super) fn new(kind: Kind, occasion: Occasion) -> Self {
        Self {
            kind,
            hurries: occasion != Occasion::Leftovers,
            insists: occasion == Occasion::Flush,
            answer: None,
            serial: 0,
            is_fetching: false,
            fetched_at: None,
            failure: None,
            refusal: None,
            own: Acceptance::default(),
            lease: None,
        }
    }

    /// Whether fetching again can return another value.
    pub(super) fn changes(&self) -> bool {
        self.kind.changes
    }

    /// Whether something is being fetched.
    pub(super) fn is_fetching(&self) -> bool {
        self.is_fetching
    }

    /// Postpones a fetch that cannot start now.
    pub(super) fn defer(&mut self) {
        self.is_fetching = false;
    }

    /// Decides what to do for a request. If the decision is to fetch, the fetch counts as started.
    pub(super) fn look(&mut self, shared: &mut Acceptance, now: i64) -> Next<V> {
        let is_over = |time: Option<i64>| time.is_some_and(|time| time <= now);
        if self.kind.is_strict && self.answer.as_ref().is_some_and(|answer| is_over(answer.expires)) {
            self.answer = None;
        }
        let Some(answer) = &self.answer else { return self.obtain(shared, now) };
        if answer.is_refused && self.kind.changes {
            if self.kind.runs || self.lease.is_some() || self.is_fetching {
                return self.obtain(shared, now);
            }
            // Read again first, because that is cheap.
            if self.since_fetched(now) >= BETWEEN_READS {
                return self.fetch();
            }
            if let Some(failure) = &self.failure {
                return Next::Wait(Why::Missing(failure.clone()), None);
            }
            return self.send(shared, now, false);
        }
        let (is_due, is_expired) = (is_over(answer.due), is_over(answer.expires));
        let mut begins = false;
        if is_due && self.kind.changes {
            let may = self.since_fetched(now) >= BETWEEN_REFRESHES && (shared.is_open() || shared.wait(now).is_zero());
            begins = may && !self.is_fetching;
            if is_expired && begins {
                return self.fetch();
            }
            if is_expired && self.is_fetching {
                return Next::Fetching;
            }
        }
        self.send(shared, now, begins)
    }

    /// How to get a value if there is none to send with.
    fn obtain(&mut self, shared: &mut Acceptance, now: i64) -> Next<V> {
        if self.is_fetching {
            return Next::Fetching;
        }
        if self.hurries || self.lease.is_some() {
            return self.fetch();
        }
        if !self.kind.runs {
            if self.since_fetched(now) >= BETWEEN_READS {
                return self.fetch();
            }
            return Next::Wait(self.why(), None);
        }
        let wait = self.wait(shared, now, false);
        if !wait.is_zero() {
            let why = if shared.is_claimed(now) { Why::Claimed } else { self.why() };
            return Next::Wait(why, Some(wait));
        }
        if !shared.is_open() {
            shared.claim(now);
            self.lease = Some(false);
        }
        self.fetch()
    }

    fn fetch(&mut self) -> Next<V> {
        self.is_fetching = true;
        Next::Fetch
    }

    /// Sends with the current value if an attempt is due.
    fn send(&mut self, shared: &mut Acceptance, now: i64, begins: bool) -> Next<V> {
        let Some(answer) = &self.answer else { return Next::Wait(self.why(), None) };
        let lease = self.lease;
        let insists = self.insists && !shared.is_claimed(now);
        if lease.is_none() && !insists {
            let wait = self.wait(shared, now, answer.is_changed);
            if !wait.is_zero() {
                let why = if shared.is_claimed(now) { Why::Claimed } else { self.why() };
                return Next::Wait(why, Some(wait));
            }
        }
        let is_trial = lease.is_some() || !self.is_open(shared);
        let issued =
            Issued { value: answer.value.clone(), serial: answer.serial, is_trial, is_retry: lease == Some(true) };
        if is_trial {
            shared.claim(now);
        }
        self.lease = None;
        self.insists = false;
        self.is_fetching |= begins;
        Next::Send(issued, begins)
    }

    /// Whether requests are not limited: the credentials were accepted, or there are none and no request was rejected
    /// for that.
    fn is_open(&self, shared: &Acceptance) -> bool {
        shared.is_open() || (self.kind.is_bare && *shared == Acceptance::default())
    }

    /// How long not to contact the destination or run commands.
    fn wait(&self, shared: &Acceptance, now: i64, is_changed: bool) -> Duration {
        let of = |one: &Acceptance| if is_changed { one.wait_for_changed(now) } else { one.wait(now) };
        if shared.is_open() { of(&self.own).min(ALONE) } else { of(&self.own).max(of(shared)) }
    }

    fn since_fetched(&self, now: i64) -> Duration {
        // If the clock was set back, the elapsed time is unknown.
        let passed = self.fetched_at.map_or(i64::MAX, |at| if at > now { i64::MAX } else { now - at });
        Duration::from_millis(passed.unsigned_abs())
    }

    fn why(&self) -> Why {
        self.failure.clone().map_or_else(|| Why::Refused(self.refusal.clone()), Why::Missing)
    }

    /// Records the result of a fetch: a value and its lifetime if known, or the errors of the sources.
    pub(super) fn fetched(
        &mut self,
        shared: &mut Acceptance,
        result: Result<(V, Option<Duration>), String>,
        now: i64,
        jitter: f64,
    ) {
        self.is_fetching = false;
        self.hurries = false;
        self.fetched_at = Some(now);
        match result {
            Ok((value, fresh_for)) => self.take(shared, value, fresh_for, now, jitter),
            Err(failure) => self.miss(shared, failure, now, jitter),
        }
    }

    fn take(&mut self, shared: &mut Acceptance, value: V, fresh_for: Option<Duration>, now: i64, jitter: f64) {
        self.failure = None;
        let refused = self.answer.take().filter(|answer| answer.is_refused);
        let is_same = refused.as_ref().is_some_and(|refused| refused.value == value);
        if is_same && self.lease == Some(true) {
            // Refreshing changed nothing: another attempt would be rejected like the first.
            self.lease = None;
            self.own.refused(now, jitter);
            shared.refused(now, jitter);
        }
        if !is_same {
            self.serial += 1;
        }
        let after = |time: Duration| now.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        self.answer = Some(Answer {
            value,
            serial: self.serial,
            due: fresh_for.map(|time| after(time.mul_f64(1.0 - MARGIN * jitter))),
            expires: fresh_for.map(after),
            // When an attempt is due, even the same value is tried: the destination may have been fixed.
            is_refused: is_same && self.lease.is_none(),
            is_changed: refused.is_some() && !is_same,
        });
    }

    fn miss(&mut self, shared: &mut Acceptance, failure: String, now: i64, jitter: f64) {
        self.failure = Some(failure);
        let lease = self.lease.take();
        if self.answer.as_ref().is_some_and(|answer| !answer.is_refused) {
            // The current value is used until it is rejected.
            return;
        }
        if self.kind.runs {
            self.own.refused(now, jitter);
            if lease.is_some() || !(shared.is_open() || shared.is_claimed(now)) {
                shared.refused(now, jitter);
            }
        } else if lease.is_some() {
            shared.released();
        }
    }

    /// Records a rejection. Returns whether to look again at once, for the single retry.
    pub(super) fn refused(
        &mut self,
        shared: &mut Acceptance,
        issued: &Issued<V>,
        reason: &str,
        now: i64,
        jitter: f64,
    ) -> bool {
        self.refusal = Some(reason.to_owned());
        let Some(answer) = &mut self.answer else { return false };
        // A newer value may have been fetched since.
        let is_newer = answer.serial != issued.serial && !answer.is_refused;
        if is_newer && !issued.is_trial {
            return true;
        }
        answer.is_refused = !is_newer;
        let is_first = self.is_open(shared) || (issued.is_trial && shared.failures() == 0);
        if self.kind.changes && is_first && self.own.failures() == 0 && !issued.is_retry {
            shared.claim(now);
            self.lease = Some(true);
            return true;
        }
        // A failure of this process only should not delay others.
        let concerns_all = issued.is_trial || (self.is_open(shared) && self.own.failures() == 0);
        self.own.refused(now, jitter);
        if concerns_all {
            shared.refused(now, jitter);
        }
        false
    }

    /// Records that the destination accepted the value.
    pub(super) fn accepted(&mut self, shared: &mut Acceptance, issued: &Issued<V>) {
        self.own = Acceptance::default();
        self.refusal = None;
        if let Some(answer) = self.answer.as_mut().filter(|answer| answer.serial == issued.serial) {
            answer.is_refused = false;
        }
        if issued.is_trial {
            shared.accepted();
        }
    }
}

#[cfg(test)]
mod tests;
