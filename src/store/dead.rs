//! Dead letters: what a destination refused for good, kept apart with its reason, for somebody to look at.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::batches::{self, Recipient, Waiting};
use super::deliveries::Delivery;
use super::tally::{self, Counts};
use crate::otlp::Signal;

/// How much given-up data is kept, in bytes.
const MAXIMUM_DEAD: u64 = 64 << 20;

/// How long given-up data is kept.
const DEAD_FOR: Duration = Duration::from_hours(30 * 24);

/// The recipients can never take it: kept apart, with the reason. `now` is in Unix milliseconds.
pub fn give_up(
    connection: &Connection,
    recipients: &[Recipient],
    delivery: &Delivery,
    reason: &str,
    now: i64,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO dead_letter (session, destination, fingerprint, signal, at, reason, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for (part, body) in delivery.bodies() {
        let Some(to) = recipients.get(part.recipient) else { continue };
        let signal = delivery.signal.name();
        statement.execute(params![to.session, to.destination, to.fingerprint, signal, now, reason, body])?;
        let dropped = Counts { dropped: batches::records(delivery.signal, body), ..Counts::default() };
        tally::add(connection, to, delivery.signal, dropped, now)?;
        batches::remove(connection, to, part.batch)?;
    }
    prune(connection, now)
}

fn prune(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    let oldest = now.saturating_sub(i64::try_from(DEAD_FOR.as_millis()).unwrap_or(i64::MAX));
    connection.prepare_cached("DELETE FROM dead_letter WHERE at < ?1")?.execute([oldest])?;
    let mut over = connection.prepare_cached(
        "DELETE FROM dead_letter WHERE id IN (
            SELECT id FROM (SELECT id, sum(length(body)) OVER (ORDER BY id DESC) AS newer FROM dead_letter)
            WHERE newer > ?1)",
    )?;
    over.execute([MAXIMUM_DEAD.cast_signed()])?;
    Ok(())
}

/// What was given up, by recipient: the reason of the latest is the last error.
pub fn given_up(connection: &Connection) -> rusqlite::Result<Vec<Waiting>> {
    let mut statement = connection.prepare(
        "SELECT session, destination, fingerprint, count(*), sum(length(body)), min(at), reason, max(id)
         FROM dead_letter GROUP BY session, destination, fingerprint ORDER BY min(at)",
    )?;
    statement.query_map([], batches::waiting_row)?.collect()
}

/// Puts the oldest dead letter of at most that number back into the queue, and gives its number; `None` once there is
/// none left. One at a time, so that no more than one is in memory. `now` is in Unix milliseconds.
pub fn revive(connection: &Connection, newest: i64, now: i64) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, session, destination, fingerprint, signal, at, body FROM dead_letter
         WHERE id <= ?1 ORDER BY id LIMIT 1",
    )?;
    let found = statement.query_row([newest], |row| {
        let to = Recipient { session: row.get(1)?, destination: row.get(2)?, fingerprint: row.get(3)? };
        let signal: String = row.get(4)?;
        Ok((row.get::<_, i64>(0)?, to, batches::signal(&signal), row.get::<_, i64>(5)?, row.get::<_, Vec<u8>>(6)?))
    });
    let Some((id, to, signal, at, body)) = found.optional()? else { return Ok(None) };
    let batch = batches::insert_body(connection, &to.session, signal, &body, at)?;
    batches::insert_delivery(connection, &to, batch, batch)?;
    tally::add(connection, &to, signal, received_again(signal, &body), now)?;
    connection.prepare_cached("DELETE FROM dead_letter WHERE id = ?1")?.execute([id])?;
    batches::drop_over_cap(connection, batches::MAXIMUM_WAITING, now)?;
    Ok(Some(id))
}

/// They were counted as dropped.
fn received_again(signal: Signal, body: &[u8]) -> Counts {
    Counts { received: batches::records(signal, body), ..Counts::default() }
}

/// The number of the newest dead letter; 0 if there is none.
pub fn newest(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT coalesce(max(id), 0) FROM dead_letter", [], |row| row.get(0))
}

/// Forgets a recipient's dead letters, and gives how many there were.
pub fn purge(connection: &Connection, of: &Recipient) -> rusqlite::Result<u64> {
    let mut statement = connection
        .prepare_cached("DELETE FROM dead_letter WHERE session = ?1 AND destination = ?2 AND fingerprint = ?3")?;
    Ok(statement.execute(params![of.session, of.destination, of.fingerprint])? as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::deliveries::tests::{logs, recipient, store};
    use crate::store::deliveries::{Which, next};

    #[test]
    fn what_was_given_up_may_wait_again() {
        let connection = store();
        let to = [recipient("one")];
        batches::insert(&connection, Signal::Logs, &logs(0, 2), 7, &to).unwrap();
        let delivery = next(&connection, &to, Which::in_turn(1000, 10)).unwrap().unwrap().load(&connection).unwrap();
        give_up(&connection, &to, &delivery, "400 bad request", 8).unwrap();
        assert!(batches::waiting(&connection).unwrap().is_empty());
        let dead = given_up(&connection).unwrap();
        assert_eq!((dead[0].batches, dead[0].last_error.as_deref()), (1, Some("400 bad request")));

        let newest = newest(&connection).unwrap();
        assert_eq!(revive(&connection, newest, 9).unwrap(), Some(newest));
        assert_eq!(revive(&connection, newest, 9).unwrap(), None);
        assert!(given_up(&connection).unwrap().is_empty());
        let again = next(&connection, &to, Which::in_turn(1000, 10)).unwrap().unwrap().load(&connection).unwrap();
        assert_eq!(again.body, delivery.body);
        let told = tally::claim(&connection, &to[0]).unwrap();
        assert_eq!(told[0].counts, Counts { received: 4, dropped: 2, ..Counts::default() });
    }

    #[test]
    fn dead_letters_are_kept_for_thirty_days() {
        let connection = store();
        let to = [recipient("one")];
        let day = 24 * 60 * 60 * 1000;
        for at in [0, 31 * day] {
            batches::insert(&connection, Signal::Logs, &logs(0, 1), at, &to).unwrap();
            let found = next(&connection, &to, Which::in_turn(1000, 10)).unwrap().unwrap();
            give_up(&connection, &to, &found.load(&connection).unwrap(), "no", at).unwrap();
        }
        assert_eq!(given_up(&connection).unwrap()[0].batches, 1);
        assert_eq!(purge(&connection, &to[0]).unwrap(), 1);
    }
}
