//! Counts received records: each frame of a session's log once, up to a position in the session's row.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::counters::Outcome;
use super::recipient::SessionRow;
use super::sessions::Record;
use super::{disk_error, sessions};
use crate::otlp::Signal;
use crate::spool::{Files, Found, Position, Source};
use crate::store::counters;
use crate::store::counts::Counts;

/// How many frames are counted in one commit.
const MOST: usize = 20_000;

/// The uncounted part of a session's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uncounted {
    /// Received records.
    pub received: u64,
    /// Records that the profile refuses.
    pub refused: u64,
    /// Records by destination and signal; the destination is an index into the row's list.
    by_subscription: BTreeMap<(usize, Signal), u64>,
    /// Acknowledged frames that cannot be read any more.
    damaged: u64,
    reached: Position,
    is_all: bool,
}

impl Uncounted {
    /// Adds the received records to the outcomes of each destination.
    pub fn add_to(&self, row: &SessionRow, outcomes: &mut Vec<Outcome>) {
        for ((place, _), received) in &self.by_subscription {
            let Some(name) = row.subscriptions.get(*place).map(|of| &of.to.destination) else { continue };
            let known = outcomes.iter().position(|outcome| outcome.destination == *name);
            let place = known.unwrap_or_else(|| {
                outcomes.push(Outcome { destination: name.clone(), counts: Counts::default() });
                outcomes.len() - 1
            });
            if let Some(outcome) = outcomes.get_mut(place) {
                outcome.counts.received += received;
            }
        }
    }
}

/// Counts the uncounted part of a session's log, for display; `None` if there is no log.
pub fn uncounted(
    connection: &Connection,
    source: &Source,
    session: &str,
) -> rusqlite::Result<Option<(SessionRow, Uncounted)>> {
    let Some(row) = SessionRow::of(&source.disk, session)? else { return Ok(None) };
    let found = scan(connection, source, &row, usize::MAX)?;
    Ok(Some((row, found)))
}

/// The sessions whose log is not in the store yet.
pub fn unknown(connection: &Connection, source: &Source) -> rusqlite::Result<Vec<Record>> {
    let mut unknown = Vec::new();
    for id in source.disk.sessions().map_err(disk_error)? {
        if sessions::find(connection, &id)?.is_none()
            && let Some(row) = SessionRow::of(&source.disk, &id)?
        {
            unknown.push(Record::new(row.session));
        }
    }
    Ok(unknown)
}

/// Counts new frames, and returns whether those were all. `now` is in Unix milliseconds.
pub fn count(connection: &Connection, source: &Source, session: &str, now: i64) -> rusqlite::Result<bool> {
    let Some(row) = SessionRow::of(&source.disk, session)? else { return Ok(true) };
    // The store has no row for the session if it was not writable when the session began, or has been replaced since.
    sessions::insert(connection, &row.session)?;
    let found = scan(connection, source, &row, MOST)?;
    for ((place, signal), received) in &found.by_subscription {
        if let Some(of) = row.subscriptions.get(*place) {
            counters::add(connection, &of.to, *signal, Counts { received: *received, ..Counts::default() }, now)?;
        }
    }
    if found.damaged > 0 {
        let message = format!("acknowledged batches that the disk has damaged: {}", found.damaged);
        sessions::note(connection, session, &message)?;
    }
    if found.reached > sessions::counted(connection, session)? {
        sessions::count(connection, session, (found.received, found.refused), found.reached)?;
    }
    Ok(found.is_all)
}

fn scan(connection: &Connection, source: &Source, row: &SessionRow, most: usize) -> rusqlite::Result<Uncounted> {
    let from = sessions::counted(connection, &row.session.id)?;
    let mut found = Uncounted { reached: from, ..Uncounted::default() };
    let mut log = source.reader(&row.session.id, from).map_err(disk_error)?;
    for _ in 0..most {
        let Some(next) = log.next().map_err(disk_error)? else {
            found.is_all = true;
            break;
        };
        found.reached = log.position();
        let Found::Frame(frame) = next else {
            found.damaged += 1;
            continue;
        };
        let header = frame.header;
        found.received += u64::from(header.records);
        found.refused += u64::from(header.refused);
        for (place, of) in row.subscriptions.iter().enumerate() {
            if of.signals.contains(&header.signal) && header.records > 0 {
                *found.by_subscription.entry((place, header.signal)).or_default() += u64::from(header.records);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::counters;
    use crate::store::deliveries::tests::logs;
    use crate::store::fixture::{Fixture, session};

    #[test]
    fn each_frame_is_counted_once_and_shown_before_it_is() {
        let mut fixture = Fixture::new();
        fixture.keep("one", Signal::Logs, &logs(0, 2), 7);
        let (store, source) = (&fixture.store, fixture.source());
        assert!(count(store, &source, "one", 8).unwrap());
        let record = sessions::latest(store, 1).unwrap().remove(0);
        assert_eq!((record.received, record.session), (2, session("one")));
        assert_eq!(uncounted(store, &source, "one").unwrap().unwrap().1.received, 0);

        let other = crate::store::empty().unwrap();
        let (row, found) = uncounted(&other, &source, "one").unwrap().unwrap();
        let mut shown = Vec::new();
        found.add_to(&row, &mut shown);
        assert_eq!((found.received, shown), (2, counters::of(store, "one").unwrap()));
        assert_eq!(uncounted(&other, &source, "two").unwrap(), None);
        assert_eq!(unknown(&other, &source).unwrap(), [Record::new(session("one"))]);
        assert_eq!(unknown(store, &source).unwrap(), []);
    }
}
