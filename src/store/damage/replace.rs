//! Replaces a damaged database with a new one.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use super::carry::{Carried, carry};
use super::note::{Replaced, notes, with_suffix};
use crate::state;
use crate::store::{Schema, StoreError};

/// How many damaged files of one database are kept: the most recent ones.
const KEPT: usize = 3;

/// The files that `SQLite` keeps beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Replaces the database at a path. The caller holds the writers' lock of the database, and no connection to it. If the
/// disk has no space for a new one, everything stays as it is.
pub(in crate::store) fn replace(path: &Path, schema: Schema) -> Result<Replaced, StoreError> {
    let (fresh, look) = (path.with_extension("fresh"), path.with_extension("look"));
    let result = replaced(path, &fresh, &look, schema);
    for scratch in [&fresh, &look] {
        remove(scratch);
    }
    result
}

fn replaced(path: &Path, fresh: &Path, look: &Path, schema: Schema) -> Result<Replaced, StoreError> {
    for scratch in [fresh, look] {
        // A process that was killed in the meantime may have left it.
        remove(scratch);
    }
    let carried = fill(path, fresh, look, schema)?;
    let aside = free_name(path);
    let is_file = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
    if is_file && fs::hard_link(path, &aside).is_ok() {
        // This precedes the new file, to which the old files must not appear to belong.
        set_beside_aside(path, &aside)?;
    } else {
        set_beside_aside(path, &aside)?;
        fs::rename(path, &aside).map_err(io_error)?;
    }
    fs::rename(fresh, path).map_err(io_error)?;
    state::sync_entry(path).map_err(io_error)?;
    let Carried { rows, is_whole } = carried;
    let replaced = Replaced { name: schema.name.to_owned(), aside, rows, is_whole };
    // Without a note, doctor can say less about it.
    drop(replaced.write());
    forget_old(path, &replaced);
    Ok(replaced)
}

/// Makes the new database, and carries over the readable part of the damaged one.
fn fill(path: &Path, fresh: &Path, look: &Path, schema: Schema) -> Result<Carried, StoreError> {
    let mut into = crate::store::open(fresh)?;
    let transaction = into.transaction()?;
    crate::store::create(&transaction, schema)?;
    let carried = if path.is_file() { carry(path, look, &transaction, schema)? } else { Carried::default() };
    let spool = path.parent().map(|state| state.join("spool")).unwrap_or_default();
    (schema.settle)(&transaction, &spool, carried.is_whole)?;
    transaction.commit()?;
    close(into)?;
    Ok(carried)
}

/// Closes a database so that it is complete in its one file.
fn close(connection: Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)
}

/// The rest of the old log must not be taken for the new one's. Its index can be rebuilt.
fn set_beside_aside(path: &Path, aside: &Path) -> Result<(), StoreError> {
    match fs::rename(with_suffix(path, "-wal"), with_suffix(aside, "-wal")) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io_error(error)),
        _ => {}
    }
    for suffix in ["-shm", "-journal"] {
        drop(fs::remove_file(with_suffix(path, suffix)));
    }
    Ok(())
}

/// An unused name beside the damaged file. Later names sort after earlier ones, also within a second.
fn free_name(path: &Path) -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "a name that no other damaged store has")]
    let now = jiff::Timestamp::now().as_microsecond();
    let mut names = (now..).map(|number| path.with_extension(format!("damaged-{number}")));
    names.find(|name| fs::symlink_metadata(name).is_err()).unwrap_or_default()
}

/// Removes older damaged files and keeps the most recent ones.
fn forget_old(path: &Path, last: &Replaced) {
    let of_this: Vec<_> =
        notes(path.parent().unwrap_or(path)).into_iter().filter(|replaced| replaced.name == last.name).collect();
    for old in of_this.iter().take(of_this.len().saturating_sub(KEPT)) {
        old.remove();
    }
}

fn remove(path: &Path) {
    drop(fs::remove_file(path));
    for suffix in BESIDE {
        drop(fs::remove_file(with_suffix(path, suffix)));
    }
}

fn io_error(error: io::Error) -> StoreError {
    StoreError::Lock(Arc::new(error))
}
