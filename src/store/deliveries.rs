//! Deliveries under way: what goes into one request, and what becomes of it.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use super::batches::{self, Recipient};
use super::tally::{self, Counts};
use crate::otlp::Signal;

/// How many deliveries are looked at for one request.
const SIGHT: usize = 1000;

/// A batch's place in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Whose it is, as a place in the list of recipients.
    pub recipient: usize,
    /// The batch's number.
    pub batch: i64,
    /// When it has its turn: behind its number's place if it was put off for the sake of others.
    pub turn: i64,
    /// How many bytes it has.
    pub size: usize,
    /// How often it was tried.
    pub attempts: u32,
}

impl Part {
    /// What failed before goes apart from what did not: it may be to blame, and would take the other with it.
    fn goes_with(&self, other: &Self) -> bool {
        (self.attempts > 0) == (other.attempts > 0)
    }
}

/// What goes into one request, not loaded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The signal of all of it.
    pub signal: Signal,
    /// At least one.
    pub parts: Vec<Part>,
}

/// A request, ready to be sent.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What it carries.
    pub signal: Signal,
    /// The batches in it, in their order.
    pub parts: Vec<Part>,
    /// The request, protobuf: bodies one after the other are one message with all their resources (protobuf encoding,
    /// *Last One Wins*: repeated fields of messages that are merged are concatenated).
    pub body: Bytes,
}

/// Which deliveries are asked for, and how much of them.
#[derive(Clone, Copy, Debug)]
pub struct Which<'a> {
    /// At most so many bytes, unless a single batch has more.
    pub bytes: usize,
    /// At most so many batches.
    pub batches: usize,
    /// Those that were put off, or those that were not.
    pub put_off: bool,
    /// Only those that have their turn after this one.
    pub after: Option<&'a Part>,
    /// Only these signals; all if there is no list.
    pub signals: Option<&'a [Signal]>,
    /// Metrics only of batches that hold no deltas, for these are to become totals.
    pub without_deltas: bool,
}

impl Which<'_> {
    /// Those that have their turn.
    pub fn in_turn(bytes: usize, batches: usize) -> Self {
        Self { bytes, batches, put_off: false, after: None, signals: None, without_deltas: false }
    }
}

/// What goes into the next request: of the recipients, who share a destination, one after the other; of one signal.
pub fn next(connection: &Connection, recipients: &[Recipient], which: Which<'_>) -> rusqlite::Result<Option<Request>> {
    let mut statement = connection.prepare_cached(
        "SELECT turn, batch.id, signal, size, attempts, EXISTS (SELECT 1 FROM sifted WHERE sifted.batch = batch.id)
         FROM delivery JOIN batch ON batch.id = delivery.batch
         WHERE delivery.session = ?1 AND destination = ?2 AND fingerprint = ?3
         AND (turn, delivery.batch) > (?4, ?5) AND (turn > delivery.batch) = ?6 ORDER BY turn, delivery.batch",
    )?;
    let mut found: Option<Request> = None;
    let (mut bytes, mut seen) = (0, 0);
    for (recipient, to) in recipients.iter().enumerate() {
        let after = which.after.filter(|after| recipient <= after.recipient);
        if after.is_some_and(|after| recipient < after.recipient) {
            continue;
        }
        let (turn, batch) = after.map_or((i64::MIN, i64::MIN), |after| (after.turn, after.batch));
        let Recipient { session, destination, fingerprint } = to;
        let mut rows = statement.query(params![session, destination, fingerprint, turn, batch, which.put_off])?;
        while let Some(row) = rows.next()? {
            seen += 1;
            let signal = batches::signal(&row.get::<_, String>(2)?);
            let is_wanted = which.signals.is_none_or(|signals| signals.contains(&signal))
                && (!which.without_deltas || signal != Signal::Metrics || row.get(5)?);
            if !is_wanted || found.as_ref().is_some_and(|found| found.signal != signal) {
                if seen >= SIGHT && found.is_some() {
                    return Ok(found);
                }
                continue;
            }
            let (turn, batch, attempts) = (row.get(0)?, row.get(1)?, row.get(4)?);
            let size = usize::try_from(row.get::<_, i64>(3)?).unwrap_or(0);
            let part = Part { recipient, batch, turn, size, attempts };
            bytes += part.size;
            let request = found.get_or_insert(Request { signal, parts: Vec::new() });
            if request.parts.first().is_some_and(|first| bytes > which.bytes || !first.goes_with(&part)) {
                return Ok(found);
            }
            request.parts.push(part);
            if request.parts.len() >= which.batches.max(1) {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

impl Request {
    /// Loads the bodies. One that has gone since it was found leaves the request; all of them may have.
    pub fn load(self, connection: &Connection) -> rusqlite::Result<Delivery> {
        let mut statement = connection.prepare_cached("SELECT body FROM batch WHERE id = ?1")?;
        let mut body = Vec::with_capacity(self.parts.iter().map(|part| part.size).sum());
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in self.parts {
            let append = |row: &rusqlite::Row<'_>| {
                let blob = row.get_ref(0)?.as_blob()?;
                body.extend_from_slice(blob);
                Ok(blob.len())
            };
            let size = statement.query_row([part.batch], append).optional()?;
            parts.extend(size.map(|size| Part { size, ..part }));
        }
        Ok(Delivery { signal: self.signal, parts, body: body.into() })
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
}

/// The recipients have it, but for so many records that their destination rejected. `now` is in Unix milliseconds.
pub fn delivered(
    connection: &Connection,
    recipients: &[Recipient],
    delivery: &Delivery,
    rejected: u64,
    now: i64,
) -> rusqlite::Result<()> {
    for part in &delivery.parts {
        if let Some(to) = recipients.get(part.recipient) {
            batches::remove(connection, to, part.batch)?;
        }
    }
    let Some(to) = recipients.first() else { return Ok(()) };
    let records = batches::records(delivery.signal, &delivery.body);
    let dropped = rejected.min(records);
    let counts = Counts { delivered: records - dropped, dropped, ..Counts::default() };
    tally::add(connection, to, delivery.signal, counts, now)
}

/// The destination did not take it this time: it stays, with the reason. `now` is in Unix milliseconds.
pub fn held(
    connection: &Connection,
    recipients: &[Recipient],
    delivery: &Delivery,
    reason: &str,
    now: i64,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE delivery SET attempts = attempts + 1, last_error = ?5
         WHERE session = ?1 AND destination = ?2 AND fingerprint = ?3 AND batch = ?4",
    )?;
    for (part, body) in delivery.bodies() {
        let Some(to) = recipients.get(part.recipient) else { continue };
        statement.execute(params![to.session, to.destination, to.fingerprint, part.batch, reason])?;
        if part.attempts == 0 {
            let held = Counts { held: batches::records(delivery.signal, body), ..Counts::default() };
            tally::add(connection, to, delivery.signal, held, now)?;
        }
    }
    Ok(())
}

/// Puts parts behind all others of their recipients: what is refused must not hold up what passes.
pub fn put_off(connection: &Connection, recipients: &[Recipient], parts: &[Part]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE delivery SET turn = 1 + max(batch, (
            SELECT max(turn) FROM delivery WHERE session = ?1 AND destination = ?2 AND fingerprint = ?3))
         WHERE session = ?1 AND destination = ?2 AND fingerprint = ?3 AND batch = ?4",
    )?;
    for part in parts {
        if let Some(to) = recipients.get(part.recipient) {
            statement.execute(params![to.session, to.destination, to.fingerprint, part.batch])?;
        }
    }
    Ok(())
}

/// Has two batches take the place of one that is too large for its recipient. The others of its recipients keep it.
/// In one commit, so that whatever happens each of its records is in exactly one batch for this recipient. `now` is in
/// Unix milliseconds.
pub fn replace(
    connection: &Connection,
    to: &Recipient,
    part: &Part,
    signal: Signal,
    halves: [&[u8]; 2],
    now: i64,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("SELECT received_at FROM batch WHERE id = ?1")?;
    let received_at: Option<i64> = statement.query_row([part.batch], |row| row.get(0)).optional()?;
    let mut statement = connection.prepare_cached(
        "SELECT 1 FROM delivery WHERE session = ?1 AND destination = ?2 AND fingerprint = ?3 AND batch = ?4",
    )?;
    let waits = statement.exists(params![to.session, to.destination, to.fingerprint, part.batch])?;
    // One that was purged meanwhile does not come back in parts.
    let Some(received_at) = received_at.filter(|_| waits) else { return Ok(()) };
    batches::remove(connection, to, part.batch)?;
    for half in halves {
        let batch = batches::insert_body(connection, &to.session, signal, half, received_at)?;
        // At its turn: what is newer has a greater one.
        batches::insert_delivery(connection, to, part.turn.min(batch), batch)?;
    }
    batches::drop_over_cap(connection, batches::MAXIMUM_WAITING, now)
}

#[cfg(test)]
pub(super) mod tests;
