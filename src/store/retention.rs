//! How long segments are kept: until every reader has passed them, and only while the size limit permits.

use std::time::SystemTime;

use rusqlite::Connection;

use super::deliveries::purge_log;
use super::recipient::SessionRow;
use super::waiting::first_wanted;
use super::{cursors, disk_error, intake, sessions, set_aside, totals};
use crate::spool::{Bound, Disk, Files, Position, Source, has_taken_over, name, segments};

/// The size limit of `spool/` and of data that is set aside, over all sessions, in bytes. Beyond it the oldest data is
/// dropped and counted.
pub const MAXIMUM: u64 = 512 << 20;

/// Removes the segments of a session that every reader has passed; `ledger` is the position of the ledger. Removes the
/// session's directory with the last segment if the log is closed to writing. Returns whether the whole log is gone.
/// Only the session's worker, or the holder of its lock, may call this.
pub fn trim(connection: &Connection, source: &Source, session: &str, ledger: Position) -> rusqlite::Result<bool> {
    let disk = &source.disk;
    let all = segments(disk, session).map_err(disk_error)?;
    let Some(row) = SessionRow::of(disk, session)? else {
        if source.bound() == Bound::Ended {
            for id in all {
                remove(disk, session, id);
            }
            drop(disk.remove_directory(session));
        }
        return Ok(true);
    };
    let wanted = first_wanted(connection, source, &row)?;
    let read = sessions::counted(connection, session)?.min(ledger);
    let unread = source.reader(session, read).map_err(disk_error)?.next().map_err(disk_error)?.map(|_| read);
    let needed = wanted.into_iter().chain(unread).min();
    let is_done = needed.is_none();
    let keep_from = match (source.bound(), needed) {
        (Bound::Ended, None) => None,
        (Bound::Ended, Some(needed)) => Some(needed.segment()),
        // An earlier worker that resumes may be about to acknowledge.
        (Bound::Durable(durable), _) if !has_taken_over(durable) => return Ok(is_done),
        (Bound::Durable(durable), needed) => Some(needed.map_or(durable, |needed| needed.min(durable)).segment()),
        (Bound::Live, _) => return Ok(false),
    };
    for id in all.iter().filter(|id| keep_from.is_none_or(|keep| **id < keep)) {
        remove(disk, session, *id);
    }
    if keep_from.is_none() {
        drop(disk.remove_directory(session));
    }
    Ok(is_done)
}

/// Removes the readers' positions for a session whose log is gone.
pub fn forget(connection: &Connection, session: &str) -> rusqlite::Result<()> {
    cursors::forget(connection, session)?;
    totals::release(connection, session)
}

fn remove(disk: &Disk, session: &str, (worker, number): (u32, u32)) {
    // A segment that remains is tried again with the next one.
    drop(disk.remove(session, &name(worker, number)));
}

/// The oldest segment of all sessions that is closed to writing. `is_live` says which sessions run.
pub fn oldest(disk: &Disk, is_live: impl Fn(&str) -> bool) -> Option<(String, Position)> {
    let mut oldest: Option<(SystemTime, String, Position)> = None;
    for session in disk.sessions().unwrap_or_default() {
        let all = segments(disk, &session).unwrap_or_default();
        // The last segment may be written to, and one more may be prepared in advance.
        let open = if is_live(&session) { 2 } else { 0 };
        let Some((worker, number)) =
            all.get(..all.len().saturating_sub(open)).and_then(|closed| closed.first().copied())
        else {
            continue;
        };
        let Some(modified) = disk.modified(&session, &name(worker, number)) else { continue };
        if oldest.as_ref().is_none_or(|(before, ..)| modified < *before) {
            oldest = Some((modified, session, Position::of_segment(worker, number)));
        }
    }
    oldest.map(|(_, session, segment)| (session, segment))
}

/// Whether the kept data exceeds the limit.
pub fn is_over(connection: &Connection, disk: &Disk, maximum: u64) -> rusqlite::Result<bool> {
    Ok(disk.bytes().saturating_add(set_aside::bytes(connection)?) > maximum)
}

/// Moves every cursor of a session past a segment, and counts the dropped records. The segment is removed once that is
/// committed. `now` is in Unix milliseconds.
pub fn give_up(
    connection: &Connection,
    source: &Source,
    session: &str,
    segment: Position,
    now: i64,
) -> rusqlite::Result<()> {
    while !intake::count(connection, source, session, now)? {}
    let Some(row) = SessionRow::of(&source.disk, session)? else { return Ok(()) };
    let end = Position::of_segment(segment.worker, segment.number.saturating_add(1));
    let mut batches = 0;
    for of in &row.subscriptions {
        batches += purge_log(connection, source, of, Some(end), now)?;
    }
    sessions::count_dropped(connection, session, batches)
}

/// Removes a segment that every cursor has passed.
pub fn unlink(disk: &Disk, session: &str, segment: Position) {
    remove(disk, session, segment.segment());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::Signal;
    use crate::store::counters;
    use crate::store::deliveries::tests::logs;
    use crate::store::deliveries::{self, Floors, Which};
    use crate::store::fixture::Fixture;
    use crate::store::waiting::waiting;

    /// Three batches, each in its own segment.
    fn three() -> Fixture {
        let mut fixture = Fixture::new();
        for number in 0..3 {
            fixture.keep("one", Signal::Logs, &logs(number, 2), 7);
            fixture.close_segment("one");
        }
        fixture
    }

    fn deliver(fixture: &Fixture, batches: usize) {
        let (route, source, floors) = (fixture.route(&["one"]), fixture.source(), Floors::new());
        let which = Which { bytes: 1 << 20, batches, is_deferred: false, is_untried: false, floors: &floors };
        let found = deliveries::next(&fixture.store, &source, &route, which).unwrap().delivery.unwrap();
        deliveries::delivered(&fixture.store, &source, &route, &found, (0, None), 8).unwrap();
    }

    fn left(fixture: &Fixture) -> usize {
        segments(&fixture.source().disk, "one").unwrap().len()
    }

    const PASSED: Position = Position { worker: 9, number: 0, offset: 0 };

    #[test]
    fn segments_read_by_all_are_removed_and_finally_the_directory() {
        let fixture = three();
        let source = fixture.source();
        let trim = |ledger| trim(&fixture.store, &source, "one", ledger).unwrap();
        assert!(!trim(PASSED) && left(&fixture) == 3);
        deliver(&fixture, 2);
        assert!(!trim(Position::START) && left(&fixture) == 3, "the ledger has read nothing");
        assert!(!trim(PASSED) && left(&fixture) == 1);
        deliver(&fixture, 2);
        assert!(trim(PASSED));
        assert_eq!(source.disk.sessions().unwrap(), [""; 0]);
        forget(&fixture.store, "one").unwrap();
    }

    #[test]
    fn above_the_cap_the_oldest_segment_is_removed_and_counted() {
        let fixture = three();
        let source = fixture.source();
        assert!(is_over(&fixture.store, &source.disk, 1000).unwrap());
        assert!(!is_over(&fixture.store, &source.disk, MAXIMUM).unwrap());
        let (session, segment) = oldest(&source.disk, |_| true).unwrap();
        assert_eq!((session.as_str(), segment), ("one", Position::of_segment(1, 1)));
        give_up(&fixture.store, &source, "one", segment, 9).unwrap();
        unlink(&source.disk, "one", segment);
        assert_eq!(oldest(&source.disk, |_| true), None, "the others may be written to");
        assert_eq!(oldest(&source.disk, |_| false).unwrap().1, Position::of_segment(1, 2));
        assert_eq!(waiting(&fixture.store, &source).unwrap()[0].batches, 2);
        let counts = counters::of(&fixture.store, "one").unwrap()[0].counts;
        assert_eq!((counts.received, counts.dropped), (6, 2));
        assert_eq!(sessions::latest(&fixture.store, 1).unwrap()[0].dropped, 1);
        deliver(&fixture, 10);
        assert!(waiting(&fixture.store, &source).unwrap().is_empty());
    }
}
