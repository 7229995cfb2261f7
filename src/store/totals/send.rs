//! What is sent of the totals, request by request.

use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use prost::Message;
use rusqlite::{Connection, params};

use super::fold::{MILLISECOND, expire};
use crate::totals::{Gathered, PLACE, Place, stamp, zero};

/// How far back the zero of a series may lie, in nanoseconds: a backend that takes no late points refuses older ones,
/// and nothing can be seen of what was counted in an outage in any case.
const ZERO_BACK: i64 = 60_000 * MILLISECOND;

/// How far ahead of the clock the last point may be to be believed, in nanoseconds. Beyond it somebody has set the clock
/// right that was wrong by days, and points of the future would be sent until it gets there.
const CREDIBLE: i64 = 24 * 60 * 60 * 1000 * MILLISECOND;

/// How long a series that was refused may be left out, in milliseconds.
const LONGEST_REST: i64 = 60 * 60 * 1000;

/// How long it is after the first time, in milliseconds.
const FIRST_REST: i64 = 15_000;

/// Which series are asked for, and how much of them.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Only those behind this place.
    pub after: Place,
    /// Only those that have changed after this generation.
    pub above: i64,
    /// At most so many.
    pub series: usize,
    /// In a request of at most so many bytes.
    pub bytes: usize,
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Protobuf.
    pub body: Vec<u8>,
    /// The series in it, in their order.
    pub places: Vec<Place>,
    /// Whether it says that these begin, rather than where they are.
    pub is_zero: bool,
    /// The name of its first metric.
    pub metric: String,
}

/// The next request: of series that the destination knows nothing of yet, that they begin with nothing; once there are
/// none of these, the totals. Time goes on from request to request, whatever the clock does, and whoever sends; that is
/// noted before anything is sent. `now` and `before`, since when a series must have changed not to be forgotten, are in
/// Unix milliseconds.
pub fn take(
    connection: &Connection,
    totals: i64,
    wanted: Wanted,
    now: i64,
    before: i64,
) -> rusqlite::Result<Option<Chunk>> {
    expire(connection, totals, before)?;
    let now = now.saturating_mul(MILLISECOND);
    let mut statement = connection.prepare_cached("SELECT latest, floor FROM totals WHERE id = ?1")?;
    let (latest, floor): (i64, i64) = statement.query_row([totals], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let latest = if latest.saturating_sub(now) > CREDIBLE { now - MILLISECOND } else { latest };
    let (gathered, time) = zeros(connection, totals, wanted, now, floor.max(latest))?;
    let (gathered, time, is_zero) = if gathered.is_empty() {
        let time = now.max(latest.saturating_add(MILLISECOND));
        (values(connection, totals, wanted, now, time)?, time, false)
    } else {
        (gathered, time.max(latest), true)
    };
    if gathered.is_empty() {
        return Ok(None);
    }
    connection.prepare_cached("UPDATE totals SET latest = ?2 WHERE id = ?1")?.execute(params![totals, time])?;
    let (places, metric) = (gathered.places().to_vec(), gathered.first_metric().to_owned());
    Ok(Some(Chunk { body: gathered.encode(), places, is_zero, metric }))
}

/// The zeros of new series, and the latest time of any. One that is sent again, for its acknowledgement was lost, may be
/// a later one, but no earlier one: nothing but zeros was sent before.
fn zeros(
    connection: &Connection,
    totals: i64,
    wanted: Wanted,
    now: i64,
    floor: i64,
) -> rusqlite::Result<(Gathered, i64)> {
    let mut statement = connection.prepare_cached(
        "SELECT place, body, start, zero_at FROM series INDEXED BY series_new
         WHERE totals = ?1 AND begun = 0 AND (not_before <= ?2 OR not_before > ?3) ORDER BY place",
    )?;
    let (milliseconds, latest_rest) = rest(now);
    let mut rows = statement.query(params![totals, milliseconds, latest_rest])?;
    let (mut gathered, mut latest, mut times) = (Gathered::default(), 0, Vec::new());
    while let Some(row) = rows.next()? {
        let (place, mut series) = (place(row.get(0)?), series(row)?);
        let start: i64 = row.get(2)?;
        let earliest = now.saturating_sub(ZERO_BACK).max(floor.saturating_add(MILLISECOND));
        let time = start.max(earliest).max(row.get(3)?);
        zero(&mut series);
        stamp(&mut series, start.cast_unsigned(), time.cast_unsigned());
        if gathered.places().len() >= wanted.series || !gathered.take(place, series, wanted.bytes) {
            break;
        }
        latest = latest.max(time);
        times.push(time);
    }
    let mut statement = connection.prepare_cached("UPDATE series SET zero_at = ?3 WHERE totals = ?1 AND place = ?2")?;
    for (place, time) in gathered.places().iter().zip(times) {
        statement.execute(params![totals, place, time])?;
    }
    Ok((gathered, latest))
}

/// The totals at a time. One that was refused the last time stands alone: it would take others with it.
fn values(connection: &Connection, totals: i64, wanted: Wanted, now: i64, time: i64) -> rusqlite::Result<Gathered> {
    let (milliseconds, latest_rest) = rest(now);
    let mut statement = connection.prepare_cached(
        "SELECT place, body, start, refusals FROM series WHERE totals = ?1 AND place > ?2 AND begun > 0
            AND generation > ?3 AND (not_before <= ?4 OR not_before > ?5) ORDER BY place",
    )?;
    let mut rows = statement.query(params![totals, wanted.after, wanted.above, milliseconds, latest_rest])?;
    let mut gathered = Gathered::default();
    while let Some(row) = rows.next()? {
        let is_alone = row.get::<_, i64>(3)? > 0;
        if is_alone && !gathered.is_empty() {
            break;
        }
        let (place, mut series) = (place(row.get(0)?), series(row)?);
        stamp(&mut series, row.get::<_, i64>(2)?.cast_unsigned(), time.cast_unsigned());
        if gathered.places().len() >= wanted.series || !gathered.take(place, series, wanted.bytes) || is_alone {
            break;
        }
    }
    Ok(gathered)
}

/// At a moment in Unix nanoseconds: now, and when the longest rest ends that can have begun, in Unix milliseconds. A
/// later one is of a clock that was wrong.
fn rest(now: i64) -> (i64, i64) {
    let now = now / MILLISECOND;
    (now, now.saturating_add(LONGEST_REST))
}

/// What was written here can be read here.
fn series(row: &rusqlite::Row<'_>) -> rusqlite::Result<ResourceMetrics> {
    Ok(ResourceMetrics::decode(row.get_ref(1)?.as_blob()?).unwrap_or_default())
}

fn place(bytes: Vec<u8>) -> Place {
    bytes.try_into().unwrap_or([0; PLACE])
}

/// The destination has the zeros of these series.
pub fn begun(connection: &Connection, totals: i64, places: &[Place]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("UPDATE series SET begun = 1 WHERE totals = ?1 AND place = ?2")?;
    for place in places {
        statement.execute(params![totals, place])?;
    }
    Ok(())
}

/// The destination refused the zero of this series for itself: its total may pass, alone.
pub fn without_zero(connection: &Connection, totals: i64, place: &Place) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE series SET begun = 2, refusals = max(refusals, 1), not_before = 0 WHERE totals = ?1 AND place = ?2",
    )?;
    statement.execute(params![totals, place])?;
    Ok(())
}

/// The destination has these series, whatever it had against any of them.
pub fn passed(connection: &Connection, totals: i64, places: &[Place]) -> rusqlite::Result<()> {
    // Only one that stood alone may have been refused before.
    let [place] = places else { return Ok(()) };
    let mut statement = connection.prepare_cached(
        "UPDATE series SET begun = 1, refusals = 0, not_before = 0 WHERE totals = ?1 AND place = ?2 AND refusals > 0",
    )?;
    statement.execute(params![totals, place])?;
    Ok(())
}

/// The destination refused this series for itself: it is left out for a while, longer each time. Its total stays, and is
/// sent then, after its zero if the destination has not even that. `now` is in Unix milliseconds.
pub fn refused(connection: &Connection, totals: i64, place: &Place, now: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE series SET refusals = min(refusals + 1, 16), not_before = ?3 + min(?4 << min(refusals, 16), ?5),
            begun = begun % 2
         WHERE totals = ?1 AND place = ?2",
    )?;
    statement.execute(params![totals, place, now, FIRST_REST, LONGEST_REST])?;
    Ok(())
}
