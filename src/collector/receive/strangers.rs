//! Connections that have not brought the token yet: few, and the oldest makes way, so that whoever opens many of them
//! keeps nobody out who has it.

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
pub(super) struct Strangers {
    present: Arc<Mutex<Present>>,
}

#[derive(Debug, Default)]
struct Present {
    came: u64,
    /// By the order in which they came.
    waiting: BTreeMap<u64, Deadline>,
}

impl Strangers {
    /// Takes one more in; the oldest makes way for it if there are too many.
    pub(super) fn enter(&self) -> Stranger {
        if self.lock().waiting.len() >= MAXIMUM {
            self.shed();
        }
        let mut present = self.lock();
        present.came += 1;
        let (number, deadline) = (present.came, watch::Sender::new(Some(Instant::now() + STAY)));
        present.waiting.insert(number, deadline.clone());
        Stranger { strangers: self.clone(), number, deadline }
    }

    /// Sends the oldest away.
    pub(super) fn shed(&self) {
        if let Some((_, oldest)) = self.lock().waiting.pop_first() {
            oldest.send_replace(Some(Instant::now()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Stranger {
    strangers: Strangers,
    number: u64,
    deadline: Deadline,
}

impl Stranger {
    /// When its connection is closed; whoever stops being a stranger may say otherwise.
    pub(super) fn deadline(&self) -> Deadline {
        self.deadline.clone()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.strangers.lock().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_makes_way_and_whoever_is_known_stays() {
        let strangers = Strangers::default();
        let is_sent_away = |stranger: &Stranger| *stranger.deadline.borrow() <= Some(Instant::now());
        let known = strangers.enter();
        let deadline = known.deadline();
        drop(known);
        deadline.send_replace(None);
        let mut waiting: Vec<_> = (0..MAXIMUM).map(|_| strangers.enter()).collect();
        assert!(!waiting.iter().any(is_sent_away));
        waiting.push(strangers.enter());
        assert!(is_sent_away(&waiting[0]) && !waiting[1..].iter().any(is_sent_away));
        assert_eq!(strangers.lock().waiting.len(), MAXIMUM);
        assert_eq!(*deadline.borrow(), None);
        drop(waiting);
        assert!(strangers.lock().waiting.is_empty());
    }
}
