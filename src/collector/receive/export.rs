//! An export is rewritten by the profile's rules, validated, appended to the spool, and only then acknowledged.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::collector::plan::SessionPlan;
use crate::collector::rules::Rulebook;
use crate::otlp::{self, Malformed, PartialSuccess, Rewritten, Rules, Signal, rewrite, validate};
use crate::secret::Secret;
use crate::spool::{Append, AppendError, Spool};
use crate::state::log::Log;
use crate::state::{Places, unkept};

use super::blocking::aside;
use super::body::Packed;
use super::hook::Hook;
use super::place::Place;
use super::refusal::Refusal;
use crate::collector::receive::memory::MemoryPermits;

/// How long clients are asked to retry while the disk accepts nothing. Claude Code's exit waits for its retries.
const PATIENCE: Duration = Duration::from_secs(10);

/// A destination as the receiver sees it.
pub(crate) struct Route {
    /// The signals that it gets.
    pub(crate) signals: BTreeSet<Signal>,
    /// Wakes its forwarder.
    pub(crate) wake: Arc<Notify>,
}

/// An export that was stored.
pub(super) struct Taken {
    pub(super) signal: Signal,
    /// The answer to its sender if part of it was rejected.
    pub(super) partial_success: Option<PartialSuccess>,
}

/// Takes exports.
pub(crate) struct Receiver {
    token: Secret,
    place: Place,
    rules: Rulebook,
    spool: Spool,
    routes: Vec<Route>,
    /// Notified of everything that is received.
    follower: Arc<Notify>,
    permits: Arc<MemoryPermits>,
    hook: Option<Hook>,
    log: Log,
    /// Since when and why the disk accepts nothing.
    failing: Mutex<Option<(Instant, String)>>,
    /// Whose session it is, until it is noted that the disk has taken nothing for so long that something is lost.
    unkept: Mutex<Option<(Places, String)>>,
}

impl Receiver {
    pub(crate) fn new(
        plan: &SessionPlan,
        rules: Rulebook,
        spool: Spool,
        routes: Vec<Route>,
        follower: Arc<Notify>,
        hook: Option<Hook>,
    ) -> Self {
        let (token, place) = (plan.token.clone(), Place::of(plan));
        let log = Log::of(&plan.workspace.places, &plan.session.id);
        let unkept = Mutex::new(Some((plan.workspace.places.clone(), plan.session.id.clone())));
        let (permits, failing) = (Arc::default(), Mutex::default());
        Self { token, place, rules, spool, routes, follower, permits, hook, log, failing, unkept }
    }

    /// A receiver without destinations and with a spool that cannot be written.
    #[cfg(test)]
    pub(super) fn without_a_disk(token: &str) -> Self {
        use crate::spool::{Disk, Writer};

        let writer = Writer::new(Disk::new(std::path::Path::new("/dev/null/spool")), "0123456789abcdef", 1, Vec::new());
        Self {
            token: token.into(),
            place: Place::default(),
            rules: Rulebook::of(Rules::default()),
            spool: Spool::start(writer, || {}).unwrap().0,
            routes: Vec::new(),
            follower: Arc::default(),
            permits: Arc::default(),
            hook: None,
            log: Log::of(&Places::below(std::path::Path::new("/dev/null")), "0123456789abcdef"),
            failing: Mutex::default(),
            unkept: Mutex::default(),
        }
    }

    pub(super) fn token(&self) -> &str {
        self.token.expose()
    }

    /// What answers hooks, if the program has any.
    pub(super) fn hook(&self) -> Option<&Hook> {
        self.hook.as_ref()
    }

    pub(super) fn permits(&self) -> &Arc<MemoryPermits> {
        &self.permits
    }

    /// Stores a request that was received in full. On return, everything accepted is on disk. Runs on its own task, so
    /// that it finishes even if the client disconnects.
    pub(super) async fn take(self: &Arc<Self>, signal: Signal, packed: Packed) -> Result<Taken, Refusal> {
        let receiver = Arc::clone(self);
        let taken = tokio::spawn(async move {
            let (message, permit) = packed.unpack(signal).await?;
            let stored = receiver.export(signal, message).await;
            drop(permit);
            stored.map(|partial_success| Taken { signal, partial_success })
        });
        taken.await.unwrap_or(Err(Refusal::NotStored))
    }

    /// Returns the answer to the sender if part of it was rejected.
    async fn export(&self, signal: Signal, message: Bytes) -> Result<Option<PartialSuccess>, Refusal> {
        #[expect(clippy::disallowed_methods, reason = "the moment at which the request came")]
        let now = Timestamp::now();
        let rules = self.rules.rules().await.ok_or(Refusal::NotStored)?;
        let prepared = aside(message.len(), move || prepare(signal, &message, &rules)).await?;
        let Prepared { body, records, refused } = prepared?;
        if records == 0 && refused == 0 {
            return Ok(None);
        }
        let is_wanted = |route: &&Route| records > 0 && route.signals.contains(&signal);
        let wanting: Vec<_> = self.routes.iter().filter(is_wanted).collect();
        // The ledger ignores spans. If no destination wants them either, they are only counted.
        let is_read = records > 0 && (signal != Signal::Traces || !wanting.is_empty());
        let append = Append {
            signal,
            time: now.as_millisecond(),
            records: u32::try_from(records).unwrap_or(u32::MAX),
            refused: u32::try_from(refused).unwrap_or(u32::MAX),
            ledger: self.place.of_the_moment(),
            body: if is_read { body } else { Bytes::new() },
        };
        let stored = self.spool.append(append).await;
        self.note(stored.map(drop))?;
        self.follower.notify_one();
        for route in wanting {
            route.wake.notify_one();
        }
        Ok((refused > 0).then(|| self.rules.partial_success(refused)))
    }

    /// Tracks how long the disk has been failing. The log records when it starts to fail and when it works again, and
    /// the reason with both, because a full disk may not store the first entry.
    fn note(&self, stored: Result<(), AppendError>) -> Result<(), Refusal> {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(error) = stored else {
            if let Some((since, reason)) = failing.take() {
                let seconds = since.elapsed().as_secs();
                self.log.note(&format!("exports are stored again, after {seconds} s of failures ({reason})"));
            }
            return Ok(());
        };
        let (since, reason) = failing.get_or_insert_with(|| {
            let reason = error.to_string();
            self.log.note(&format!("exports cannot be stored: {reason}"));
            (Instant::now(), reason)
        });
        if since.elapsed() < PATIENCE {
            return Err(Refusal::NotStored);
        }
        let unkept = self.unkept.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((places, session)) = unkept {
            unkept::note(&places, &session, reason);
        }
        Err(Refusal::NotStoredForLong)
    }
}

/// The part of a request to store.
struct Prepared {
    body: Bytes,
    /// How many log records, data points or spans it contains.
    records: u64,
    /// How many more the profile rejected.
    refused: u64,
}

/// Applies the rules to a request, and counts the result.
fn prepare(signal: Signal, message: &[u8], rules: &Rules) -> Result<Prepared, Refusal> {
    let rewritten = rewrite(signal, message, rules).map_err(|malformed| match malformed {
        // For example, many empty resources that each get attributes.
        Malformed::Swells => Refusal::TooLarge,
        _ => Refusal::Malformed,
    })?;
    let Rewritten { body, refused } = rewritten;
    validate(signal, &body).map_err(|_| Refusal::Malformed)?;
    let records = otlp::count(signal, &body).map_err(|_| Refusal::Malformed)?;
    Ok(Prepared { body: body.into(), records, refused })
}
