//! When to fetch credentials, when to send with them, and when to wait. Pure: the clock, in Unix milliseconds, the
//! jitter and what all sessions share are handed in, and what is decided is done by somebody else.

use std::time::Duration;

use super::pace::Pace;

/// The shortest time between two fetches that nobody's refusal asked for, whatever a source says of its answer.
const BETWEEN_REFRESHES: Duration = Duration::from_mins(1);

/// The shortest time between two looks at what is cheap to read: a file, or the keyring.
const BETWEEN_READS: Duration = Duration::from_secs(1);

/// The longest that a session holds back by what only it has met, while others are accepted.
const ALONE: Duration = Duration::from_mins(1);

/// How much of the time for which an answer is good is left when it is fetched anew, before jitter.
const MARGIN: f64 = 0.1;

/// What sources are like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
pub(super) struct Kind {
    /// Fetching again may give something else. A literal and a variable stay what they are.
    pub(super) changes: bool,
    /// Fetching runs a command or asks the network: not to be done lightly.
    pub(super) runs: bool,
    /// There are none: whoever asks for something else first says so.
    pub(super) is_bare: bool,
    /// What has expired is not used: there is nobody to refuse it but the user, who was asked for it.
    pub(super) is_strict: bool,
}

/// For whom credentials are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A session's own data: what it needs is fetched at once.
    Session,
    /// What ended sessions left: nothing is fetched before it is time.
    Leftovers,
    /// Somebody waits for it and may have mended something: fetched and tried at once.
    Flush,
}

/// A value to send with, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued<V> {
    /// The value.
    pub value: V,
    serial: u64,
    /// Nobody else sends until it is known what came of this.
    is_trial: bool,
    /// It is the one retry after a refusal.
    is_retry: bool,
}

impl<V> Issued<V> {
    /// Nothing is known of it: the destination was not there, or had other troubles.
    pub(super) fn undecided(&self, shared: &mut Pace) {
        if self.is_trial {
            shared.released();
        }
    }
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next<V> {
    /// Send; and, if it says so, begin to fetch meanwhile.
    Send(Issued<V>, bool),
    /// Begin to fetch, and look again when that is done.
    Fetch,
    /// Look again when what is being fetched is there.
    Fetching,
    /// Nothing, for so long if that is known.
    Wait(Why, Option<Duration>),
}

/// Why there is nothing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The last attempt was refused, in these words if it was ours.
    Refused(Option<String>),
    /// Another session tries the same.
    Claimed,
    /// There is no value: what the sources said.
    Missing(String),
}

/// What is known of a destination's credentials in this process.
#[derive(Debug)]
pub(super) struct Upkeep<V> {
    kind: Kind,
    /// Nothing was fetched yet, and the pace of others is no reason to wait with that.
    hurries: bool,
    /// Nothing was sent yet, and the pace of others is no reason to wait with that.
    insists: bool,
    answer: Option<Answer<V>>,
    serial: u64,
    is_fetching: bool,
    fetched_at: Option<i64>,
    failure: Option<String>,
    refusal: Option<String>,
    /// What this process has met itself.
    own: Pace,
    /// A claim of ours that is not used yet; the flag says whether it is for the one retry.
    lease: Option<bool>,
}

#[derive(Debug)]
struct Answer<V> {
    value: V,
    serial: u64,
    /// When to fetch it anew.
    due: Option<i64>,
    expires: Option<i64>,
    is_refused: bool,
    /// It is another than the one that was refused before.
    is_changed: bool,
}

impl<V: Clone + PartialEq> Upkeep<V> {
    /// Nothing is known yet.
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
            own: Pace::default(),
            lease: None,
        }
    }

    /// Whether fetching again can give something else.
    pub(super) fn changes(&self) -> bool {
        self.kind.changes
    }

    /// Whether something is being fetched.
    pub(super) fn is_fetching(&self) -> bool {
        self.is_fetching
    }

    /// What was to be fetched cannot be just now.
    pub(super) fn put_off(&mut self) {
        self.is_fetching = false;
    }

    /// What to do for a request. Where it says to fetch, that has begun as far as this is concerned.
    pub(super) fn look(&mut self, shared: &mut Pace, now: i64) -> Next<V> {
        let is_over = |time: Option<i64>| time.is_some_and(|time| time <= now);
        if self.kind.is_strict && self.answer.as_ref().is_some_and(|answer| is_over(answer.expires)) {
            self.answer = None;
        }
        let Some(answer) = &self.answer else { return self.obtain(shared, now) };
        if answer.is_refused && self.kind.changes {
            if self.kind.runs || self.lease.is_some() || self.is_fetching {
                return self.obtain(shared, now);
            }
            // Read again first, for that costs nothing.
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

    /// The way to a value where there is none to send with.
    fn obtain(&mut self, shared: &mut Pace, now: i64) -> Next<V> {
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

    /// Sends with what is there, if it is time.
    fn send(&mut self, shared: &mut Pace, now: i64, begins: bool) -> Next<V> {
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

    /// Whether requests go freely: the credentials were accepted, or there are none and nobody has missed them.
    fn is_open(&self, shared: &Pace) -> bool {
        shared.is_open() || (self.kind.is_bare && *shared == Pace::default())
    }

    /// How long to leave the destination, and the commands, alone.
    fn wait(&self, shared: &Pace, now: i64, is_changed: bool) -> Duration {
        let of = |pace: &Pace| if is_changed { pace.wait_for_changed(now) } else { pace.wait(now) };
        if shared.is_open() { of(&self.own).min(ALONE) } else { of(&self.own).max(of(shared)) }
    }

    fn since_fetched(&self, now: i64) -> Duration {
        // A clock that was set back says nothing of how long it is.
        let passed = self.fetched_at.map_or(i64::MAX, |at| if at > now { i64::MAX } else { now - at });
        Duration::from_millis(passed.unsigned_abs())
    }

    fn why(&self) -> Why {
        self.failure.clone().map_or_else(|| Why::Refused(self.refusal.clone()), Why::Missing)
    }

    /// What a fetch gave, with how long it is good for if that is known; or what the sources said instead.
    pub(super) fn fetched(
        &mut self,
        shared: &mut Pace,
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

    fn take(&mut self, shared: &mut Pace, value: V, fresh_for: Option<Duration>, now: i64, jitter: f64) {
        self.failure = None;
        let refused = self.answer.take().filter(|answer| answer.is_refused);
        let is_same = refused.as_ref().is_some_and(|refused| refused.value == value);
        if is_same && self.lease == Some(true) {
            // Refreshing changed nothing: another attempt would be refused like the first.
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
            // At an attempt whose time has come even the same is tried: the destination may have been mended.
            is_refused: is_same && self.lease.is_none(),
            is_changed: refused.is_some() && !is_same,
        });
    }

    fn miss(&mut self, shared: &mut Pace, failure: String, now: i64, jitter: f64) {
        self.failure = Some(failure);
        let lease = self.lease.take();
        if self.answer.as_ref().is_some_and(|answer| !answer.is_refused) {
            // What is there is used until it is refused.
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

    /// The destination refused what was issued. Says whether to look again at once: the one retry.
    pub(super) fn refused(
        &mut self,
        shared: &mut Pace,
        issued: &Issued<V>,
        reason: &str,
        now: i64,
        jitter: f64,
    ) -> bool {
        self.refusal = Some(reason.to_owned());
        let Some(answer) = &mut self.answer else { return false };
        // It may have been fetched anew meanwhile.
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
        // What goes wrong for this process alone is no reason for others to wait.
        let concerns_all = issued.is_trial || (self.is_open(shared) && self.own.failures() == 0);
        self.own.refused(now, jitter);
        if concerns_all {
            shared.refused(now, jitter);
        }
        false
    }

    /// The destination accepted what was issued.
    pub(super) fn accepted(&mut self, shared: &mut Pace, issued: &Issued<V>) {
        self.own = Pace::default();
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
#[path = "upkeep_tests.rs"]
mod tests;
