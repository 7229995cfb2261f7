//! What became of a session's records at each of its destinations, for whoever asks about the session.
//!
//! Unlike the [`tally`](super::tally) it is never taken away: numbers that a destination was told are still the session's.

use rusqlite::{Connection, params};

use super::batches::Recipient;
use super::tally::Counts;

/// What became of a session's records at one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The destination's name in the session's profile.
    pub destination: String,
    /// In log records, spans and data points.
    pub counts: Counts,
}

pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE outcome (
            session TEXT NOT NULL,
            destination TEXT NOT NULL,
            received INTEGER NOT NULL,
            delivered INTEGER NOT NULL,
            held INTEGER NOT NULL,
            dropped INTEGER NOT NULL,
            PRIMARY KEY (session, destination)
        ) STRICT, WITHOUT ROWID;",
    )
}

/// Adds to what became of the records of a recipient's session.
pub(super) fn add(connection: &Connection, to: &Recipient, counts: Counts) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO outcome VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET
            received = received + excluded.received, delivered = delivered + excluded.delivered,
            held = held + excluded.held, dropped = dropped + excluded.dropped",
    )?;
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let Counts { received, delivered, held, dropped } = counts;
    let [received, delivered, held, dropped] = [received, delivered, held, dropped].map(number);
    statement.execute(params![to.session, to.destination, received, delivered, held, dropped])?;
    Ok(())
}

/// What became of a session's records, by destination. Nothing of it is known where an older program had the session.
pub fn of(connection: &Connection, session: &str) -> rusqlite::Result<Vec<Outcome>> {
    if !super::has_table(connection, "outcome")? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(
        "SELECT destination, received, delivered, held, dropped FROM outcome WHERE session = ?1 ORDER BY destination",
    )?;
    let rows = statement.query_map([session], |row| {
        let count = |column: usize| row.get(column).map(i64::cast_unsigned);
        let counts = Counts { received: count(1)?, delivered: count(2)?, held: count(3)?, dropped: count(4)? };
        Ok(Outcome { destination: row.get(0)?, counts })
    })?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_add_up_by_session_and_destination() {
        let store = Connection::open_in_memory().unwrap();
        assert!(of(&store, "one").unwrap().is_empty(), "a store of an older program");
        create(&store).unwrap();
        let to = |session: &str, destination: &str| Recipient {
            session: session.to_owned(),
            destination: destination.to_owned(),
            fingerprint: vec![1],
        };
        let received = |received| Counts { received, ..Counts::default() };
        add(&store, &to("one", "b"), received(3)).unwrap();
        add(&store, &to("one", "b"), Counts { delivered: 2, dropped: 1, ..Counts::default() }).unwrap();
        add(&store, &to("one", "a"), received(1)).unwrap();
        add(&store, &to("two", "a"), received(7)).unwrap();
        let expected = [("a", received(1)), ("b", Counts { received: 3, delivered: 2, held: 0, dropped: 1 })];
        let expected = expected.map(|(destination, counts)| Outcome { destination: destination.to_owned(), counts });
        assert_eq!(of(&store, "one").unwrap(), expected);
    }
}
