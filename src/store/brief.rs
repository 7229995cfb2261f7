//! Writing to a database once, without a thread for it.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::damage::{self, Replaced};
use super::{Schema, StoreError, file};
use crate::state::notice;

/// Does work in one transaction after another until it says that it is done. Returns `None` if other writers hold the
/// lock for longer than `patience`. The next launch reports the outcome for a database that was damaged.
pub fn write_soon<T>(
    path: &Path,
    schema: Schema,
    patience: Duration,
    mut work: impl FnMut(&Connection) -> rusqlite::Result<Option<T>>,
) -> Result<Option<T>, StoreError> {
    let tell = |replaced: &Replaced| notice::leave_in(path.parent().unwrap_or(path), &replaced.line());
    let Some(_lock) = file::lock_within(path, patience)? else { return Ok(None) };
    match write(path, schema, &tell, &mut work) {
        Err(StoreError::Database(error)) if damage::is_damage(&error) => {
            tell(&damage::replace(path, schema)?);
            write(path, schema, &tell, &mut work).map(Some)
        }
        done => done.map(Some),
    }
}

/// Does work in one transaction whose commit is not synced: if the machine crashes, it may be lost. Returns `None`
/// without waiting if another process is writing. The database must exist; a damaged one is left as it is.
pub fn write_unsynced<T>(
    path: &Path,
    schema: Schema,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    let Some(_lock) = file::lock_within(path, Duration::ZERO)? else { return Ok(None) };
    let connection = super::open(path)?;
    // The log's checksums protect what others have committed. They sync the log before they write it back, which this
    // connection never does.
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(Duration::ZERO)?;
    let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate)?;
    super::create(&transaction, schema)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(Some(done))
}

fn write<T>(
    path: &Path,
    schema: Schema,
    tell: &dyn Fn(&Replaced),
    work: &mut dyn FnMut(&Connection) -> rusqlite::Result<Option<T>>,
) -> Result<T, StoreError> {
    let connection = file::open(path, schema, tell)?;
    loop {
        let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        if let Some(done) = done {
            return Ok(done);
        }
    }
}
