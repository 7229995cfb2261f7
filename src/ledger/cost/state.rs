//! The data of whole sessions in transcripts.

use rusqlite::{Connection, OptionalExtension};

use super::Tokens;

/// The tables for this data.
pub(in crate::ledger) const SCHEMA: &str = "
CREATE TABLE transcript (                    -- Claude Code's sessions whose transcripts were read
    session      INTEGER PRIMARY KEY,        -- a text
    first        INTEGER NOT NULL,           -- Unix milliseconds, of its own rows
    last         INTEGER NOT NULL,
    parent       INTEGER NOT NULL,           -- the session that it is a fork of, zero for none or unknown
    copied_until INTEGER NOT NULL,           -- when the last row was written that is a copy, zero where none is
    is_inexact   INTEGER NOT NULL            -- 1: what was copied could only be estimated
);
CREATE INDEX transcript_parent ON transcript (parent) WHERE parent != 0;
CREATE TABLE cost_state (                    -- what a session cost up to some moments, by Claude Code
    session    INTEGER NOT NULL,
    at         INTEGER NOT NULL,             -- of the last row before it
    model      INTEGER NOT NULL,             -- zero for a session that cost nothing
    until      INTEGER NOT NULL,             -- of the first row that is not in it
    started    INTEGER NOT NULL,             -- when the client began to count
    is_guessed INTEGER NOT NULL,             -- 1: a price is a guess
    input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL,
    cache_creation INTEGER NOT NULL, cache_hour INTEGER NOT NULL,
    cost       INTEGER NOT NULL,             -- billionths of a US dollar
    PRIMARY KEY (session, at, model)
) WITHOUT ROWID;
CREATE TABLE copied (                        -- the tokens of a fork's copied rows
    session INTEGER NOT NULL, model INTEGER NOT NULL,
    input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL,
    cache_creation INTEGER NOT NULL, cache_hour INTEGER NOT NULL,
    PRIMARY KEY (session, model)
) WITHOUT ROWID;
CREATE TABLE file (                          -- transcripts that were read to their end
    path     INTEGER PRIMARY KEY,            -- a digest
    size     INTEGER NOT NULL,
    modified INTEGER NOT NULL
);
CREATE INDEX request_imported ON request (context) WHERE basis != 0;
CREATE INDEX request_without_cost ON request (basis) WHERE basis = 1 OR basis = 3;
CREATE INDEX context_session ON context (session);
";

/// How long after its last row a session may still end a request, in milliseconds.
const EXIT: i64 = 2000;

/// The cost of a session for one model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::ledger) struct State {
    pub(in crate::ledger) model: i64,
    pub(in crate::ledger) tokens: Tokens,
    pub(in crate::ledger) cost: i64,
}

/// The data that a transcript has about its session.
#[derive(Clone, Debug, Default)]
pub(in crate::ledger) struct Told {
    pub(in crate::ledger) session: i64,
    pub(in crate::ledger) first: i64,
    pub(in crate::ledger) last: i64,
    pub(in crate::ledger) parent: i64,
    pub(in crate::ledger) copied_until: i64,
    pub(in crate::ledger) copied: Vec<(i64, Tokens)>,
    pub(in crate::ledger) moments: Vec<Moment>,
}

/// The cost of a session at a given time.
#[derive(Clone, Debug, Default)]
pub(in crate::ledger) struct Moment {
    pub(in crate::ledger) at: i64,
    pub(in crate::ledger) until: Option<i64>,
    pub(in crate::ledger) started: i64,
    pub(in crate::ledger) is_guessed: bool,
    pub(in crate::ledger) models: Vec<State>,
}

impl Moment {
    /// The time from which requests are not in its cost.
    fn until(&self) -> i64 {
        self.until.unwrap_or(self.at.saturating_add(EXIT))
    }
}

/// Stores the data. An older copy of a transcript changes nothing.
pub(in crate::ledger) fn note(connection: &Connection, told: &Told) -> rusqlite::Result<()> {
    let known: Option<(i64, i64)> = connection
        .prepare_cached(
            "SELECT last, (SELECT count(DISTINCT at) FROM cost_state c WHERE c.session = ?1) FROM transcript
             WHERE session = ?1",
        )?
        .query_row([told.session], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let moments = i64::try_from(told.moments.len()).unwrap_or(i64::MAX);
    if known.is_some_and(|known| known > (told.last, moments)) {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO transcript (session, first, last, parent, copied_until, is_inexact)
             VALUES (?1, ?2, ?3, ?4, ?5, 0)",
        )?
        .execute((told.session, told.first, told.last, told.parent, told.copied_until))?;
    if known.is_some() {
        for table in ["cost_state", "copied"] {
            connection.prepare_cached(&format!("DELETE FROM {table} WHERE session = ?1"))?.execute([told.session])?;
        }
    }
    for (model, tokens) in &told.copied {
        connection.prepare_cached("INSERT OR REPLACE INTO copied VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute((
            told.session,
            model,
            tokens[0],
            tokens[1],
            tokens[2],
            tokens[3],
            tokens[4],
        ))?;
    }
    let nothing = [State::default()];
    for moment in &told.moments {
        for State { model, tokens, cost } in if moment.models.is_empty() { &nothing } else { &moment.models[..] } {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO cost_state VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                )?
                .execute(rusqlite::params![
                    told.session,
                    moment.at,
                    model,
                    moment.until(),
                    moment.started,
                    moment.is_guessed,
                    tokens[0],
                    tokens[1],
                    tokens[2],
                    tokens[3],
                    tokens[4],
                    cost
                ])?;
        }
    }
    Ok(())
}

/// Whether a session's transcript was read.
pub(in crate::ledger) fn is_imported(connection: &Connection, session: i64) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM transcript WHERE session = ?1")?.exists([session])
}

/// The forks of a session.
pub(in crate::ledger) fn forks(connection: &Connection, session: i64) -> rusqlite::Result<Vec<i64>> {
    let mut find = connection.prepare_cached("SELECT session FROM transcript WHERE parent = ?1 AND parent != 0")?;
    find.query_map([session], |row| row.get(0))?.collect()
}

/// The stored data of a session's transcript.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) parent: i64,
    pub(super) copied_until: i64,
}

/// Reads it; `None` if the transcript was not read.
pub(super) fn known(connection: &Connection, session: i64) -> rusqlite::Result<Option<Known>> {
    connection
        .prepare_cached("SELECT first, last, parent, copied_until FROM transcript WHERE session = ?1")?
        .query_row([session], |row| {
            Ok(Known { first: row.get(0)?, last: row.get(1)?, parent: row.get(2)?, copied_until: row.get(3)? })
        })
        .optional()
}

/// The last cost of a session: its time, until when it counts, when its client started counting, and the cost by model.
#[derive(Clone, Debug)]
pub(super) struct Latest {
    pub(super) at: i64,
    pub(super) until: i64,
    pub(super) started: i64,
    pub(super) models: Vec<State>,
}

impl Latest {
    /// The last cost that a transcript has, as [`latest`] finds it once it is stored.
    pub(super) fn of(told: &Told) -> Option<Self> {
        let last = told.moments.iter().max_by_key(|moment| moment.at)?;
        let Moment { at, started, .. } = *last;
        Some(Self { at, until: last.until(), started, models: last.models.clone() })
    }
}

/// The last cost up to a time; if `started` is given, of a client that started counting then.
pub(super) fn latest(
    connection: &Connection,
    session: i64,
    before: i64,
    started: Option<i64>,
) -> rusqlite::Result<Option<Latest>> {
    let mut find = connection.prepare_cached(
        "SELECT at, until, started, model, input, output, cache_read, cache_creation, cache_hour, cost FROM cost_state
         WHERE session = ?1 AND at = (
             SELECT max(at) FROM cost_state WHERE session = ?1 AND at <= ?2 AND (?3 IS NULL OR started = ?3))",
    )?;
    let mut rows = find.query((session, before, started))?;
    let mut latest: Option<Latest> = None;
    while let Some(row) = rows.next()? {
        let found = latest.get_or_insert(Latest {
            at: row.get(0)?,
            until: row.get(1)?,
            started: row.get(2)?,
            models: Vec::new(),
        });
        let mut tokens = [0; 5];
        for (index, tokens) in tokens.iter_mut().enumerate() {
            *tokens = row.get(4 + index)?;
        }
        found.models.push(State { model: row.get(3)?, tokens, cost: row.get(9)? });
    }
    Ok(latest)
}

/// The tokens of a fork's copied rows of one model.
pub(super) fn copied(connection: &Connection, session: i64, model: i64) -> rusqlite::Result<Tokens> {
    let found = connection
        .prepare_cached(
            "SELECT input, output, cache_read, cache_creation, cache_hour FROM copied WHERE session = ?1 AND model = ?2",
        )?
        .query_row((session, model), |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?])
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}
