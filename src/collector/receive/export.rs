//! What becomes of an export: validated, stamped, committed, and only then acknowledged.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::collector::plan::{Plan, Token};
use crate::otlp::{Signal, Stamp, splice_resource};
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
    stamp: Stamp,
    store: Store,
    routes: Vec<Route>,
    /// Since when the store has taken nothing.
    failing_since: Mutex<Option<Instant>>,
}

impl Receiver {
    pub(crate) fn new(plan: &Plan, stamp: Stamp, store: Store, routes: Vec<Route>) -> Self {
        let (token, session) = (plan.token.clone(), plan.session.clone());
        Self { token, session, stamp, store, routes, failing_since: Mutex::new(None) }
    }

    pub(super) fn token(&self) -> &str {
        &self.token.0
    }

    /// Takes one export; on return it is on disk.
    pub(super) async fn export(&self, signal: Signal, body: Bytes) -> Result<(), Rejection> {
        let now = Timestamp::now();
        let found = extract(signal, &body, now).map_err(|_| Rejection::Malformed)?;
        if found.items == 0 {
            return Ok(());
        }
        let wanting = || self.routes.iter().filter(|route| route.signals.contains(&signal));
        let recipients: Vec<_> = wanting().map(|route| route.to.clone()).collect();
        // Without a destination the ledger is all there is to keep.
        let stamped = if recipients.is_empty() {
            Vec::new()
        } else {
            splice_resource(&body, &self.stamp).map_err(|_| Rejection::Malformed)?
        };
        let session = self.session.clone();
        let committed = self.store.commit(move |connection| {
            sessions::insert(connection, &session)?;
            sessions::count_received(connection, &session.id, found.items)?;
            ledger::insert(connection, &session.id, &found.usage)?;
            batches::insert(connection, signal, &stamped, now.as_millisecond(), &recipients)
        });
        let stored = committed.await;
        self.note(stored.is_ok())?;
        wanting().for_each(|route| route.wake.notify_one());
        Ok(())
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
