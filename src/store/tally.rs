//! What became of what was received, counted for each destination until the destination has been told.
//!
//! In the unit of OTLP's signals: log records, spans and data points. Each number is in the commit of what it counts.

use rusqlite::{Connection, params};

use super::batches::Recipient;
use super::outcomes;
use crate::otlp::Signal;

/// How long numbers are kept that no destination asks for, in milliseconds.
const KEPT: i64 = 30 * 24 * 60 * 60 * 1000;

/// What became of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Received for the destination.
    pub received: u64,
    /// Accepted by the destination.
    pub delivered: u64,
    /// Not taken at the first attempt, and kept.
    pub held: u64,
    /// Never to be delivered: rejected, refused, above the cap, or purged.
    pub dropped: u64,
}

/// What became of a signal's records in a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The signal.
    pub signal: Signal,
    /// When the while began, in Unix milliseconds.
    pub since: i64,
    /// What became of them.
    pub counts: Counts,
}

pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    // `session` is the one that tells the destination; none yet if it is empty.
    connection.execute_batch(
        "CREATE TABLE tally (
            fingerprint BLOB NOT NULL,
            destination TEXT NOT NULL,
            signal TEXT NOT NULL,
            session TEXT NOT NULL,
            since INTEGER NOT NULL,
            received INTEGER NOT NULL,
            delivered INTEGER NOT NULL,
            held INTEGER NOT NULL,
            dropped INTEGER NOT NULL,
            PRIMARY KEY (fingerprint, destination, signal, session)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX tally_session ON tally (session);",
    )
}

/// What adds numbers to those that stand there.
const MERGE: &str = "ON CONFLICT DO UPDATE SET since = min(since, excluded.since),
    received = received + excluded.received, delivered = delivered + excluded.delivered,
    held = held + excluded.held, dropped = dropped + excluded.dropped";

/// Adds to what is counted for a recipient's destination, and for its session. `now` is in Unix milliseconds.
pub fn add(connection: &Connection, to: &Recipient, signal: Signal, counts: Counts, now: i64) -> rusqlite::Result<()> {
    if counts == Counts::default() {
        return Ok(());
    }
    outcomes::add(connection, to, counts)?;
    let mut statement =
        connection.prepare_cached(&format!("INSERT INTO tally VALUES (?1, ?2, ?3, '', ?4, ?5, ?6, ?7, ?8) {MERGE}"))?;
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let Counts { received, delivered, held, dropped } = counts;
    statement.execute(params![
        to.fingerprint,
        to.destination,
        signal.name(),
        now,
        number(received),
        number(delivered),
        number(held),
        number(dropped)
    ])?;
    Ok(())
}

/// What a session is to tell its destination: all that nobody else tells, and what it was about to tell before. Asked
/// again before [`told`], it gives the same and what has been added.
pub fn claim(connection: &Connection, teller: &Recipient) -> rusqlite::Result<Vec<Tally>> {
    let Recipient { session, destination, fingerprint } = teller;
    let moved = connection
        .prepare_cached(&format!(
            "INSERT INTO tally SELECT fingerprint, destination, signal, ?3, since, received, delivered, held, dropped
             FROM tally WHERE fingerprint = ?1 AND destination = ?2 AND session = '' {MERGE}"
        ))?
        .execute(params![fingerprint, destination, session])?;
    if moved > 0 {
        let mut unclaimed = connection
            .prepare_cached("DELETE FROM tally WHERE fingerprint = ?1 AND destination = ?2 AND session = ''")?;
        unclaimed.execute(params![fingerprint, destination])?;
    }
    let mut statement = connection.prepare_cached(
        "SELECT signal, since, received, delivered, held, dropped FROM tally
         WHERE fingerprint = ?1 AND destination = ?2 AND session = ?3",
    )?;
    let rows = statement.query_map(params![fingerprint, destination, session], |row| {
        let count = |column: usize| row.get(column).map(i64::cast_unsigned);
        let signal: String = row.get(0)?;
        Ok(Tally {
            signal: Signal::from_name(&signal).unwrap_or(Signal::Logs),
            since: row.get(1)?,
            counts: Counts { received: count(2)?, delivered: count(3)?, held: count(4)?, dropped: count(5)? },
        })
    })?;
    rows.collect()
}

/// The destination was told what the session had claimed.
pub fn told(connection: &Connection, teller: &Recipient) -> rusqlite::Result<()> {
    let Recipient { session, destination, fingerprint } = teller;
    let mut statement =
        connection.prepare_cached("DELETE FROM tally WHERE fingerprint = ?1 AND destination = ?2 AND session = ?3")?;
    statement.execute(params![fingerprint, destination, session])?;
    Ok(())
}

/// A session is over: what it had claimed and not told is anybody's. Forgets what nobody asked for in a month. `now` is
/// in Unix milliseconds.
pub fn release(connection: &Connection, session: &str, now: i64) -> rusqlite::Result<()> {
    let released = connection
        .prepare_cached(&format!(
            "INSERT INTO tally SELECT fingerprint, destination, signal, '', since, received, delivered, held, dropped
             FROM tally WHERE session = ?1 {MERGE}"
        ))?
        .execute([session])?;
    if released > 0 {
        connection.prepare_cached("DELETE FROM tally WHERE session = ?1")?.execute([session])?;
    }
    connection.prepare_cached("DELETE FROM tally WHERE since < ?1")?.execute([now.saturating_sub(KEPT)])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        create(&connection).unwrap();
        outcomes::create(&connection).unwrap();
        connection
    }

    fn teller(session: &str) -> Recipient {
        Recipient { session: session.to_owned(), destination: "d".to_owned(), fingerprint: vec![1] }
    }

    fn received(received: u64) -> Counts {
        Counts { received, ..Counts::default() }
    }

    fn logs(since: i64, counts: Counts) -> Vec<Tally> {
        vec![Tally { signal: Signal::Logs, since, counts }]
    }

    #[test]
    fn each_number_is_told_once() {
        let store = store();
        let (one, two) = (teller("one"), teller("two"));
        add(&store, &one, Signal::Logs, received(3), 10).unwrap();
        add(&store, &two, Signal::Logs, Counts { delivered: 2, ..received(1) }, 20).unwrap();
        let sum = Counts { delivered: 2, ..received(4) };
        assert_eq!(claim(&store, &one).unwrap(), logs(10, sum));
        assert_eq!(claim(&store, &two).unwrap(), []);
        add(&store, &two, Signal::Logs, received(5), 30).unwrap();
        // What is not told yet is told with what came in between.
        assert_eq!(claim(&store, &one).unwrap(), logs(10, Counts { delivered: 2, ..received(9) }));
        told(&store, &one).unwrap();
        assert_eq!((claim(&store, &one).unwrap(), claim(&store, &two).unwrap()), (vec![], vec![]));
    }

    #[test]
    fn what_an_ended_session_did_not_tell_the_next_one_does() {
        let store = store();
        let (one, two) = (teller("one"), teller("two"));
        add(&store, &one, Signal::Logs, received(3), 10).unwrap();
        claim(&store, &one).unwrap();
        release(&store, "one", 20).unwrap();
        assert_eq!(claim(&store, &two).unwrap(), logs(10, received(3)));
        release(&store, "two", 20 + KEPT).unwrap();
        assert_eq!(claim(&store, &one).unwrap(), [], "what nobody told in a month is forgotten");
    }

    #[test]
    fn destinations_and_signals_are_counted_apart() {
        let store = store();
        let other = Recipient { fingerprint: vec![2], ..teller("one") };
        add(&store, &other, Signal::Traces, received(1), 10).unwrap();
        add(&store, &teller("one"), Signal::Logs, received(2), 10).unwrap();
        add(&store, &teller("one"), Signal::Metrics, Counts::default(), 10).unwrap();
        assert_eq!(claim(&store, &teller("one")).unwrap(), logs(10, received(2)));
        assert_eq!(claim(&store, &other).unwrap().len(), 1);
    }
}
