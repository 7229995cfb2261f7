//! The recipients of a session's data, and their description in the session's segments.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::sessions::Session;
use crate::otlp::Signal;
use crate::spool::{Disk, Segment, segments};

/// A destination of a session, as it is recorded for deliveries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Recipient {
    /// The session that received the data.
    pub session: String,
    /// The destination's name in the session's profile.
    pub destination: String,
    /// The owner of the data: endpoint and header sources, as a keyed fingerprint.
    pub fingerprint: Vec<u8>,
}

/// The part of its session's log that a recipient gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The recipient.
    pub to: Recipient,
    /// The signals that it gets.
    pub signals: BTreeSet<Signal>,
    /// Whether it gets totals instead of deltas.
    pub is_cumulative: bool,
}

/// The session's row, with which each of its segments begins, so that the recipients of the frames are known even
/// without the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRow {
    /// The session.
    pub session: Session,
    /// The recipients and their parts of the session's log.
    pub subscriptions: Vec<Subscription>,
}

impl SessionRow {
    /// The row as stored in a segment. It contains no secrets: of a selection, only the parts that resolve the profile
    /// again.
    pub fn encode(&self) -> Vec<u8> {
        let session = Session { selection: self.session.selection.without_values(), ..self.session.clone() };
        serde_json::to_vec(&Self { session, ..self.clone() }).unwrap_or_default()
    }

    /// Reads the row of a segment.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The row of a session, from the first of its segments with a readable row.
    pub fn of(disk: &Disk, session: &str) -> rusqlite::Result<Option<Self>> {
        for id in segments(disk, session).map_err(super::disk_error)? {
            let segment = Segment::open(disk, session, id).map_err(super::disk_error)?;
            let row = segment.and_then(|segment| segment.row).and_then(|row| Self::decode(&row));
            if row.as_ref().is_some_and(|row| row.session.id == session) {
                return Ok(row);
            }
        }
        Ok(None)
    }
}
