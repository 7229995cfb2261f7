//! A destination's credentials, kept fresh while the process runs. Carries out what [`Upkeep`] decides.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::header::HeaderMap;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout_at};

use super::acceptance_file::AcceptanceFile;
use super::upkeep::{Issued, Next, Occasion, Upkeep, Why};
use super::wanted::Wanted;
use crate::state::backoff::later;
use crate::system::random;

/// How long a request waits for a fetch before its status says why. Most fetches are faster.
const PATIENCE: Duration = Duration::from_secs(1);

/// The longest time between two checks for changes from outside: an accepted session, a changed file.
const BETWEEN_LOOKS: Duration = Duration::from_secs(30);

/// The same while another session tries.
const WHILE_CLAIMED: Duration = Duration::from_secs(1);

/// The stack size of a fetching thread, in bytes: D-Bus calls to a keyring need it.
const STACK: usize = 1 << 20;

/// Headers for a request. The sender must report what came of it.
pub type Headers = Issued<HeaderMap>;

/// Why no headers are available.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// Text for a person who could fix it.
    pub reason: String,
    /// When to check again, unless a fetch ends before.
    pub again: Option<Duration>,
    /// When the next attempt begins, in Unix milliseconds, where that is known: looking before may find what others have.
    pub next_try: Option<i64>,
}

/// A destination's credentials. Clones share their state.
#[derive(Clone, Debug)]
pub struct Credentials(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    wanted: Wanted,
    state: Mutex<State>,
    /// Changes whenever a fetch has ended.
    fetched: watch::Sender<()>,
    /// Limits the number of threads that fetch at a time in this process.
    threads: Arc<Semaphore>,
}

#[derive(Debug)]
struct State {
    upkeep: Upkeep<HeaderMap>,
    shared: AcceptanceFile,
}

impl Credentials {
    pub(super) fn new(wanted: Wanted, shared: AcceptanceFile, occasion: Occasion, threads: Arc<Semaphore>) -> Self {
        let upkeep = Upkeep::new(wanted.kind(), occasion);
        let (state, fetched) = (Mutex::new(State { upkeep, shared }), watch::Sender::new(()));
        Self(Arc::new(Shared { wanted, state, fetched, threads }))
    }

    /// The headers for the next request, or why it must wait. A fetch continues even if its caller stops waiting.
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
                    return Err(Unavailable { reason, again: Some(BETWEEN_LOOKS), next_try: None });
                }
            }
        }
    }

    /// Reports that the destination rejected these headers, and why. Returns whether to ask for others at once.
    pub fn refused(&self, headers: &Headers, reason: &str) -> bool {
        let mut state = self.0.lock();
        let State { upkeep, shared } = &mut *state;
        shared.with(|shared| upkeep.refused(shared, headers, reason, now(), random::jitter()))
    }

    /// Reports that the destination accepted these headers.
    pub fn accepted(&self, headers: &Headers) {
        let mut state = self.0.lock();
        let State { upkeep, shared } = &mut *state;
        shared.with(|shared| upkeep.accepted(shared, headers));
    }

    /// Reports that the destination's answer says nothing about these headers.
    pub fn undecided(&self, headers: &Headers) {
        self.0.lock().shared.with(|shared| headers.undecided(shared));
    }

    /// Notifies of every fetch that ends from now on.
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
        let State { upkeep, shared } = &mut *state;
        let (next, is_claimed) = shared.with(|shared| {
            let next = upkeep.look(shared, now());
            (next, shared.is_claimed(now()))
        });
        if next == Next::Fetch && !upkeep.changes() {
            // Literals and variables need no thread.
            shared.with(|shared| upkeep.fetched(shared, self.0.fetch(), now(), random::jitter()));
            drop(state);
            return self.look();
        }
        let begins = matches!(next, Next::Fetch | Next::Send(_, true));
        let permit = begins.then(|| Arc::clone(&self.0.threads).try_acquire_owned().ok()).flatten();
        if begins && permit.is_none() {
            upkeep.defer();
        }
        drop(state);
        match (next, permit) {
            (Next::Fetch, None) => {
                let reason = "too many other fetches are running".to_owned();
                Err(Unavailable { reason, again: Some(WHILE_CLAIMED), next_try: None })
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
                let again = wait.map(|wait| wait.min(longest));
                let next_try = wait.filter(|_| !is_claimed).map(|wait| later(now(), wait));
                Err(Unavailable { reason: self.words(why), again, next_try })
            }
        }
    }

    fn words(&self, why: Why) -> String {
        match why {
            Why::Missing(reason) => reason,
            Why::Claimed => "another session is trying the same credentials".to_owned(),
            Why::Refused(reason) => {
                let reason = reason.unwrap_or_else(|| "it does not accept these credentials".to_owned());
                let asked = self.0.wanted.interactive();
                let asked = asked.map(|name| format!(": {name} will be run at the next launch")).unwrap_or_default();
                reason + &asked
            }
        }
    }

    /// Fetches on its own thread, which the end of the process does not wait for.
    fn fetch(&self, permit: OwnedSemaphorePermit) {
        let shared = Arc::clone(&self.0);
        let fetch = move || {
            let fetched = catch_unwind(AssertUnwindSafe(|| shared.fetch()));
            shared.finish(fetched.unwrap_or_else(|_| Err("fetching them was aborted".to_owned())));
            drop(permit);
        };
        if let Err(error) = std::thread::Builder::new().stack_size(STACK).spawn(fetch) {
            self.0.finish(Err(format!("cannot start a fetch: {error}")));
        }
    }
}

impl Shared {
    /// Headers as sent, and how long they are valid if that is known.
    fn fetch(&self) -> Result<(HeaderMap, Option<Duration>), String> {
        let fetched = self.wanted.fetch(now());
        let headers = fetched.and_then(|headers| Ok((headers.to_send()?, headers.fresh_for())));
        headers.map_err(|error| error.to_string())
    }

    fn finish(&self, result: Result<(HeaderMap, Option<Duration>), String>) {
        let mut state = self.lock();
        let State { upkeep, shared } = &mut *state;
        shared.with(|shared| upkeep.fetched(shared, result, now(), random::jitter()));
        drop(state);
        self.fetched.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the moment at which it happens, in a process that lives for days")]
    Timestamp::now().as_millisecond()
}
