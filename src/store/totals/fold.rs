//! Adds a batch to the totals.

use std::collections::BTreeMap;

use bytes::Bytes;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use prost::Message;
use rusqlite::{Connection, OptionalExtension, params};

use super::{MAXIMUM_SERIES, Whose, awaited};
use crate::otlp::Signal;
use crate::spool::{Found, Position, Source};
use crate::store::counters;
use crate::store::counts::Counts;
use crate::store::cursors::{self, Stream};
use crate::store::deliveries::Route;
use crate::store::recipient::Subscription;
use crate::store::waiting::fold_position;
use crate::store::{disk_error, sessions};
use crate::totals::{Delta, Installation, Sifted, Unfit, add, begin, sift_pieces, started};

/// How many of a session's last points are remembered, so that repetitions by its clients are recognised: clients retry
/// for minutes, and send some dozen points at a time.
const REMEMBERED: i64 = 20_000;

/// How far ahead of the clock a change may lie, in milliseconds. Beyond that, the clock has been corrected since.
const CREDIBLE: i64 = 24 * 60 * 60 * 1000;

/// A millisecond, in nanoseconds: what many backends count time in.
pub(super) const MILLISECOND: i64 = 1_000_000;

/// How many batches are added to the totals in one commit, so that others get to write.
const BATCHES: usize = 64;

/// How many bytes are added in one commit, unless a single batch has more.
const BYTES: usize = 512 << 10;

/// A batch of metrics whose deltas are not in a total yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its recipient, as an index into the list of subscriptions.
    pub recipient: usize,
    /// Where the search for it began.
    pub from: Position,
    /// Where it ends.
    pub end: Position,
    /// When it was received, in Unix milliseconds.
    pub received_at: i64,
    /// The request.
    pub body: Bytes,
}

/// The result for a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// How many points were added, or had been added before.
    pub points: u64,
    /// How many points fit no total, and are lost.
    pub unfit: u64,
    /// The reason for the last of these.
    pub reason: Option<Unfit>,
}

/// The positions up to which deltas of recipients are in totals, by index into the list of subscriptions.
pub type FoldFloors = BTreeMap<usize, Position>;

/// Whether the store has lost progress in adding deltas to totals.
pub fn is_behind(connection: &Connection, route: &Route, floors: &FoldFloors) -> rusqlite::Result<bool> {
    for (recipient, floor) in floors {
        let of = route.subscriptions.get(*recipient);
        if let Some(of) = of
            && fold_position(connection, of)? < *floor
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Restores the progress of adding deltas to totals in a store that has lost it: other processes would add the deltas
/// again.
pub fn catch_up(connection: &Connection, route: &Route, floors: &FoldFloors) -> rusqlite::Result<()> {
    for (recipient, floor) in floors {
        let Some(of) = route.subscriptions.get(*recipient) else { continue };
        let known = cursors::find(connection, &of.to, Stream::Fold)?.position;
        if known < *floor {
            cursors::advance(connection, &of.to, Stream::Fold, known, *floor)?;
        }
    }
    Ok(())
}

/// The next batches of metrics whose deltas are not in totals, in order, all of one recipient, as many as are added in
/// one commit. Empty once everything is in totals. `floors` is the caller's own progress, for a store that has lost
/// progress.
pub fn next(
    connection: &Connection,
    source: &Source,
    route: &Route,
    floors: &FoldFloors,
) -> rusqlite::Result<Vec<Batch>> {
    for (recipient, of) in route.subscriptions.iter().enumerate() {
        if !of.signals.contains(&Signal::Metrics) {
            continue;
        }
        let (mut batches, mut bytes) = (Vec::new(), 0);
        let floor = floors.get(&recipient).copied().unwrap_or(Position::START);
        let mut from = fold_position(connection, of)?.max(floor);
        let mut log = source.reader(&of.to.session, from).map_err(disk_error)?;
        while let Some(found) = log.next().map_err(disk_error)? {
            let Found::Frame(frame) = found else { continue };
            if frame.header.signal != Signal::Metrics || frame.header.body == 0 {
                continue;
            }
            let size = frame.header.body as usize;
            if batches.len() >= BATCHES || (!batches.is_empty() && bytes + size > BYTES) {
                break;
            }
            if let Some((_, body)) = log.parts(&frame).map_err(disk_error)? {
                let (end, received_at) = (frame.end, frame.header.time);
                batches.push(Batch { recipient, from, end, received_at, body });
                (from, bytes) = (end, bytes + size);
            }
        }
        if !batches.is_empty() {
            return Ok(batches);
        }
    }
    Ok(Vec::new())
}

/// Adds deltas that belong to no batch and that no recipient waits for. `now` is in Unix milliseconds.
pub fn count_in(connection: &Connection, whose: &Whose, deltas: &[Delta], now: i64) -> rusqlite::Result<()> {
    let (totals, generation) = next_generation(connection, whose)?;
    let counting =
        Counting { connection, totals, generation, floor: floor(connection, totals)?, received_at: now, now };
    for delta in deltas {
        // Our own counters always fit.
        let _ = counting.add(delta)?;
    }
    limit(connection, totals).map(drop)
}

/// Adds the deltas of a recipient's batch to its totals, and moves the recipient's cursor past it in the same commit.
/// Points that are not deltas are left to the cursor of metrics. Does nothing if the cursor has moved. `now` is in Unix
/// milliseconds.
pub fn fold(
    connection: &Connection,
    whose: &Whose,
    of: &Subscription,
    batch: &Batch,
    installation: Installation,
    now: i64,
) -> rusqlite::Result<Folded> {
    if !cursors::advance(connection, &of.to, Stream::Fold, batch.from, batch.end)? {
        return Ok(Folded::default());
    }
    let (totals, generation) = next_generation(connection, whose)?;
    let floor = floor(connection, totals)?;
    let counting = Counting { connection, totals, generation, floor, received_at: batch.received_at, now };
    let (mut folded, mut has_rest) = (Folded::default(), false);
    sift_pieces(&batch.body, installation, &mut |sifted: Sifted| {
        has_rest |= !sifted.rest.is_empty();
        counting.take(&of.to.session, &sifted.deltas, &mut folded)
    })?;
    let metrics = Stream::Of(Signal::Metrics);
    if !has_rest && cursors::find(connection, &of.to, metrics)?.position == batch.from {
        cursors::advance(connection, &of.to, metrics, batch.from, batch.end)?;
    }
    // Points that were forgotten before the destination had them will not be delivered.
    let lost = limit(connection, totals)?.min(folded.points);
    if folded.points > lost {
        awaited::add(connection, &of.to, totals, generation, folded.points - lost, batch.received_at)?;
    }
    let dropped = Counts { dropped: folded.unfit + lost, ..Counts::default() };
    counters::add(connection, &of.to, Signal::Metrics, dropped, now)?;
    if lost > 0 {
        let message = format!("a destination's totals have at most {MAXIMUM_SERIES} series: some points were left out");
        sessions::count_rejected(connection, &of.to.session, lost, Some(&message))?;
    }
    if let Some(reason) = folded.reason {
        let message = format!("a point was left out of the totals: {reason}");
        sessions::count_rejected(connection, &of.to.session, folded.unfit, Some(&message))?;
    }
    forget_points(connection, &of.to.session, totals)?;
    Ok(folded)
}

/// The number of the totals, which are created if needed, and their next generation.
fn next_generation(connection: &Connection, whose: &Whose) -> rusqlite::Result<(i64, i64)> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO totals (fingerprint, profile, destination, generation) VALUES (?1, ?2, ?3, 1)
         ON CONFLICT DO UPDATE SET generation = generation + 1 RETURNING id, generation",
    )?;
    let whose = params![whose.fingerprint, whose.profile, whose.destination];
    statement.query_row(whose, |row| Ok((row.get(0)?, row.get(1)?)))
}

fn floor(connection: &Connection, totals: i64) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT floor FROM totals WHERE id = ?1")?.query_row([totals], |row| row.get(0))
}

/// The addition of one batch to the totals.
struct Counting<'a> {
    connection: &'a Connection,
    totals: i64,
    generation: i64,
    /// The earliest start that a new series may have, in Unix nanoseconds.
    floor: i64,
    received_at: i64,
    now: i64,
}

impl Counting<'_> {
    /// Counts points.
    fn take(&self, session: &str, deltas: &[Delta], folded: &mut Folded) -> rusqlite::Result<()> {
        for delta in deltas {
            match self.count(session, delta)? {
                Ok(()) | Err(Unfit::Empty) => folded.points += 1,
                Err(unfit) => {
                    folded.unfit += 1;
                    folded.reason = Some(unfit);
                }
            }
        }
        Ok(())
    }

    /// Counts a point once, however often it arrives.
    fn count(&self, session: &str, delta: &Delta) -> rusqlite::Result<Result<(), Unfit>> {
        if let Some(identity) = &delta.identity {
            let mut statement = self
                .connection
                .prepare_cached("INSERT OR IGNORE INTO counted (session, totals, identity) VALUES (?1, ?2, ?3)")?;
            if statement.execute(params![session, self.totals, identity])? == 0 {
                return Ok(Ok(()));
            }
        }
        self.add(delta)
    }

    /// Adds a point.
    fn add(&self, delta: &Delta) -> rusqlite::Result<Result<(), Unfit>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT body, start, zero_at > 0 FROM series WHERE totals = ?1 AND place = ?2")?;
        let known = statement.query_row(params![self.totals, delta.place], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?, row.get::<_, bool>(2)?))
        });
        let start = self.start(delta);
        match known.optional()? {
            Some((body, before, is_told)) => {
                // This program wrote the bytes, so they can be read.
                let mut total = ResourceMetrics::decode(&body[..]).unwrap_or_default();
                if let Err(unfit) = add(&mut total, &delta.series) {
                    return Ok(Err(unfit));
                }
                let start = if is_told { before } else { start.min(before) };
                self.update(delta, &total, start)?;
            }
            None => match begin(&delta.series) {
                Ok(total) => self.insert(delta, &total, start)?,
                Err(unfit) => return Ok(Err(unfit)),
            },
        }
        Ok(Ok(()))
    }

    /// The start of a series that begins with this point, in Unix nanoseconds. It is the point's own start, but not in
    /// the future, and not at a time when an older series of the same name was still sent.
    fn start(&self, delta: &Delta) -> i64 {
        let received = self.received_at.saturating_mul(MILLISECOND);
        let said = i64::try_from(started(&mut delta.series.clone())).unwrap_or(0);
        let start = if said > 0 { said.min(received) } else { received };
        start.max(self.floor.saturating_add(MILLISECOND))
    }

    fn update(&self, delta: &Delta, total: &ResourceMetrics, start: i64) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE series SET body = ?3, start = ?4, generation = ?5, changed_at = ?6 WHERE totals = ?1 AND place = ?2",
        )?;
        let body = total.encode_to_vec();
        statement.execute(params![self.totals, delta.place, body, start, self.generation, self.now])?;
        Ok(())
    }

    fn insert(&self, delta: &Delta, total: &ResourceMetrics, start: i64) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO series (totals, place, body, start, generation, changed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let body = total.encode_to_vec();
        statement.execute(params![self.totals, delta.place, body, start, self.generation, self.now])?;
        self.connection
            .prepare_cached("UPDATE totals SET series = series + 1 WHERE id = ?1")?
            .execute([self.totals])?;
        Ok(())
    }
}

/// Forgets which points of a session were counted, except for the last ones.
fn forget_points(connection: &Connection, session: &str, totals: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM counted WHERE session = ?1 AND totals = ?2
            AND id <= (SELECT max(id) FROM counted WHERE session = ?1 AND totals = ?2) - ?3",
    )?;
    statement.execute(params![session, totals, REMEMBERED])?;
    Ok(())
}

/// Forgets the least recently changed series above the limit, and returns how many of them had changes that the
/// destination does not have.
fn limit(connection: &Connection, totals: i64) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT series, acknowledged FROM totals WHERE id = ?1")?;
    let (series, acknowledged): (i64, i64) = statement.query_row([totals], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let over = series - MAXIMUM_SERIES.cast_signed();
    if over <= 0 {
        return Ok(0);
    }
    let mut statement = connection.prepare_cached(
        "DELETE FROM series WHERE totals = ?1 AND place IN
            (SELECT place FROM series WHERE totals = ?1 ORDER BY changed_at, generation LIMIT ?2)
         RETURNING generation > ?3",
    )?;
    let gone = statement.query_map(params![totals, over, acknowledged], |row| row.get::<_, bool>(0))?;
    let gone = gone.collect::<rusqlite::Result<Vec<_>>>()?;
    forgotten(connection, totals, gone.len())?;
    Ok(gone.iter().filter(|is_lost| **is_lost).count() as u64)
}

/// Forgets series that have not changed since `before`, and whose current state the destination has. A series that
/// changed when the clock was ahead counts as changed now. Times are in Unix milliseconds.
pub(super) fn expire(connection: &Connection, totals: i64, now: i64, before: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE series SET changed_at = ?2 WHERE totals = ?1 AND changed_at > ?3")?.execute([
        totals,
        now,
        now.saturating_add(CREDIBLE),
    ])?;
    let mut statement = connection.prepare_cached(
        "DELETE FROM series WHERE totals = ?1 AND changed_at < ?2
            AND generation <= (SELECT acknowledged FROM totals WHERE id = ?1)",
    )?;
    let gone = statement.execute(params![totals, before])?;
    if gone > 0 { forgotten(connection, totals, gone) } else { Ok(()) }
}

fn forgotten(connection: &Connection, totals: i64, gone: usize) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE totals SET series = series - ?2, forgotten = forgotten + ?2, floor = max(floor, latest) WHERE id = ?1",
    )?;
    statement.execute(params![totals, gone.cast_signed()])?;
    Ok(())
}
