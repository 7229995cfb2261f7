//! Unauthenticated connections. They are few, and a new one evicts the oldest, so that opening many of them does not
//! lock out clients with the token.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How many there may be.
const MAXIMUM: usize = 128;

/// How long one may stay.
const STAY: Duration = Duration::from_secs(10);

/// When a connection is closed, unless something happens before.
pub(super) type Deadline = watch::Sender<Option<Instant>>;

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct UnauthenticatedConnections {
    present: Arc<Mutex<Present>>,
}

#[derive(Debug, Default)]
struct Present {
    came: u64,
    /// In order of arrival.
    waiting: BTreeMap<u64, Deadline>,
}

impl UnauthenticatedConnections {
    /// Adds a connection, and evicts the oldest if there are too many.
    pub(super) fn enter(&self) -> UnauthenticatedConnection {
        if self.lock().waiting.len() >= MAXIMUM {
            self.shed();
        }
        let mut present = self.lock();
        present.came += 1;
        let (number, deadline) = (present.came, watch::Sender::new(Some(Instant::now() + STAY)));
        present.waiting.insert(number, deadline.clone());
        UnauthenticatedConnection { unauthenticated: self.clone(), number, deadline }
    }

    /// Evicts the oldest.
    pub(super) fn shed(&self) {
        if let Some((_, oldest)) = self.lock().waiting.pop_first() {
            oldest.send_replace(Some(Instant::now()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An unauthenticated connection, until dropped.
#[derive(Debug)]
pub(super) struct UnauthenticatedConnection {
    unauthenticated: UnauthenticatedConnections,
    number: u64,
    deadline: Deadline,
}

impl UnauthenticatedConnection {
    /// When its connection is closed. Authentication changes that.
    pub(super) fn deadline(&self) -> Deadline {
        self.deadline.clone()
    }
}

impl Drop for UnauthenticatedConnection {
    fn drop(&mut self) {
        self.unauthenticated.lock().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_is_evicted_and_authenticated_ones_stay() {
        let unauthenticated = UnauthenticatedConnections::default();
        let is_sent_away =
            |connection: &UnauthenticatedConnection| *connection.deadline.borrow() <= Some(Instant::now());
        let known = unauthenticated.enter();
        let deadline = known.deadline();
        drop(known);
        deadline.send_replace(None);
        let mut waiting: Vec<_> = (0..MAXIMUM).map(|_| unauthenticated.enter()).collect();
        assert!(!waiting.iter().any(is_sent_away));
        waiting.push(unauthenticated.enter());
        assert!(is_sent_away(&waiting[0]) && !waiting[1..].iter().any(is_sent_away));
        assert_eq!(unauthenticated.lock().waiting.len(), MAXIMUM);
        assert_eq!(*deadline.borrow(), None);
        drop(waiting);
        assert!(unauthenticated.lock().waiting.is_empty());
    }
}
