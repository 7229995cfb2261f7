//! The connections that have brought the session's token: as long as one is open, the session lives.

use std::sync::Arc;

use tokio::sync::watch;

/// Counts them.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    open: Arc<watch::Sender<usize>>,
}

impl Default for Connections {
    fn default() -> Self {
        Self { open: Arc::new(watch::Sender::new(0)) }
    }
}

impl Connections {
    /// Counts one more for as long as the value lives.
    pub(super) fn enter(&self) -> Connection {
        self.open.send_modify(|open| *open += 1);
        Connection { connections: self.clone() }
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

    /// Waits until fewer than so many are open.
    pub(super) async fn fewer_than(&self, count: usize) {
        // The sender lives as long as `self`, so that waiting cannot fail.
        drop(self.open.subscribe().wait_for(|open| *open < count).await);
    }

    /// Waits until one is open.
    pub(super) async fn some(&self) {
        drop(self.open.subscribe().wait_for(|open| *open > 0).await);
    }
}

/// An open connection that has brought the token.
#[derive(Debug)]
pub(super) struct Connection {
    connections: Connections,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.open.send_modify(|open| *open -= 1);
    }
}
