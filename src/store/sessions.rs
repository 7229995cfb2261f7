//! The table of sessions: one row for each launch.

use rusqlite::{Connection, OptionalExtension, Row, Rows, params};
use serde::{Deserialize, Serialize};

use super::columns::position;
use super::cursors;
use crate::profile::Selection;
use crate::spool::{Disk, Position};

/// A session, as described by its launcher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its id: 16 hexadecimal digits.
    pub id: String,
    /// The session in whose environment it was launched.
    pub parent: Option<String>,
    /// The name of the chosen profile.
    pub profile: String,
    /// The profile's team.
    pub team: Option<String>,
    /// The program, as it was given.
    pub program: String,
    /// The repository's directory, or the working directory.
    pub project: String,
    /// The branch that was checked out.
    pub branch: Option<String>,
    /// When it was launched, in Unix milliseconds.
    pub started_at: i64,
    /// The parts of the selection that resolve its profile again.
    pub selection: Selection,
}

/// The record of a session: its launcher's description, and its counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The launcher's description.
    pub session: Session,
    /// When it ended, in Unix milliseconds; `None` while it is running, or if its collector was killed and no process
    /// has cleaned up since.
    pub ended_at: Option<i64>,
    /// What it received, in log records, data points and spans.
    pub received: u64,
    /// What its profile refuses, in log records, data points and spans.
    pub refused: u64,
    /// What destinations received but rejected, in log records, data points and spans.
    pub rejected: u64,
    /// How many batches exceeded the store's cap.
    pub dropped: u64,
    /// The last message of a destination about rejected records, or another note.
    pub message: Option<String>,
}

impl Record {
    /// The record of a session for which nothing is counted yet.
    pub fn new(session: Session) -> Self {
        Self { session, ended_at: None, received: 0, refused: 0, rejected: 0, dropped: 0, message: None }
    }
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
            refused INTEGER NOT NULL DEFAULT 0,
            rejected INTEGER NOT NULL DEFAULT 0,
            dropped INTEGER NOT NULL DEFAULT 0,
            message TEXT,
            worker INTEGER NOT NULL DEFAULT 0,     -- up to where its log is counted
            number INTEGER NOT NULL DEFAULT 0,
            offset INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE INDEX session_started ON session (started_at);",
    )
}

/// The ids of a project's sessions.
pub fn of_project(connection: &Connection, project: &str) -> rusqlite::Result<std::collections::HashSet<String>> {
    let mut statement = connection.prepare("SELECT id FROM session WHERE project = ?1")?;
    statement.query_map([project], |row| row.get(0))?.collect()
}

/// Records a session, once.
pub fn insert(connection: &Connection, session: &Session) -> rusqlite::Result<()> {
    // Only the parts that resolve the profile's destinations again.
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

/// The position up to which a session's log is counted.
pub(super) fn counted(connection: &Connection, session: &str) -> rusqlite::Result<Position> {
    let mut statement = connection.prepare_cached("SELECT worker, number, offset FROM session WHERE id = ?1")?;
    Ok(statement.query_row([session], |row| position(row, 0)).optional()?.unwrap_or(Position::START))
}

/// Adds to the numbers of records, data points and spans that a session received, and that its profile refused, up to a
/// position in its log.
pub(super) fn count(
    connection: &Connection,
    session: &str,
    (received, refused): (u64, u64),
    until: Position,
) -> rusqlite::Result<()> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(
        "UPDATE session SET received = received + ?2, refused = refused + ?3, worker = ?4, number = ?5, offset = ?6
         WHERE id = ?1",
    )?;
    let (received, refused) = (number(received), number(refused));
    statement.execute(params![session, received, refused, until.worker, until.number, until.offset.cast_signed()])?;
    Ok(())
}

/// Counts batches of a session that exceeded the cap.
pub(super) fn count_dropped(connection: &Connection, session: &str, batches: u64) -> rusqlite::Result<()> {
    let batches = i64::try_from(batches).unwrap_or(i64::MAX);
    connection
        .prepare_cached("UPDATE session SET dropped = dropped + ?2 WHERE id = ?1")?
        .execute(params![session, batches])?;
    Ok(())
}

/// Counts records that a destination rejected from a request that it accepted, and keeps its last message.
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

/// Keeps a note about a session, in place of the previous one.
pub fn note(connection: &Connection, session: &str, message: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("UPDATE session SET message = ?2 WHERE id = ?1")?;
    statement.execute(params![session, message])?;
    Ok(())
}

/// Marks a session as ended, unless it is already marked. `now` is in Unix milliseconds.
pub fn end(connection: &Connection, session: &str, now: i64) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("UPDATE session SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL")?;
    statement.execute(params![session, now])?;
    Ok(())
}

/// A session still runs: records it if it is missing, and removes its mark of having ended.
pub fn go_on(connection: &Connection, session: &Session) -> rusqlite::Result<()> {
    insert(connection, session)?;
    connection.prepare_cached("UPDATE session SET ended_at = NULL WHERE id = ?1")?.execute([&session.id])?;
    Ok(())
}

/// Sessions not marked as ended: those that are running, and those whose collector was killed.
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
    records(statement.query([limit])?)
}

/// The sessions whose id begins with `prefix`, the newest first; at most `limit`.
pub fn beginning(connection: &Connection, prefix: &str, limit: u32) -> rusqlite::Result<Vec<Record>> {
    let mut statement = connection.prepare(
        "SELECT * FROM session WHERE substr(id, 1, length(?1)) = ?1 ORDER BY started_at DESC, id DESC LIMIT ?2",
    )?;
    records(statement.query(params![prefix, limit])?)
}

/// Resets sessions that were carried over from a damaged store if their count lies beyond the end of their log: they
/// are counted from the beginning of the log.
pub(super) fn settle(connection: &Connection, disk: &Disk) -> rusqlite::Result<()> {
    let sessions: Vec<String> =
        connection.prepare("SELECT id FROM session")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for session in sessions {
        let Some((worker, number, length)) = cursors::end(disk, &session)? else { continue };
        connection.execute(
            "UPDATE session SET worker = 0, number = 0, offset = 0, received = 0, refused = 0 WHERE id = ?1
                AND (worker < 0 OR number < 0 OR offset < 0 OR (worker, number, offset) > (?2, ?3, ?4))",
            params![session, worker, number, length],
        )?;
    }
    Ok(())
}

fn records(mut rows: Rows<'_>) -> rusqlite::Result<Vec<Record>> {
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let count = |column: &str| row.get(column).map(i64::cast_unsigned);
        let session = from_row(row)?;
        records.push(Record {
            refused: count("refused")?,
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
