//! A destination's credentials, kept fresh as long as the process runs: what [`Upkeep`] decides, done.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::header::HeaderMap;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout_at};

use super::pace_file::PaceFile;
use super::upkeep::{Issued, Next, Occasion, Upkeep, Why};
use super::wanted::Wanted;
use crate::random;

/// How long a request waits for a fetch before it is said why. Most take no time to speak of.
const PATIENCE: Duration = Duration::from_secs(1);

/// The longest time between two looks while others may have news: a session that was accepted, a file that changed.
const BETWEEN_LOOKS: Duration = Duration::from_secs(30);

/// The same while another session tries.
const WHILE_CLAIMED: Duration = Duration::from_secs(1);

/// The stack of a thread that fetches, in bytes: a keyring is asked over D-Bus.
const STACK: usize = 1 << 20;

/// Headers to send a request with. To be told what came of it.
pub type Headers = Issued<HeaderMap>;

/// Why there are no headers to send with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// Fit for a person who could mend it.
    pub reason: String,
    /// When to look again, unless something is fetched before.
    pub again: Option<Duration>,
}

/// A destination's credentials. Cloned, they are the same.
#[derive(Clone, Debug)]
pub struct Credentials(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    wanted: Wanted,
    state: Mutex<State>,
    /// Changes whenever a fetch has ended.
    fetched: watch::Sender<()>,
    /// The threads that may fetch at a time in this process.
    threads: Arc<Semaphore>,
}

#[derive(Debug)]
struct State {
    upkeep: Upkeep<HeaderMap>,
    pace: PaceFile,
}

impl Credentials {
    pub(super) fn new(wanted: Wanted, pace: PaceFile, occasion: Occasion, threads: Arc<Semaphore>) -> Self {
        let upkeep = Upkeep::new(wanted.kind(), occasion);
        let (state, fetched) = (Mutex::new(State { upkeep, pace }), watch::Sender::new(()));
        Self(Arc::new(Shared { wanted, state, fetched, threads }))
    }

    /// The headers for the next request, or why it has to wait. Fetching goes on if nobody waits for it any longer.
    pub async fn headers(&self) -> Result<Headers, Unavailable> {
        let deadline = Instant::now() + PATIENCE;
        let mut fetched = self.fetches();
        loop {
            match self.look() {
                Ok(Some(headers)) => return Ok(headers),
                Err(unavailable) => return Err(unavailable),
                Ok(None) if timeout_at(deadline, fetched.changed()).await.is_ok() => {}
                Ok(None) => {
                    let reason = format!("waiting for {}", self.0.wanted.slow());
                    return Err(Unavailable { reason, again: Some(BETWEEN_LOOKS) });
                }
            }
        }
    }

    /// The destination did not accept these headers, for this reason. Says whether to ask for others at once.
    pub fn refused(&self, headers: &Headers, reason: &str) -> bool {
        let mut state = self.0.lock();
        let State { upkeep, pace } = &mut *state;
        pace.with(|pace| upkeep.refused(pace, headers, reason, now(), random::jitter()))
    }

    /// The destination accepted these headers.
    pub fn accepted(&self, headers: &Headers) {
        let mut state = self.0.lock();
        let State { upkeep, pace } = &mut *state;
        pace.with(|pace| upkeep.accepted(pace, headers));
    }

    /// The destination said nothing of these headers.
    pub fn undecided(&self, headers: &Headers) {
        self.0.lock().pace.with(|pace| headers.undecided(pace));
    }

    /// Tells of every fetch that ends from here on.
    pub fn fetches(&self) -> watch::Receiver<()> {
        self.0.fetched.subscribe()
    }

    /// Whether something is being fetched.
    pub fn is_fetching(&self) -> bool {
        self.0.lock().upkeep.is_fetching()
    }

    /// Headers, or nothing while they are being fetched.
    fn look(&self) -> Result<Option<Headers>, Unavailable> {
        let mut state = self.0.lock();
        let State { upkeep, pace } = &mut *state;
        let (next, is_claimed) = pace.with(|pace| {
            let next = upkeep.look(pace, now());
            (next, pace.is_claimed(now()))
        });
        if next == Next::Fetch && !upkeep.changes() {
            // Literals and variables are at hand.
            pace.with(|pace| upkeep.fetched(pace, self.0.wanted.fetch(now()), now(), random::jitter()));
            drop(state);
            return self.look();
        }
        let begins = matches!(next, Next::Fetch | Next::Send(_, true));
        let permit = begins.then(|| Arc::clone(&self.0.threads).try_acquire_owned().ok()).flatten();
        if begins && permit.is_none() {
            upkeep.put_off();
        }
        drop(state);
        match (next, permit) {
            (Next::Fetch, None) => {
                let reason = "too much else is being fetched".to_owned();
                Err(Unavailable { reason, again: Some(WHILE_CLAIMED) })
            }
            (Next::Fetch, Some(permit)) => {
                self.fetch(permit);
                Ok(None)
            }
            (Next::Send(headers, _), permit) => {
                if let Some(permit) = permit {
                    self.fetch(permit);
                }
                Ok(Some(headers))
            }
            (Next::Fetching, _) => Ok(None),
            (Next::Wait(why, wait), _) => {
                let longest = if is_claimed { WHILE_CLAIMED } else { BETWEEN_LOOKS };
                Err(Unavailable { reason: self.words(why, wait), again: wait.map(|wait| wait.min(longest)) })
            }
        }
    }

    fn words(&self, why: Why, wait: Option<Duration>) -> String {
        let when = wait.map(|wait| format!("; the next attempt is in {}", about(wait))).unwrap_or_default();
        match why {
            Why::Missing(reason) => format!("{reason}{when}"),
            Why::Claimed => "another session tries the same credentials just now".to_owned(),
            Why::Refused(reason) => {
                let reason = reason.unwrap_or_else(|| "it does not accept these credentials".to_owned());
                let asked = self.0.wanted.interactive();
                let asked = asked.map(|name| format!(": {name} is asked for at the next launch")).unwrap_or_default();
                format!("{reason}{asked}{when}")
            }
        }
    }

    /// Fetches on a thread of its own, which nobody waits for at the end of the process.
    fn fetch(&self, permit: OwnedSemaphorePermit) {
        let shared = Arc::clone(&self.0);
        let fetch = move || {
            let fetched = catch_unwind(AssertUnwindSafe(|| shared.wanted.fetch(now())));
            shared.finish(fetched.unwrap_or_else(|_| Err("fetching them broke off".to_owned())));
            drop(permit);
        };
        if let Err(error) = std::thread::Builder::new().stack_size(STACK).spawn(fetch) {
            self.0.finish(Err(format!("nothing can be fetched: {error}")));
        }
    }
}

impl Shared {
    fn finish(&self, result: Result<(HeaderMap, Option<Duration>), String>) {
        let mut state = self.lock();
        let State { upkeep, pace } = &mut *state;
        pace.with(|pace| upkeep.fetched(pace, result, now(), random::jitter()));
        drop(state);
        self.fetched.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// A time as one says it.
fn about(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..100 => format!("{} s", seconds + 1),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}
