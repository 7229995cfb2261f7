//! What becomes of an export: rewritten by the profile's rules, validated, committed, and only then acknowledged.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::collector::plan::{Plan, Token};
use crate::collector::rules::Rulebook;
use crate::log::Log;
use crate::otlp::{Malformed, PartialSuccess, Rewritten, Rules, Signal, rewrite};
use crate::store::sessions::{self, Session};
use crate::store::{Store, StoreError, batches, ledger};
use crate::usage::{Extract, NotOtlp, extract};

use super::body::{Packed, aside};
use super::refusal::Refusal;
use super::room::Rooms;

/// How long a client is asked to try again when the store cannot be written. Claude Code's exit waits for its tries.
const PATIENCE: Duration = Duration::from_secs(10);

/// The way to a destination, as the receiver sees it.
pub(crate) struct Route {
    /// Whom deliveries are for.
    pub(crate) to: batches::Recipient,
    /// What it is given.
    pub(crate) signals: BTreeSet<Signal>,
    /// Wakes its forwarder.
    pub(crate) wake: Arc<Notify>,
}

/// An export that was taken.
pub(super) struct Taken {
    pub(super) signal: Signal,
    /// What its sender is told if that was not all of it.
    pub(super) partial_success: Option<PartialSuccess>,
}

/// Takes exports.
pub(crate) struct Receiver {
    token: Token,
    session: Session,
    rules: Rulebook,
    store: Store,
    routes: Vec<Route>,
    rooms: Arc<Rooms>,
    log: Log,
    /// Since when the store has taken nothing, and why.
    failing: Mutex<Option<(Instant, String)>>,
}

impl Receiver {
    pub(crate) fn new(plan: &Plan, rules: Rulebook, store: Store, routes: Vec<Route>, log: Log) -> Self {
        let (token, session) = (plan.token.clone(), plan.session.clone());
        Self { token, session, rules, store, routes, rooms: Arc::default(), log, failing: Mutex::default() }
    }

    /// One without a destination, whose store cannot be written.
    #[cfg(test)]
    pub(super) fn without_a_store(token: &str) -> Self {
        use crate::surroundings::Places;

        let session = Session {
            id: "0123456789abcdef".to_owned(),
            parent: None,
            profile: "test".to_owned(),
            team: None,
            program: "test".to_owned(),
            project: "test".to_owned(),
            branch: None,
            started_at: 0,
            selection: crate::profile::Selection::default(),
        };
        Self {
            token: Token(token.to_owned()),
            session,
            rules: Rulebook::of(Rules::default()),
            store: Store::start(std::path::Path::new("/dev/null/store"), |_| {}).unwrap(),
            routes: Vec::new(),
            rooms: Arc::default(),
            log: Log::of(&Places::below(std::path::Path::new("/dev/null")), "0123456789abcdef"),
            failing: Mutex::default(),
        }
    }

    pub(super) fn token(&self) -> &str {
        &self.token.0
    }

    pub(super) fn rooms(&self) -> &Arc<Rooms> {
        &self.rooms
    }

    /// Takes a request that was received whole; on return what was taken of it is on disk. On a task of its own: it is
    /// kept even if its client goes.
    pub(super) async fn take(self: &Arc<Self>, signal: Signal, packed: Packed) -> Result<Taken, Refusal> {
        let receiver = Arc::clone(self);
        let taken = tokio::spawn(async move {
            let (message, room) = packed.unpack(signal).await?;
            let stored = receiver.export(signal, message).await;
            drop(room);
            stored.map(|partial_success| Taken { signal, partial_success })
        });
        taken.await.unwrap_or(Err(Refusal::NotStored))
    }

    /// Gives what the sender is to be told, if not all was taken.
    async fn export(&self, signal: Signal, message: Bytes) -> Result<Option<PartialSuccess>, Refusal> {
        let now = Timestamp::now();
        let rules = self.rules.rules().await.ok_or(Refusal::NotStored)?;
        let prepared = aside(message.len(), move || prepare(signal, &message, &rules, now)).await?;
        let (Rewritten { body, refused }, found) = prepared?;
        if found.items == 0 && refused == 0 {
            return Ok(None);
        }
        let is_wanted = |route: &&Route| found.items > 0 && route.signals.contains(&signal);
        let wanting: Vec<_> = self.routes.iter().filter(is_wanted).collect();
        let recipients: Vec<_> = wanting.iter().map(|route| route.to.clone()).collect();
        let session = self.session.clone();
        let committed = self.store.commit(move |connection| {
            sessions::count_received(connection, &session, found.items)?;
            sessions::count_refused(connection, &session.id, refused)?;
            ledger::insert(connection, &session.id, &found.usage)?;
            batches::insert(connection, signal, &body, now.as_millisecond(), &recipients)
        });
        let stored = committed.await;
        self.note(stored)?;
        for route in wanting {
            route.wake.notify_one();
        }
        Ok((refused > 0).then(|| self.rules.partial_success(refused)))
    }

    /// Keeps track of how long the store has been failing. That it begins to, and that it takes exports again, is in the
    /// log; why with the latter, too, for a disk that is full has no place for the former.
    fn note(&self, stored: Result<(), StoreError>) -> Result<(), Refusal> {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(error) = stored else {
            if let Some((since, reason)) = failing.take() {
                let seconds = since.elapsed().as_secs();
                self.log.note(&format!("exports are kept again, after {seconds} s in which they were not ({reason})"));
            }
            return Ok(());
        };
        let (since, _) = failing.get_or_insert_with(|| {
            let reason = error.to_string();
            self.log.note(&format!("exports cannot be kept: {reason}"));
            (Instant::now(), reason)
        });
        Err(if since.elapsed() < PATIENCE { Refusal::NotStored } else { Refusal::NotStoredForLong })
    }
}

/// What is kept of a request, and what it says was used: read from the outcome of the rules too, for what nobody may
/// see is in no table of the store.
fn prepare(signal: Signal, message: &[u8], rules: &Rules, now: Timestamp) -> Result<(Rewritten, Extract), Refusal> {
    let rewritten = rewrite(signal, message, rules).map_err(|malformed| match malformed {
        // Of nothing but resources, say, each of which is given attributes.
        Malformed::Swells => Refusal::TooLarge,
        _ => Refusal::Malformed,
    })?;
    let found = extract(signal, &rewritten.body, now).map_err(|NotOtlp| Refusal::Malformed)?;
    Ok((rewritten, found))
}
