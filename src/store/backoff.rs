//! When a destination may be tried again: one row for all sessions of the user, while it is in trouble.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

/// How long a destination's trouble is remembered once it might be tried again, in milliseconds: nobody may ever send
/// to it any more.
const REMEMBERED: i64 = 24 * 60 * 60 * 1000;

/// The trouble of a destination. Times are in Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// How many attempts in a row have failed.
    pub failures: u32,
    /// Before then nobody should try.
    pub until: i64,
    /// Until then somebody is trying, and the others wait for what comes of it; in the past if nobody is.
    pub trying_until: i64,
}

pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE backoff (
            fingerprint BLOB PRIMARY KEY,
            failures INTEGER NOT NULL,
            until INTEGER NOT NULL,
            trying_until INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;",
    )
}

/// The trouble of the destination with that fingerprint, if it is in any.
pub fn find(connection: &Connection, fingerprint: &[u8]) -> rusqlite::Result<Option<Trouble>> {
    let mut statement =
        connection.prepare_cached("SELECT failures, until, trying_until FROM backoff WHERE fingerprint = ?1")?;
    statement.query_row([fingerprint], |row| from_columns(row, 0)).optional()
}

/// The trouble of all destinations that are in any, by fingerprint.
pub fn all(connection: &Connection) -> rusqlite::Result<BTreeMap<Vec<u8>, Trouble>> {
    if !super::has_table(connection, "backoff")? {
        return Ok(BTreeMap::new());
    }
    let mut statement = connection.prepare("SELECT fingerprint, failures, until, trying_until FROM backoff")?;
    statement.query_map([], |row| Ok((row.get(0)?, from_columns(row, 1)?)))?.collect()
}

/// Claims the next attempt: whether it is the caller's, for nobody has changed anything since it saw `seen`.
pub fn claim(connection: &Connection, fingerprint: &[u8], seen: Trouble, until: i64) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "UPDATE backoff SET trying_until = ?5
         WHERE fingerprint = ?1 AND failures = ?2 AND until = ?3 AND trying_until = ?4",
    )?;
    let Trouble { failures, until: nobody_before, trying_until } = seen;
    Ok(statement.execute(params![fingerprint, failures, nobody_before, trying_until, until])? == 1)
}

/// Notes an attempt that failed. Of many that were under way together one counts: if something else stands there by
/// now than what the attempt was `made` under, that stays, only that nobody tries before any of them may.
pub fn failed(
    connection: &Connection,
    fingerprint: &[u8],
    made: Option<Trouble>,
    next: Trouble,
) -> rusqlite::Result<()> {
    let current = find(connection, fingerprint)?;
    let counts = current.map(|trouble| trouble.failures) == made.map(|trouble| trouble.failures);
    let failures = if counts { next.failures } else { current.map_or(next.failures, |trouble| trouble.failures) };
    let mut statement = connection.prepare_cached(
        "INSERT INTO backoff (fingerprint, failures, until, trying_until) VALUES (?1, ?2, ?3, 0)
         ON CONFLICT DO UPDATE SET failures = ?2, until = iif(?4, ?3, max(until, ?3)), trying_until = 0",
    )?;
    statement.execute(params![fingerprint, failures, next.until, counts])?;
    let oldest = next.until.saturating_sub(REMEMBERED);
    connection.prepare_cached("DELETE FROM backoff WHERE until < ?1")?.execute([oldest])?;
    Ok(())
}

/// The destination takes what it is given.
pub fn clear(connection: &Connection, fingerprint: &[u8]) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM backoff WHERE fingerprint = ?1")?.execute([fingerprint])?;
    Ok(())
}

fn from_columns(row: &Row<'_>, first: usize) -> rusqlite::Result<Trouble> {
    Ok(Trouble { failures: row.get(first)?, until: row.get(first + 1)?, trying_until: row.get(first + 2)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"fingerprint";

    fn store() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        create(&connection).unwrap();
        connection
    }

    fn trouble(failures: u32, until: i64) -> Trouble {
        Trouble { failures, until, trying_until: 0 }
    }

    #[test]
    fn one_of_many_claims_the_next_attempt() {
        let store = store();
        failed(&store, KEY, None, trouble(1, 1000)).unwrap();
        let seen = find(&store, KEY).unwrap().unwrap();
        assert!(claim(&store, KEY, seen, 5000).unwrap());
        assert!(!claim(&store, KEY, seen, 5000).unwrap());
        assert_eq!(find(&store, KEY).unwrap(), Some(Trouble { trying_until: 5000, ..seen }));
    }

    #[test]
    fn of_attempts_that_fail_together_one_counts() {
        let store = store();
        for until in [1000, 900, 1100] {
            failed(&store, KEY, None, trouble(1, until)).unwrap();
        }
        let seen = find(&store, KEY).unwrap();
        assert_eq!(seen, Some(trouble(1, 1100)));
        failed(&store, KEY, seen, trouble(2, 3000)).unwrap();
        failed(&store, KEY, seen, trouble(2, 2000)).unwrap();
        assert_eq!(all(&store).unwrap(), [(KEY.to_vec(), trouble(2, 3000))].into());
        clear(&store, KEY).unwrap();
        assert_eq!(find(&store, KEY).unwrap(), None);
    }

    #[test]
    fn what_nobody_tries_any_more_is_forgotten() {
        let store = store();
        failed(&store, b"gone", None, trouble(1, 1000)).unwrap();
        failed(&store, KEY, None, trouble(1, 2000 + REMEMBERED)).unwrap();
        assert_eq!(all(&store).unwrap().len(), 1);
    }

    #[test]
    fn a_store_of_an_older_program_knows_of_no_trouble() {
        assert!(all(&Connection::open_in_memory().unwrap()).unwrap().is_empty());
    }
}
