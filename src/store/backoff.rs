//! When a destination may be tried again: one row for all of the user's sessions, while the destination fails.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::state::backoff::Backoff;

/// How long a destination's back-off is kept after the next try is due, in milliseconds: the destination may never be
/// used again.
const REMEMBERED: i64 = 24 * 60 * 60 * 1000;

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

/// The back-off of the destination with that fingerprint, if it has one.
pub fn find(connection: &Connection, fingerprint: &[u8]) -> rusqlite::Result<Option<Backoff>> {
    let mut statement =
        connection.prepare_cached("SELECT failures, until, trying_until FROM backoff WHERE fingerprint = ?1")?;
    statement.query_row([fingerprint], |row| from_columns(row, 0)).optional()
}

/// The back-off of all destinations that have one, by fingerprint.
pub fn all(connection: &Connection) -> rusqlite::Result<BTreeMap<Vec<u8>, Backoff>> {
    let mut statement = connection.prepare("SELECT fingerprint, failures, until, trying_until FROM backoff")?;
    statement.query_map([], |row| Ok((row.get(0)?, from_columns(row, 1)?)))?.collect()
}

/// The latest back-off in `all` of the destination with that fingerprint. A destination has one back-off for each way
/// in which a session trusts it. The key of each begins with the fingerprint.
pub fn of(all: &BTreeMap<Vec<u8>, Backoff>, fingerprint: &[u8]) -> Option<Backoff> {
    let own = all.range(fingerprint.to_vec()..).take_while(|(key, _)| key.starts_with(fingerprint));
    own.map(|(_, backoff)| *backoff).max_by_key(|backoff| backoff.until)
}

/// Claims the next attempt. Returns whether the caller has it, because nothing has changed since it read `seen`.
pub fn claim(connection: &Connection, fingerprint: &[u8], seen: Backoff, until: i64) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "UPDATE backoff SET trying_until = ?5
         WHERE fingerprint = ?1 AND failures = ?2 AND until = ?3 AND trying_until = ?4",
    )?;
    let Backoff { failures, until: not_before, trying_until } = seen;
    Ok(statement.execute(params![fingerprint, failures, not_before, trying_until, until])? == 1)
}

/// Records a failed attempt. Of several concurrent attempts one counts: if the state has changed since the attempt
/// was `made`, it stays, except that the next try waits for the latest of all pauses.
pub fn failed(
    connection: &Connection,
    fingerprint: &[u8],
    made: Option<Backoff>,
    next: Backoff,
) -> rusqlite::Result<()> {
    let current = find(connection, fingerprint)?;
    let counts = current.map(|backoff| backoff.failures) == made.map(|backoff| backoff.failures);
    let failures = if counts { next.failures } else { current.map_or(next.failures, |backoff| backoff.failures) };
    let mut statement = connection.prepare_cached(
        "INSERT INTO backoff (fingerprint, failures, until, trying_until) VALUES (?1, ?2, ?3, 0)
         ON CONFLICT DO UPDATE SET failures = ?2, until = iif(?4, ?3, max(until, ?3)), trying_until = 0",
    )?;
    statement.execute(params![fingerprint, failures, next.until, counts])?;
    let oldest = next.until.saturating_sub(REMEMBERED);
    connection.prepare_cached("DELETE FROM backoff WHERE until < ?1")?.execute([oldest])?;
    Ok(())
}

/// The destination accepts requests again.
pub fn clear(connection: &Connection, fingerprint: &[u8]) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM backoff WHERE fingerprint = ?1")?.execute([fingerprint])?;
    Ok(())
}

fn from_columns(row: &Row<'_>, first: usize) -> rusqlite::Result<Backoff> {
    Ok(Backoff { failures: row.get(first)?, until: row.get(first + 1)?, trying_until: row.get(first + 2)? })
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

    fn backoff(failures: u32, until: i64) -> Backoff {
        Backoff { failures, until, trying_until: 0 }
    }

    #[test]
    fn one_of_many_claims_the_next_attempt() {
        let store = store();
        failed(&store, KEY, None, backoff(1, 1000)).unwrap();
        let seen = find(&store, KEY).unwrap().unwrap();
        assert!(claim(&store, KEY, seen, 5000).unwrap());
        assert!(!claim(&store, KEY, seen, 5000).unwrap());
        assert_eq!(find(&store, KEY).unwrap(), Some(Backoff { trying_until: 5000, ..seen }));
    }

    #[test]
    fn concurrent_failures_count_once() {
        let store = store();
        for until in [1000, 900, 1100] {
            failed(&store, KEY, None, backoff(1, until)).unwrap();
        }
        let seen = find(&store, KEY).unwrap();
        assert_eq!(seen, Some(backoff(1, 1100)));
        failed(&store, KEY, seen, backoff(2, 3000)).unwrap();
        failed(&store, KEY, seen, backoff(2, 2000)).unwrap();
        assert_eq!(all(&store).unwrap(), [(KEY.to_vec(), backoff(2, 3000))].into());
        clear(&store, KEY).unwrap();
        assert_eq!(find(&store, KEY).unwrap(), None);
    }

    #[test]
    fn a_destination_is_identified_by_its_fingerprint_regardless_of_trust() {
        let keys = [("a", 5), ("b", 1), ("b/ca.pem", 3), ("c", 9)];
        let all = keys.map(|(key, until)| (key.as_bytes().to_vec(), backoff(1, until))).into();
        assert_eq!(of(&all, b"b"), Some(backoff(1, 3)));
        assert_eq!(of(&all, b"d"), None);
    }

    #[test]
    fn unused_back_off_state_is_deleted() {
        let store = store();
        failed(&store, b"gone", None, backoff(1, 1000)).unwrap();
        failed(&store, KEY, None, backoff(1, 2000 + REMEMBERED)).unwrap();
        assert_eq!(all(&store).unwrap().len(), 1);
    }
}
