//! The connections of scrapers: a few, each for as long as it is used.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How many connections there are at most. A new one closes the one that was unused for the longest.
const MOST: usize = 64;

/// How long a connection may be unused. Prometheus keeps one for five minutes after a scrape.
const IDLE: Duration = Duration::from_mins(6);

/// All connections.
#[derive(Clone, Default)]
pub(super) struct Connections(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    came: u64,
    open: BTreeMap<u64, Used>,
}

struct Used {
    at: Instant,
    close: Arc<Notify>,
}

impl Connections {
    /// Counts one more, and closes one if there are too many.
    pub(super) fn enter(&self) -> Connection {
        if self.table().open.len() >= MOST {
            self.shed();
        }
        let mut table = self.table();
        table.came += 1;
        let (number, close) = (table.came, Arc::new(Notify::new()));
        table.open.insert(number, Used { at: Instant::now(), close: Arc::clone(&close) });
        Connection { connections: self.clone(), number, close, last: AtomicU64::new(0) }
    }

    /// Closes the connection that was unused for the longest.
    pub(super) fn shed(&self) {
        let mut table = self.table();
        let oldest = table.open.iter().min_by_key(|(_, used)| used.at).map(|(number, _)| *number);
        if let Some(used) = oldest.and_then(|number| table.open.remove(&number)) {
            used.close.notify_one();
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection, until dropped.
pub(super) struct Connection {
    connections: Connections,
    number: u64,
    close: Arc<Notify>,
    /// The number of the last show that it has seen, or zero.
    last: AtomicU64,
}

impl Connection {
    /// Notes a request.
    pub(super) fn used(&self) {
        if let Some(used) = self.connections.table().open.get_mut(&self.number) {
            used.at = Instant::now();
        }
    }

    /// The number of the last show that it has seen.
    pub(super) fn last(&self) -> Option<u64> {
        Some(self.last.load(Ordering::Relaxed)).filter(|last| *last > 0)
    }

    /// Notes that it has seen a show.
    pub(super) fn saw(&self, show: u64) {
        self.last.store(show, Ordering::Relaxed);
    }

    /// Waits until it is to be closed.
    pub(super) async fn over(&self) {
        loop {
            let used = self.connections.table().open.get(&self.number).map(|used| used.at);
            let Some(end) = used.map(|at| at + IDLE).filter(|end| *end > Instant::now()) else { return };
            tokio::select! {
                () = sleep_until(end) => {}
                () = self.close.notified() => return,
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.table().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_unused_connection_is_closed_and_the_longest_unused_makes_room() {
        let connections = Connections::default();
        let first = connections.enter();
        tokio::time::advance(IDLE / 2).await;
        let others: Vec<_> = (1..MOST).map(|_| connections.enter()).collect();
        tokio::time::advance(Duration::from_secs(1)).await;
        first.used();
        let one_more = connections.enter();
        others[0].over().await;
        assert_eq!(connections.table().open.len(), MOST);
        let before = Instant::now();
        first.over().await;
        assert_eq!(before.elapsed(), IDLE);
        drop((first, others, one_more));
        assert!(connections.table().open.is_empty());
    }
}
