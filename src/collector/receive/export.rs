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
use crate::otlp::{PartialSuccess, Rewritten, Signal, rewrite};
use crate::store::sessions::{self, Session};
use crate::store::{Store, batches, ledger};
use crate::usage::extract;

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

/// Why an export is not acknowledged.
pub(super) enum Rejection {
    /// It is no request of its signal.
    Malformed,
    /// The store does not take it at the moment: worth trying again.
    NotStored,
    /// The store has not taken anything for a while: not worth a client's waiting.
    NotStoredForLong,
}

/// Takes exports.
pub(crate) struct Receiver {
    token: Token,
    session: Session,
    rules: Rulebook,
    store: Store,
    routes: Vec<Route>,
    /// Since when the store has taken nothing.
    failing_since: Mutex<Option<Instant>>,
}

impl Receiver {
    pub(crate) fn new(plan: &Plan, rules: Rulebook, store: Store, routes: Vec<Route>) -> Self {
        let (token, session) = (plan.token.clone(), plan.session.clone());
        Self { token, session, rules, store, routes, failing_since: Mutex::new(None) }
    }

    pub(super) fn token(&self) -> &str {
        &self.token.0
    }

    /// Takes one export; on return what was taken of it is on disk. Gives what its sender is to be told, if not all
    /// was taken.
    ///
    /// The ledger is read from the outcome of the rules too: what nobody may see is in no table of the store.
    pub(super) async fn export(&self, signal: Signal, body: Bytes) -> Result<Option<PartialSuccess>, Rejection> {
        let now = Timestamp::now();
        let rules = self.rules.rules().await.ok_or(Rejection::NotStored)?;
        let Rewritten { body, refused } = rewrite(signal, &body, &rules).map_err(|_| Rejection::Malformed)?;
        let found = extract(signal, &body, now).map_err(|_| Rejection::Malformed)?;
        if found.items == 0 && refused == 0 {
            return Ok(None);
        }
        let is_wanted = |route: &&Route| found.items > 0 && route.signals.contains(&signal);
        let wanting: Vec<_> = self.routes.iter().filter(is_wanted).collect();
        let recipients: Vec<_> = wanting.iter().map(|route| route.to.clone()).collect();
        let session = self.session.clone();
        let committed = self.store.commit(move |connection| {
            sessions::insert(connection, &session)?;
            sessions::count_received(connection, &session.id, found.items)?;
            sessions::count_refused(connection, &session.id, refused)?;
            ledger::insert(connection, &session.id, &found.usage)?;
            batches::insert(connection, signal, &body, now.as_millisecond(), &recipients)
        });
        let stored = committed.await;
        self.note(stored.is_ok())?;
        for route in wanting {
            route.wake.notify_one();
        }
        Ok((refused > 0).then(|| self.rules.partial_success(refused)))
    }

    /// Keeps track of how long the store has been failing.
    fn note(&self, stored: bool) -> Result<(), Rejection> {
        let mut failing_since = self.failing_since.lock().unwrap_or_else(PoisonError::into_inner);
        if stored {
            *failing_since = None;
            return Ok(());
        }
        let since = failing_since.get_or_insert_with(Instant::now);
        Err(if since.elapsed() < PATIENCE { Rejection::NotStored } else { Rejection::NotStoredForLong })
    }
}
