//! The table of sessions: one row for each launch.

use rusqlite::{Connection, OptionalExtension, Row, Rows, params};
use serde::{Deserialize, Serialize};

use crate::profile::Selection;

/// A session, as its launcher describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its id: 16 hexadecimal digits.
    pub id: String,
    /// The session in whose environment it was launched.
    pub parent: Option<String>,
    /// The name of the profile that was chosen.
    pub profile: String,
    /// The profile's team.
    pub team: Option<String>,
    /// The program, as it was named.
    pub program: String,
    /// The repository's directory, or the working directory.
    pub project: String,
    /// The branch that was checked out.
    pub branch: Option<String>,
    /// When it was launched, in Unix milliseconds.
    pub started_at: i64,
    /// What resolves its profile again.
    pub selection: Selection,
}

/// What is known of a session: what its launcher said of it, and what it has counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// As its launcher described it.
    pub session: Session,
    /// When it ended, in Unix milliseconds; nothing while it lives, or if its collector was killed and nobody has looked
    /// after it since.
    pub ended_at: Option<i64>,
    /// What it took, in log records, data points and spans.
    pub received: u64,
    /// What its profile does not take, in log records, data points and spans.
    pub refused: u64,
    /// What destinations took and did not want, in log records, data points and spans.
    pub rejected: u64,
    /// How many batches went above the store's cap.
    pub dropped: u64,
    /// What a destination said of what it did not want, or what else is to be known.
    pub message: Option<String>,
}

pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE session (
            id TEXT PRIMARY KEY,
            parent TEXT,
            profile TEXT NOT NULL,
            team TEXT,
            program TEXT NOT NULL,
            project TEXT NOT NULL,
            branch TEXT,
            started_at INTEGER NOT NULL,
            ended_at INTEGER,
            selection TEXT NOT NULL,
            received INTEGER NOT NULL DEFAULT 0,
            rejected INTEGER NOT NULL DEFAULT 0,
            dropped INTEGER NOT NULL DEFAULT 0,
            message TEXT
        ) STRICT;
        CREATE INDEX session_started ON session (started_at);",
    )
}

/// Writes a session down, once.
pub fn insert(connection: &Connection, session: &Session) -> rusqlite::Result<()> {
    // What resolves the profile's destinations again, and no more.
    let selection = serde_json::to_string(&session.selection.without_values()).unwrap_or_default();
    let mut statement = connection.prepare_cached(
        "INSERT OR IGNORE INTO session (id, parent, profile, team, program, project, branch, started_at, selection)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    statement.execute(params![
        session.id,
        session.parent,
        session.profile,
        session.team,
        session.program,
        session.project,
        session.branch,
        session.started_at,
        selection
    ])?;
    Ok(())
}

/// Adds to what a session has received, in records, data points and spans. It is written down first where it is not: in
/// a store that could not be written when it began, or is another since.
pub fn count_received(connection: &Connection, session: &Session, records: u64) -> rusqlite::Result<()> {
    let records = i64::try_from(records).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached("UPDATE session SET received = received + ?2 WHERE id = ?1")?;
    if statement.execute(params![session.id, records])? == 0 {
        insert(connection, session)?;
        statement.execute(params![session.id, records])?;
    }
    Ok(())
}

/// Counts what a destination accepted only in part, and keeps its last message.
pub fn count_rejected(
    connection: &Connection,
    session: &str,
    rejected: u64,
    message: Option<&str>,
) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("UPDATE session SET rejected = rejected + ?2, message = coalesce(?3, message) WHERE id = ?1")?;
    statement.execute(params![session, i64::try_from(rejected).unwrap_or(i64::MAX), message])?;
    Ok(())
}

/// Adds to what a session has refused because its profile does not take it, in records, data points and spans.
pub fn count_refused(connection: &Connection, session: &str, records: u64) -> rusqlite::Result<()> {
    if records == 0 {
        return Ok(());
    }
    // Made when it is first needed: a store of an earlier version has none.
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS refused (session TEXT PRIMARY KEY, records INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    )?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO refused (session, records) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET records = records + excluded.records",
    )?;
    statement.execute(params![session, i64::try_from(records).unwrap_or(i64::MAX)])?;
    Ok(())
}

/// How many records, data points and spans a session has refused.
pub fn refused(connection: &Connection, session: &str) -> rusqlite::Result<u64> {
    if !connection.table_exists(None, "refused")? {
        return Ok(0);
    }
    let mut statement = connection.prepare_cached("SELECT records FROM refused WHERE session = ?1")?;
    let records: Option<i64> = statement.query_row([session], |row| row.get(0)).optional()?;
    Ok(records.map_or(0, i64::cast_unsigned))
}

/// Keeps what is to be known of a session, in place of what was.
pub fn note(connection: &Connection, session: &str, message: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("UPDATE session SET message = ?2 WHERE id = ?1")?;
    statement.execute(params![session, message])?;
    Ok(())
}

/// Marks a session as ended, unless it is marked already. `now` is in Unix milliseconds.
pub fn end(connection: &Connection, session: &str, now: i64) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("UPDATE session SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL")?;
    statement.execute(params![session, now])?;
    Ok(())
}

/// Sessions that nobody has marked as ended: those that live, and those whose collector was killed.
pub fn unfinished(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached("SELECT id FROM session WHERE ended_at IS NULL")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// A session by its id.
pub fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<Session>> {
    let mut statement = connection.prepare_cached("SELECT * FROM session WHERE id = ?1")?;
    statement.query_row([id], from_row).optional()
}

/// The latest sessions, the newest first; at most `limit`.
pub fn latest(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<Record>> {
    let mut statement = connection.prepare("SELECT * FROM session ORDER BY started_at DESC, id DESC LIMIT ?1")?;
    records(connection, statement.query([limit])?)
}

/// The sessions whose id begins so, the newest first; at most `limit`.
pub fn beginning(connection: &Connection, prefix: &str, limit: u32) -> rusqlite::Result<Vec<Record>> {
    let mut statement = connection.prepare(
        "SELECT * FROM session WHERE substr(id, 1, length(?1)) = ?1 ORDER BY started_at DESC, id DESC LIMIT ?2",
    )?;
    records(connection, statement.query(params![prefix, limit])?)
}

fn records(connection: &Connection, mut rows: Rows<'_>) -> rusqlite::Result<Vec<Record>> {
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let count = |column: &str| row.get(column).map(i64::cast_unsigned);
        let session = from_row(row)?;
        records.push(Record {
            refused: refused(connection, &session.id)?,
            session,
            ended_at: row.get("ended_at")?,
            received: count("received")?,
            rejected: count("rejected")?,
            dropped: count("dropped")?,
            message: row.get("message")?,
        });
    }
    Ok(records)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Session> {
    let selection: String = row.get("selection")?;
    Ok(Session {
        id: row.get("id")?,
        parent: row.get("parent")?,
        profile: row.get("profile")?,
        team: row.get("team")?,
        program: row.get("program")?,
        project: row.get("project")?,
        branch: row.get("branch")?,
        started_at: row.get("started_at")?,
        selection: serde_json::from_str(&selection).unwrap_or_default(),
    })
}
