//! Adding a batch to the totals.

use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use prost::Message;
use rusqlite::{Connection, OptionalExtension, params};

use super::{MAXIMUM_SERIES, Whose, awaited, release};
use crate::otlp::Signal;
use crate::store::batches::{self, Recipient};
use crate::store::sessions;
use crate::store::tally::{self, Counts};
use crate::totals::{Delta, Sifted, Unfit, add, begin, started};

/// How many points are remembered of a session, the last ones, so that what its clients repeat is known: clients try
/// again for minutes, and hand over some dozen points at a time.
const REMEMBERED: i64 = 20_000;

/// A millisecond, in nanoseconds: what many backends count time in.
pub(super) const MILLISECOND: i64 = 1_000_000;

/// A batch of metrics that waits and was not looked at yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Whose it is, as a place in the list of recipients.
    pub recipient: usize,
    /// Its number.
    pub id: i64,
    /// When it has its turn.
    pub turn: i64,
    /// How many bytes it has.
    pub size: usize,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// How many points were added, or had been before.
    pub points: u64,
    /// How many fit no total, and are gone.
    pub unfit: u64,
    /// Why the last of these did not.
    pub reason: Option<Unfit>,
}

/// The first batch of metrics that waits for any of the recipients and may hold deltas.
pub fn next(connection: &Connection, recipients: &[Recipient]) -> rusqlite::Result<Option<Batch>> {
    let mut statement = connection.prepare_cached(
        "SELECT batch.id, turn, size FROM delivery JOIN batch ON batch.id = delivery.batch
         WHERE delivery.session = ?1 AND destination = ?2 AND fingerprint = ?3 AND signal = 'metrics'
            AND NOT EXISTS (SELECT 1 FROM sifted WHERE sifted.batch = batch.id) ORDER BY batch.id LIMIT 1",
    )?;
    let mut first: Option<Batch> = None;
    for (recipient, to) in recipients.iter().enumerate() {
        let found = statement.query_row(params![to.session, to.destination, to.fingerprint], |row| {
            let size = usize::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
            Ok(Batch { recipient, id: row.get(0)?, turn: row.get(1)?, size })
        });
        let found = found.optional()?;
        first = first.into_iter().chain(found).min_by_key(|batch| batch.id);
    }
    Ok(first)
}

/// What a batch holds, if it is still there.
pub fn body(connection: &Connection, batch: &Batch) -> rusqlite::Result<Option<Vec<u8>>> {
    Ok(batches::body(connection, batch.id)?.map(|(_, body)| body))
}

/// Notes that a batch holds no deltas, or none that can become totals: it is delivered as it is, whoever it is for.
pub fn sifted(connection: &Connection, batch: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT OR IGNORE INTO sifted VALUES (?1)")?.execute([batch])?;
    Ok(())
}

/// Adds deltas that wait in no batch and that nobody waits for. `now` is in Unix milliseconds.
pub fn count_in(connection: &Connection, whose: &Whose, deltas: &[Delta], now: i64) -> rusqlite::Result<()> {
    let (totals, generation) = next_generation(connection, whose)?;
    let counting =
        Counting { connection, totals, generation, floor: floor(connection, totals)?, received_at: now, now };
    for delta in deltas {
        // What is counted here always fits.
        let _ = counting.add(delta)?;
    }
    limit(connection, totals)
}

/// Adds the deltas of a recipient's batch to somebody's totals, and has what else is in it take its place. Nothing
/// happens if the recipient does not wait for the batch any more. `now` is in Unix milliseconds.
pub fn fold(
    connection: &Connection,
    whose: &Whose,
    to: &Recipient,
    batch: &Batch,
    sifted: &Sifted,
    now: i64,
) -> rusqlite::Result<Folded> {
    let Some(received_at) = received_at(connection, to, batch.id)? else { return Ok(Folded::default()) };
    let (totals, generation) = next_generation(connection, whose)?;
    let counting = Counting { connection, totals, generation, floor: floor(connection, totals)?, received_at, now };
    let mut folded = Folded::default();
    for delta in &sifted.deltas {
        match counting.count(&to.session, delta)? {
            Ok(()) | Err(Unfit::Empty) => folded.points += 1,
            Err(unfit) => {
                folded.unfit += 1;
                folded.reason = Some(unfit);
            }
        }
    }
    awaited::add(connection, to, totals, generation, folded.points, received_at)?;
    tally::add(connection, to, Signal::Metrics, Counts { dropped: folded.unfit, ..Counts::default() }, now)?;
    if let Some(reason) = folded.reason {
        let message = format!("a point was left out of the totals: {reason}");
        sessions::count_rejected(connection, &to.session, folded.unfit, Some(&message))?;
    }
    batches::remove(connection, to, batch.id)?;
    if !sifted.rest.is_empty() {
        let rest = batches::insert_body(connection, &to.session, Signal::Metrics, &sifted.rest, received_at)?;
        batches::insert_delivery(connection, to, batch.turn.min(rest), rest)?;
        self::sifted(connection, rest)?;
    }
    forget_points(connection, &to.session, totals)?;
    limit(connection, totals)?;
    Ok(folded)
}

/// When a batch was received that the recipient still waits for, in Unix milliseconds.
fn received_at(connection: &Connection, to: &Recipient, batch: i64) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached(
        "SELECT received_at FROM delivery JOIN batch ON batch.id = delivery.batch
         WHERE delivery.session = ?1 AND destination = ?2 AND fingerprint = ?3 AND delivery.batch = ?4",
    )?;
    statement.query_row(params![to.session, to.destination, to.fingerprint, batch], |row| row.get(0)).optional()
}

/// The number of somebody's totals, which are made if there are none, and their next generation.
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

/// One batch's way into the totals.
struct Counting<'a> {
    connection: &'a Connection,
    totals: i64,
    generation: i64,
    /// No series that begins may say that it did before this, in Unix nanoseconds.
    floor: i64,
    received_at: i64,
    now: i64,
}

impl Counting<'_> {
    /// Counts a point once, however often it comes.
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
                // What was written here can be read here.
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

    /// Since when a series counts that begins with this point, in Unix nanoseconds: since when the point does, but not
    /// since a moment of the future, nor one at which an older series of the same name was still told.
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

/// Forgets which points were counted of a session, but for the last ones; all of them once it is over.
fn forget_points(connection: &Connection, session: &str, totals: i64) -> rusqlite::Result<()> {
    let mut ended = connection.prepare_cached("SELECT 1 FROM session WHERE id = ?1 AND ended_at IS NOT NULL")?;
    if ended.exists([session])? {
        return release(connection, session);
    }
    let mut statement = connection.prepare_cached(
        "DELETE FROM counted WHERE session = ?1 AND totals = ?2
            AND id <= (SELECT max(id) FROM counted WHERE session = ?1 AND totals = ?2) - ?3",
    )?;
    statement.execute(params![session, totals, REMEMBERED])?;
    Ok(())
}

/// Forgets the series that changed least recently, above the limit.
fn limit(connection: &Connection, totals: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("SELECT series FROM totals WHERE id = ?1")?;
    let series: i64 = statement.query_row([totals], |row| row.get(0))?;
    let over = series - MAXIMUM_SERIES.cast_signed();
    if over <= 0 {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(
        "DELETE FROM series WHERE totals = ?1 AND place IN
            (SELECT place FROM series WHERE totals = ?1 ORDER BY changed_at, generation LIMIT ?2)",
    )?;
    let gone = statement.execute(params![totals, over])?;
    forgotten(connection, totals, gone)
}

/// Forgets series that have not changed since `before`, in Unix milliseconds, and that the destination has as they are.
pub(super) fn expire(connection: &Connection, totals: i64, before: i64) -> rusqlite::Result<()> {
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
