//! Records forgotten names only as a keyed hash, so that no import brings them back, and they cannot be read.

use ring::hmac;
use rusqlite::{Connection, OptionalExtension};

/// The type of a tombstone, and the forgotten name.
pub(super) type Grave<'a> = (&'a str, &'a str);

pub(super) fn mac(key: &[u8], (what, name): Grave<'_>) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    context.update(what.as_bytes());
    context.update(&[0]);
    context.update(name.as_bytes());
    context.sign().as_ref()[..16].to_vec()
}

fn key(connection: &Connection) -> rusqlite::Result<Vec<u8>> {
    connection.prepare_cached("SELECT key FROM meta")?.query_row([], |row| row.get(0))
}

/// Records that facts before that time, in Unix milliseconds, are forgotten.
pub(super) fn set(connection: &Connection, grave: Grave<'_>, before: i64) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO tombstone (mac, before) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET before = max(before, excluded.before)",
        (mac(&key(connection)?, grave), before),
    )?;
    Ok(())
}

/// Whether facts of a session were forgotten by its id.
pub fn is_forgotten(connection: &Connection, session: &str) -> rusqlite::Result<bool> {
    Ok(before(connection, &[session], "", "")? > i64::MIN)
}

/// The time before which the facts of these sessions, this person and this project are forgotten.
pub(super) fn before(connection: &Connection, sessions: &[&str], person: &str, project: &str) -> rusqlite::Result<i64> {
    if !connection.prepare_cached("SELECT 1 FROM tombstone LIMIT 1")?.exists([])? {
        return Ok(i64::MIN);
    }
    let key = key(connection)?;
    let sessions = sessions.iter().map(|session| ("session", *session));
    let graves = sessions.chain([("person", person), ("project", project)]);
    let mut find = connection.prepare_cached("SELECT before FROM tombstone WHERE mac = ?1")?;
    let mut before = i64::MIN;
    for grave in graves.filter(|(_, name)| !name.is_empty()) {
        let found: Option<i64> = find.query_row([mac(&key, grave)], |row| row.get(0)).optional()?;
        before = before.max(found.unwrap_or(i64::MIN));
    }
    Ok(before)
}
