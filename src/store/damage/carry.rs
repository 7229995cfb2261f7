//! Carries over the readable part of a damaged database, table by table and row by row.

use std::fs;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::graft::graft;
use super::note::with_suffix;
use super::table::Table;
use crate::store::Schema;

/// The rows that were carried over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Carried {
    /// The number of rows.
    pub(super) rows: u64,
    /// Whether these are all rows.
    pub(super) is_whole: bool,
}

/// Reads the database at `from` into a new one. `look` is a path beside it, under which the database is opened with its
/// log but without the log's index, which may be damaged as well.
pub(super) fn carry(from: &Path, look: &Path, into: &Connection, schema: Schema) -> rusqlite::Result<Carried> {
    let tables: Vec<Table> =
        Table::all(into)?.into_iter().filter(|table| !schema.caches.contains(&&*table.name)).collect();
    if let Ok(source) = linked(from, look)
        && has_all(&source, &tables)
    {
        return copy_all(&source, into, &tables, pages(from));
    }
    // Nothing is written to the damaged file itself.
    let copied = copied(from, look, schema);
    match copied {
        Ok(source) if has_all(&source, &tables) => {
            let carried = copy_all(&source, into, &tables, pages(from))?;
            Ok(Carried { is_whole: false, ..carried })
        }
        _ => Ok(Carried::default()),
    }
}

/// The maximum number of rows in a file of that length: a damaged file may lead to the same page again and again.
fn pages(path: &Path) -> u64 {
    let length = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    (length(path) + length(&with_suffix(path, "-wal"))) / 4
}

/// The damaged database as it is.
fn linked(from: &Path, look: &Path) -> anyhow::Result<Connection> {
    fs::hard_link(from, look).or_else(|_| fs::copy(from, look).map(drop))?;
    let log = with_suffix(from, "-wal");
    if log.exists() {
        let beside = with_suffix(look, "-wal");
        fs::hard_link(&log, &beside).or_else(|_| fs::copy(&log, &beside).map(drop))?;
    }
    Ok(open(look)?)
}

/// A copy of it with a new first page.
fn copied(from: &Path, look: &Path, schema: Schema) -> anyhow::Result<Connection> {
    let new = with_suffix(look, "-new");
    for suffix in ["", "-wal", "-shm"] {
        drop(fs::remove_file(with_suffix(look, suffix)));
    }
    fs::copy(from, look)?;
    let log = with_suffix(from, "-wal");
    if log.exists() {
        fs::copy(&log, with_suffix(look, "-wal"))?;
    }
    let grafted = graft(look, &new, schema);
    for suffix in ["", "-wal", "-shm"] {
        drop(fs::remove_file(with_suffix(&new, suffix)));
    }
    grafted?;
    Ok(open(look)?)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // The database must stay unchanged, and errors in the list of tables or in the file's length are no reason not to
    // read the rest.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "writable_schema", true)?;
    Ok(connection)
}

/// Whether a database's list of tables contains all of these tables.
fn has_all(source: &Connection, tables: &[Table]) -> bool {
    tables.iter().all(|table| source.prepare(&format!("SELECT 1 FROM {} LIMIT 1", table.name)).is_ok())
}

fn copy_all(source: &Connection, into: &Connection, tables: &[Table], most: u64) -> rusqlite::Result<Carried> {
    let mut carried = Carried { rows: 0, is_whole: true };
    for table in tables {
        let copied = table.copy(source, into, most)?;
        carried.rows += copied.rows;
        carried.is_whole &= copied.is_whole;
    }
    Ok(carried)
}
