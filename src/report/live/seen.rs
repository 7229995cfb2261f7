//! Recognises events that a client repeats.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::Event;
use crate::usage::Identity;

/// How many events to remember. A client repeats an export within seconds.
const REMEMBERED: usize = 10_000;

/// The last events, each by its identity and a digest of its name: a tool's decision and its result share an identity.
#[derive(Debug, Default)]
pub struct Seen {
    all: HashSet<(Identity, u64)>,
    order: VecDeque<(Identity, u64)>,
}

impl Seen {
    /// Remembers an event, and returns whether it is new.
    pub fn is_new(&mut self, event: &Event) -> bool {
        let key = (event.entry.identity, digest(&event.entry.event));
        if !self.all.insert(key) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        true
    }
}

/// A short form of a text, for sets with many of them.
pub(super) fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
