//! Current deliveries: how a request is gathered, and how its outcome is applied.

mod gather;
mod outcome;

use std::collections::BTreeMap;

use bytes::Bytes;

pub use gather::{Found, Passed, next};
pub(super) use outcome::purge as purge_log;
pub use outcome::{deferred, delivered, given_up, held, passed, split};

use super::recipient::Subscription;
use crate::otlp::Signal;
use crate::spool::Position;

/// The origin of a part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A batch that has left the order of the log.
    Aside {
        /// Its number.
        id: i64,
        /// Its place in the order.
        turn: i64,
        /// Whether it was deferred in favour of others.
        is_deferred: bool,
    },
    /// A frame of the log.
    Log {
        /// The cursor's position before the frame, or the end of the previous part.
        from: Position,
        /// Where the frame ends.
        end: Position,
    },
}

/// A batch in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its recipient, as an index into the list of subscriptions.
    pub recipient: usize,
    /// Its origin.
    pub origin: Origin,
    /// Its size in bytes.
    pub size: usize,
    /// Its number of log records, data points or spans.
    pub records: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was received, in Unix milliseconds.
    pub received_at: i64,
}

/// A request that is ready to be sent.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The signal of its records.
    pub signal: Signal,
    /// The batches in it, in order.
    pub parts: Vec<Part>,
    /// The request in protobuf. Concatenated bodies are one message with all their resources (protobuf encoding, *Last
    /// One Wins*: repeated fields of merged messages are concatenated).
    pub body: Bytes,
    /// Whether a tried batch before it was left out to find out whether that batch is the cause of the failure.
    pub is_probe: bool,
}

/// The positions of readers according to the process that moves their cursors, in case the store was replaced.
pub type Floors = BTreeMap<(usize, Signal), Position>;

/// Whose data is delivered, and how.
#[derive(Clone, Debug)]
pub struct Route {
    /// The recipients, all of one destination.
    pub subscriptions: Vec<Subscription>,
    /// Only these signals; all signals if there is no list.
    pub signals: Option<Vec<Signal>>,
    /// Whether deltas become totals, so that only metrics that are not deltas are delivered.
    pub is_cumulative: bool,
}

/// A selection of deliveries and its limits.
#[derive(Clone, Copy, Debug)]
pub struct Which<'a> {
    /// At most this many bytes, unless a single batch has more.
    pub bytes: usize,
    /// At most this many batches.
    pub batches: usize,
    /// Only deferred batches, or only batches that were not deferred.
    pub is_deferred: bool,
    /// Only untried batches, even if a tried one precedes them.
    pub is_untried: bool,
    /// The minimum positions of readers.
    pub floors: &'a Floors,
}

impl Route {
    /// The signals of a subscription that are delivered.
    fn signals<'a>(&'a self, of: &'a Subscription) -> impl Iterator<Item = Signal> + 'a {
        let is_wanted = |signal: &&Signal| self.signals.as_ref().is_none_or(|signals| signals.contains(signal));
        of.signals.iter().filter(is_wanted).copied()
    }
}

impl Delivery {
    /// The parts, each with its body.
    pub fn bodies(&self) -> impl Iterator<Item = (&Part, &[u8])> {
        let mut rest = &self.body[..];
        self.parts.iter().map(move |part| {
            let (body, behind) = rest.split_at_checked(part.size).unwrap_or((rest, &[]));
            rest = behind;
            (part, body)
        })
    }

    /// Whether it was deferred in favour of others.
    pub fn is_deferred(&self) -> bool {
        self.parts.iter().any(|part| matches!(part.origin, Origin::Aside { is_deferred: true, .. }))
    }
}

#[cfg(test)]
pub(super) mod tests;
