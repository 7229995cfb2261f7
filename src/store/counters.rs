//! Counts the outcome of each session's records at each of its destinations, in the unit of OTLP's signals: log
//! records, spans and data points. Each number is committed together with the change that it counts.
//!
//! A number is pending until a session has reported it to the destination, and stays the session's own afterwards.

use rusqlite::{Connection, params};

use super::counts::Counts;
use super::recipient::Recipient;
use crate::otlp::Signal;

/// How long a number stays pending if no session reports it, in milliseconds.
const PENDING_FOR: i64 = 30 * 24 * 60 * 60 * 1000;

/// The reporter of numbers that no session has claimed yet.
const UNCLAIMED: &str = "";

/// The reporter of numbers that the destination has received. No session has such an id.
const REPORTED: &str = "-";

/// The outcome of a session's records at one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The destination's name in the session's profile.
    pub destination: String,
    /// In log records, spans and data points.
    pub counts: Counts,
}

/// The outcome of a signal's records over a period, not reported yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingCounters {
    /// The signal.
    pub signal: Signal,
    /// The beginning of the period, in Unix milliseconds.
    pub since: i64,
    /// The counts of the period.
    pub counts: Counts,
}

pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    // `session` is the one that received the records, `reporter` the one that reports the numbers.
    connection.execute_batch(
        "CREATE TABLE counters (
            session TEXT NOT NULL,
            destination TEXT NOT NULL,
            fingerprint BLOB NOT NULL,
            signal TEXT NOT NULL,
            reporter TEXT NOT NULL,
            since INTEGER NOT NULL,
            received INTEGER NOT NULL,
            delivered INTEGER NOT NULL,
            held INTEGER NOT NULL,
            dropped INTEGER NOT NULL,
            PRIMARY KEY (session, destination, fingerprint, signal, reporter)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX counters_reporter ON counters (reporter, fingerprint, destination);",
    )
}

/// Adds numbers to existing ones.
const MERGE: &str = "ON CONFLICT DO UPDATE SET since = min(since, excluded.since),
    received = received + excluded.received, delivered = delivered + excluded.delivered,
    held = held + excluded.held, dropped = dropped + excluded.dropped";

/// The numbers of one reporter for one destination.
const OF_REPORTER: &str = "reporter = ?1 AND fingerprint = ?3 AND destination = ?4";

/// Adds to the counts of a recipient's records. `now` is in Unix milliseconds.
pub fn add(connection: &Connection, to: &Recipient, signal: Signal, counts: Counts, now: i64) -> rusqlite::Result<()> {
    if counts == Counts::default() {
        return Ok(());
    }
    let mut statement = connection
        .prepare_cached(&format!("INSERT INTO counters VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) {MERGE}"))?;
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let Counts { received, delivered, held, dropped } = counts;
    statement.execute(params![
        to.session,
        to.destination,
        to.fingerprint,
        signal.name(),
        UNCLAIMED,
        now,
        number(received),
        number(delivered),
        number(held),
        number(dropped)
    ])?;
    Ok(())
}

/// The outcome of a session's records, by destination.
pub fn of(connection: &Connection, session: &str) -> rusqlite::Result<Vec<Outcome>> {
    let mut statement = connection.prepare_cached(
        "SELECT sum(received), sum(delivered), sum(held), sum(dropped), destination FROM counters
         WHERE session = ?1 GROUP BY destination ORDER BY destination",
    )?;
    let rows = statement.query_map([session], |row| Ok(Outcome { counts: counts(row)?, destination: row.get(4)? }))?;
    rows.collect()
}

/// Claims the numbers that a session has to report to its destination: all that no other session has claimed, and those
/// that it claimed before. Called again before [`reported`], it returns the same numbers with any additions.
pub fn claim(connection: &Connection, reporter: &Recipient) -> rusqlite::Result<Vec<PendingCounters>> {
    hand_over(connection, reporter, UNCLAIMED, &reporter.session)?;
    let mut statement = connection.prepare_cached(
        "SELECT sum(received), sum(delivered), sum(held), sum(dropped), signal, min(since) FROM counters
         WHERE reporter = ?1 AND fingerprint = ?2 AND destination = ?3 GROUP BY signal",
    )?;
    let Recipient { session, destination, fingerprint } = reporter;
    let rows = statement.query_map(params![session, fingerprint, destination], |row| {
        let signal = Signal::from_name(&row.get::<_, String>(4)?).unwrap_or(Signal::Logs);
        Ok(PendingCounters { signal, since: row.get(5)?, counts: counts(row)? })
    })?;
    rows.collect()
}

/// The destination has the numbers that the session claimed.
pub fn reported(connection: &Connection, reporter: &Recipient) -> rusqlite::Result<()> {
    hand_over(connection, reporter, &reporter.session, REPORTED)
}

/// A session is over: another may report the numbers that it claimed but did not report. Numbers that no session
/// reports within a month are never reported. `now` is in Unix milliseconds.
pub fn release(connection: &Connection, session: &str, now: i64) -> rusqlite::Result<()> {
    move_numbers(connection, "reporter = ?1", params![session, UNCLAIMED])?;
    let oldest = now.saturating_sub(PENDING_FOR);
    move_numbers(connection, "reporter = ?1 AND since < ?3", params![UNCLAIMED, REPORTED, oldest])
}

/// Moves the numbers for a destination from one reporter to another.
fn hand_over(connection: &Connection, of: &Recipient, from: &str, to: &str) -> rusqlite::Result<()> {
    move_numbers(connection, OF_REPORTER, params![from, to, of.fingerprint, of.destination])
}

/// Moves numbers to another reporter, the second parameter.
fn move_numbers(connection: &Connection, which: &str, parameters: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<()> {
    let moved = connection
        .prepare_cached(&format!(
            "INSERT INTO counters SELECT session, destination, fingerprint, signal, ?2, since, received, delivered, held,
             dropped FROM counters WHERE {which} {MERGE}"
        ))?
        .execute(parameters)?;
    if moved > 0 {
        // The condition on the second parameter has no effect here: SQLite requires the parameter to be named.
        let mut gone = connection.prepare_cached(&format!("DELETE FROM counters WHERE {which} AND reporter <> ?2"))?;
        gone.execute(parameters)?;
    }
    Ok(())
}

/// The counts in the first four columns.
fn counts(row: &rusqlite::Row<'_>) -> rusqlite::Result<Counts> {
    let count = |column: usize| row.get(column).map(i64::cast_unsigned);
    Ok(Counts { received: count(0)?, delivered: count(1)?, held: count(2)?, dropped: count(3)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        create(&connection).unwrap();
        connection
    }

    fn reporter(session: &str) -> Recipient {
        Recipient { session: session.to_owned(), destination: "d".to_owned(), fingerprint: vec![1] }
    }

    fn received(received: u64) -> Counts {
        Counts { received, ..Counts::default() }
    }

    fn logs(since: i64, counts: Counts) -> Vec<PendingCounters> {
        vec![PendingCounters { signal: Signal::Logs, since, counts }]
    }

    fn outcome(destination: &str, counts: Counts) -> Outcome {
        Outcome { destination: destination.to_owned(), counts }
    }

    #[test]
    fn each_count_is_reported_once_and_stays_with_its_session() {
        let store = store();
        let (one, two) = (reporter("one"), reporter("two"));
        add(&store, &one, Signal::Logs, received(3), 10).unwrap();
        add(&store, &two, Signal::Logs, Counts { delivered: 2, ..received(1) }, 20).unwrap();
        let sum = Counts { delivered: 2, ..received(4) };
        assert_eq!(claim(&store, &one).unwrap(), logs(10, sum));
        assert_eq!(claim(&store, &two).unwrap(), []);
        add(&store, &two, Signal::Logs, received(5), 30).unwrap();
        // Numbers that are not reported yet are reported with those added in between.
        assert_eq!(claim(&store, &one).unwrap(), logs(10, Counts { delivered: 2, ..received(9) }));
        reported(&store, &one).unwrap();
        assert_eq!((claim(&store, &one).unwrap(), claim(&store, &two).unwrap()), (vec![], vec![]));
        assert_eq!(of(&store, "one").unwrap(), [outcome("d", received(3))]);
        assert_eq!(of(&store, "two").unwrap(), [outcome("d", Counts { delivered: 2, ..received(6) })]);
        add(&store, &two, Signal::Logs, received(1), 40).unwrap();
        assert_eq!(claim(&store, &one).unwrap(), logs(40, received(1)));
        reported(&store, &one).unwrap();
        assert_eq!(of(&store, "two").unwrap(), [outcome("d", Counts { delivered: 2, ..received(7) })]);
    }

    #[test]
    fn counts_added_after_a_claim_are_not_reported_with_it() {
        let (store, one) = (store(), reporter("one"));
        add(&store, &one, Signal::Logs, received(3), 10).unwrap();
        claim(&store, &one).unwrap();
        add(&store, &one, Signal::Logs, received(4), 20).unwrap();
        reported(&store, &one).unwrap();
        assert_eq!(claim(&store, &one).unwrap(), logs(20, received(4)));
        assert_eq!(of(&store, "one").unwrap(), [outcome("d", received(7))]);
    }

    #[test]
    fn the_next_session_reports_the_counts_of_an_ended_one() {
        let store = store();
        let (one, two) = (reporter("one"), reporter("two"));
        add(&store, &one, Signal::Logs, received(3), 10).unwrap();
        claim(&store, &one).unwrap();
        release(&store, "one", 20).unwrap();
        assert_eq!(claim(&store, &two).unwrap(), logs(10, received(3)));
        release(&store, "two", 20 + PENDING_FOR).unwrap();
        assert_eq!(claim(&store, &one).unwrap(), [], "what no session reported in a month is not reported");
        assert_eq!(of(&store, "one").unwrap(), [outcome("d", received(3))]);
    }

    #[test]
    fn destinations_and_signals_are_counted_separately() {
        let store = store();
        let other = Recipient { fingerprint: vec![2], destination: "a".to_owned(), ..reporter("one") };
        add(&store, &other, Signal::Traces, received(1), 10).unwrap();
        add(&store, &reporter("one"), Signal::Logs, received(2), 10).unwrap();
        add(&store, &reporter("one"), Signal::Metrics, Counts::default(), 10).unwrap();
        assert_eq!(claim(&store, &reporter("one")).unwrap(), logs(10, received(2)));
        assert_eq!(claim(&store, &other).unwrap().len(), 1);
        add(&store, &reporter("one"), Signal::Metrics, Counts { delivered: 2, dropped: 1, ..Counts::default() }, 10)
            .unwrap();
        let both = Counts { delivered: 2, dropped: 1, ..received(2) };
        assert_eq!(of(&store, "one").unwrap(), [outcome("a", received(1)), outcome("d", both)]);
    }
}
