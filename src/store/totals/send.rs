//! Sends the totals, request by request.

use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use prost::Message;
use rusqlite::{Connection, params};

use super::fold::{MILLISECOND, expire};
use crate::totals::{Gathered, PLACE, Place, stamp, zero};

/// How far in the past the zero of a series may lie, in nanoseconds. A backend that takes no late points refuses older
/// ones, and an increase during an outage cannot be shown in any case.
const ZERO_BACK: i64 = 60_000 * MILLISECOND;

/// How far ahead of the clock the last point may plausibly be, in nanoseconds. Beyond that, a clock that was wrong by
/// days has been corrected, and points from the future would be sent until it catches up.
const CREDIBLE: i64 = 24 * 60 * 60 * 1000 * MILLISECOND;

/// The longest time for which a refused series is left out, in milliseconds.
const LONGEST_REST: i64 = 60 * 60 * 1000;

/// The time for which it is left out first, in milliseconds.
const FIRST_REST: i64 = 15_000;

/// A selection of series and its limits.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Only series behind this place.
    pub after: Place,
    /// Only series that changed after this generation.
    pub above: i64,
    /// At most this many series.
    pub series: usize,
    /// At most this many bytes in the request.
    pub bytes: usize,
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// The request in protobuf.
    pub body: Vec<u8>,
    /// The series in it, in order.
    pub places: Vec<Place>,
    /// Whether it contains the zeros with which these series begin, instead of their values.
    pub is_zero: bool,
    /// The name of its first metric.
    pub metric: String,
}

/// The next request. It contains the zeros of series that the destination does not know yet, or, once none of these is
/// left, the totals. Times increase from request to request, even if the clock jumps or another process sends; this is
/// recorded before anything is sent. `now`, and `before`, the time since which a series must have changed to be kept,
/// are in Unix milliseconds.
pub fn take(
    connection: &Connection,
    totals: i64,
    wanted: Wanted,
    now: i64,
    before: i64,
) -> rusqlite::Result<Option<Chunk>> {
    expire(connection, totals, now, before)?;
    let now = now.saturating_mul(MILLISECOND);
    let mut statement = connection.prepare_cached("SELECT latest, floor FROM totals WHERE id = ?1")?;
    let (latest, floor): (i64, i64) = statement.query_row([totals], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (latest, before) = (credible(latest, now), floor);
    let floor = credible(before, now);
    if floor < before {
        // Otherwise every series that begins would begin then.
        connection.prepare_cached("UPDATE totals SET floor = ?2 WHERE id = ?1")?.execute(params![totals, floor])?;
    }
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

/// A recorded time, or the latest credible one if it lies too far ahead.
fn credible(noted: i64, now: i64) -> i64 {
    if noted.saturating_sub(now) > CREDIBLE { now - MILLISECOND } else { noted }
}

/// Corrects the start of series that began when the clock was ahead: no point may begin after its own time.
fn begin_by(connection: &Connection, totals: i64, now: i64, ahead: &[Place]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE series SET start = ?3, changed_at = min(changed_at, ?4) WHERE totals = ?1 AND place = ?2",
    )?;
    for place in ahead {
        statement.execute(params![totals, place, now - MILLISECOND, now / MILLISECOND])?;
    }
    Ok(())
}

/// The zeros of new series, and the latest time of any. A zero that is sent again because its acknowledgement was lost
/// may have a later time, but not an earlier one: only zeros were sent before.
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
    let (mut gathered, mut latest, mut times, mut ahead) = (Gathered::default(), 0, Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let (place, mut series) = (place(row.get(0)?), series(row)?);
        let noted: i64 = row.get(2)?;
        let start = credible(noted, now);
        if start < noted {
            ahead.push(place);
        }
        let earliest = now.saturating_sub(ZERO_BACK).max(floor.saturating_add(MILLISECOND));
        let time = start.max(earliest).max(credible(row.get(3)?, now));
        zero(&mut series);
        stamp(&mut series, start.cast_unsigned(), time.cast_unsigned());
        if gathered.places().len() >= wanted.series || !gathered.take(place, series, wanted.bytes) {
            break;
        }
        latest = latest.max(time);
        times.push(time);
    }
    begin_by(connection, totals, now, &ahead)?;
    let mut statement = connection.prepare_cached("UPDATE series SET zero_at = ?3 WHERE totals = ?1 AND place = ?2")?;
    for (place, time) in gathered.places().iter().zip(times) {
        statement.execute(params![totals, place, time])?;
    }
    Ok((gathered, latest))
}

/// The totals at a time. A series that was refused the last time stands alone: it would make others fail with it.
fn values(connection: &Connection, totals: i64, wanted: Wanted, now: i64, time: i64) -> rusqlite::Result<Gathered> {
    let (milliseconds, latest_rest) = rest(now);
    let mut statement = connection.prepare_cached(
        "SELECT place, body, start, refusals FROM series WHERE totals = ?1 AND place > ?2 AND begun > 0
            AND generation > ?3 AND (not_before <= ?4 OR not_before > ?5) ORDER BY place",
    )?;
    let mut rows = statement.query(params![totals, wanted.after, wanted.above, milliseconds, latest_rest])?;
    let (mut gathered, mut ahead) = (Gathered::default(), Vec::new());
    while let Some(row) = rows.next()? {
        let is_alone = row.get::<_, i64>(3)? > 0;
        if is_alone && !gathered.is_empty() {
            break;
        }
        let (place, mut series) = (place(row.get(0)?), series(row)?);
        let noted: i64 = row.get(2)?;
        let start = if noted > time { now - MILLISECOND } else { noted };
        if start < noted {
            ahead.push(place);
        }
        stamp(&mut series, start.cast_unsigned(), time.cast_unsigned());
        if gathered.places().len() >= wanted.series || !gathered.take(place, series, wanted.bytes) || is_alone {
            break;
        }
    }
    begin_by(connection, totals, now, &ahead)?;
    Ok(gathered)
}

/// For a time in Unix nanoseconds: that time, and the latest end of a rest that can have begun by then, in Unix
/// milliseconds. A later end comes from a clock that was wrong.
fn rest(now: i64) -> (i64, i64) {
    let now = now / MILLISECOND;
    (now, now.saturating_add(LONGEST_REST))
}

/// This program wrote the bytes, so they can be read.
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

/// The destination refused the zero of this series for its own sake: its total may pass, alone.
pub fn without_zero(connection: &Connection, totals: i64, place: &Place) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE series SET begun = 2, refusals = max(refusals, 1), not_before = 0 WHERE totals = ?1 AND place = ?2",
    )?;
    statement.execute(params![totals, place])?;
    Ok(())
}

/// The destination has these series, including any that it refused before.
pub fn passed(connection: &Connection, totals: i64, places: &[Place]) -> rusqlite::Result<()> {
    // Only a series that stood alone may have been refused before.
    let [place] = places else { return Ok(()) };
    let mut statement = connection.prepare_cached(
        "UPDATE series SET begun = 1, refusals = 0, not_before = 0 WHERE totals = ?1 AND place = ?2 AND refusals > 0",
    )?;
    statement.execute(params![totals, place])?;
    Ok(())
}

/// The destination refused this series for its own sake: it is left out for a while, longer each time. Its total stays,
/// and is sent afterwards, preceded by its zero if the destination does not have that either. `now` is in Unix
/// milliseconds.
pub fn refused(connection: &Connection, totals: i64, place: &Place, now: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE series SET refusals = min(refusals + 1, 16), not_before = ?3 + min(?4 << min(refusals, 16), ?5),
            begun = begun % 2
         WHERE totals = ?1 AND place = ?2",
    )?;
    statement.execute(params![totals, place, now, FIRST_REST, LONGEST_REST])?;
    Ok(())
}
