//! Authenticated connections: the session lives while one is open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// Counts authenticated connections.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    open: Arc<watch::Sender<usize>>,
    /// Whether any request has arrived, and whether anything was stored.
    brought: Arc<[AtomicBool; 2]>,
}

impl Default for Connections {
    fn default() -> Self {
        Self { open: Arc::new(watch::Sender::new(0)), brought: Arc::default() }
    }
}

impl Connections {
    /// Counts one more for the lifetime of the returned value.
    pub(super) fn enter(&self) -> Connection {
        self.open.send_modify(|open| *open += 1);
        Connection { connections: self.clone() }
    }

    /// Records whether an authenticated request was stored.
    pub(super) fn brought(&self, is_kept: bool) {
        self.brought[0].store(true, Ordering::Relaxed);
        self.brought[1].fetch_or(is_kept, Ordering::Relaxed);
    }

    /// Whether a request has arrived at this worker.
    pub(super) fn have_brought(&self) -> bool {
        self.brought[0].load(Ordering::Relaxed)
    }

    /// Whether anything was stored.
    pub(super) fn have_kept(&self) -> bool {
        self.brought[1].load(Ordering::Relaxed)
    }

    /// How many are open.
    #[cfg(test)]
    pub(super) fn open(&self) -> watch::Ref<'_, usize> {
        self.open.borrow()
    }

    /// Waits until none is open.
    pub(super) async fn none(&self) {
        self.fewer_than(1).await;
    }

    /// Waits until fewer than this many are open.
    pub(super) async fn fewer_than(&self, count: usize) {
        // The sender lives as long as `self`, so that waiting cannot fail.
        drop(self.open.subscribe().wait_for(|open| *open < count).await);
    }

    /// Waits until one is open.
    pub(super) async fn some(&self) {
        drop(self.open.subscribe().wait_for(|open| *open > 0).await);
    }
}

/// An open authenticated connection.
#[derive(Debug)]
pub(super) struct Connection {
    connections: Connections,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.open.send_modify(|open| *open -= 1);
    }
}
