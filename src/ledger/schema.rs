//! The ledger's tables.

use std::fmt::Write;

use rusqlite::Connection;

use super::family::Family;
use super::row::TABLES;
use crate::store::Schema;
use crate::system::random;

/// The content of the ledger: major version 1 of the schema.
pub const LEDGER: Schema = Schema {
    name: "ledger",
    steps: &[create, add_transcripts, add_gauges],
    caches: &CACHES,
    settle: super::carried::settle,
};

/// The tables that are derived from the facts.
const CACHES: [&str; 4] = [Family::Model.table(), Family::Tool.table(), Family::Prompt.table(), "balance"];

/// The columns of a context, which describe a fact's owner: ids of texts, zero if unknown. `session` is Claude Code's,
/// or ours if that is unknown.
pub const CONTEXTS: [&str; 18] = [
    "ours",
    "session",
    "project",
    "repository",
    "branch",
    "worktree",
    "team",
    "person",
    "installation", // 1: the person is an installation, since no one is named
    "organisation",
    "profile",
    "machine",
    "version",
    "entrypoint",
    "terminal",
    "provider",
    "plan",
    "seat",
];

/// The columns of a kind, which describe the purpose of a request: ids of texts, zero if unknown.
pub const KINDS: [&str; 8] = ["source", "agent", "skill", "plugin", "mcp", "speed", "effort", "language"];

const SCHEMA: &str = "
CREATE TABLE meta (
    machine TEXT NOT NULL,                   -- random, because a host name is private
    key     BLOB NOT NULL                    -- what tombstones are keyed with
);
CREATE TABLE text (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);
CREATE TABLE prompt (
    id      INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,                -- a text
    name    TEXT NOT NULL,                   -- Claude Code's prompt.id
    UNIQUE (session, name)
);
CREATE TABLE allowance (                     -- how many texts a session has brought
    session TEXT PRIMARY KEY,
    texts   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE start (                         -- how Claude Code's sessions began
    session INTEGER PRIMARY KEY,
    type    INTEGER NOT NULL,
    at      INTEGER NOT NULL
);
CREATE TABLE refused (                       -- numbers and times that cannot be true
    day   INTEGER PRIMARY KEY,
    count INTEGER NOT NULL
);
CREATE TABLE seen (                          -- points of metrics, for as long as they may come again
    day      INTEGER NOT NULL,
    identity INTEGER NOT NULL,
    amount   INTEGER NOT NULL,               -- of a cumulative series, the largest so far
    PRIMARY KEY (day, identity)
) WITHOUT ROWID;
CREATE TABLE position (                      -- up to where a session's log is read
    session TEXT PRIMARY KEY,
    worker  INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    offset  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE tombstone (                     -- what was forgotten, and is not to come back
    mac    BLOB PRIMARY KEY,
    before INTEGER NOT NULL                  -- Unix milliseconds
) WITHOUT ROWID;
CREATE TABLE balance (                       -- what events and metrics each say of a session: a cache
    session INTEGER PRIMARY KEY,
    wins    INTEGER NOT NULL,                -- whether metrics know more of anything
    amounts BLOB NOT NULL                    -- see `balance`
);
CREATE INDEX balance_by_metrics ON balance (session) WHERE wins;
";

fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)?;
    connection.execute_batch(&generated())?;
    let unavailable = |error: anyhow::Error| rusqlite::Error::ToSqlConversionFailure(error.into());
    let mut key = [0; 32];
    random::fill(&mut key).map_err(unavailable)?;
    let machine = random::hex::<8>().map_err(unavailable)?;
    connection.execute("INSERT INTO meta (machine, key) VALUES (?1, ?2)", (machine, &key[..]))?;
    Ok(())
}

fn add_transcripts(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(super::cost::SCHEMA)
}

fn add_gauges(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(super::gauge::SCHEMA)
}

/// An empty ledger in memory.
pub fn empty() -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    LEDGER.steps.iter().try_for_each(|step| step(&connection))?;
    Ok(connection)
}

/// The tables whose columns are listed elsewhere: contexts, kinds, facts, sums and counters.
fn generated() -> String {
    let mut schema = String::new();
    let columns = |names: &[&str]| names.iter().map(|name| format!("{name} INTEGER NOT NULL")).collect::<Vec<_>>();
    for (table, names) in [("context", &CONTEXTS[..]), ("kind", &KINDS[..])] {
        // Indexed by a digest of the other columns: an index of all columns would be as large as the table.
        let columns = columns(names).join(", ");
        _ = writeln!(
            schema,
            "CREATE TABLE {table} (id INTEGER PRIMARY KEY, digest INTEGER NOT NULL UNIQUE, {columns});"
        );
    }
    for table in TABLES {
        let (name, columns) = (table.name, columns(table.columns).join(", "));
        _ = writeln!(schema, "CREATE TABLE {name} (day INTEGER NOT NULL, identity INTEGER NOT NULL, {columns}, PRIMARY KEY (day, identity))
             WITHOUT ROWID;");
    }
    // These are few, and sums do not record how each request ended.
    schema.push_str("CREATE INDEX request_failed ON request (day, outcome) WHERE outcome != 0;\n");
    for family in Family::ALL {
        _ = writeln!(schema, "CREATE TABLE {} (id INTEGER PRIMARY KEY, amounts BLOB NOT NULL);", family.table());
    }
    schema
}
