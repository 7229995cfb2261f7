//! Writing to a database now and then, without a thread for it.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::damage::{self, Replaced};
use super::file::{self, Files};
use super::{Schema, StoreError};
use crate::state::notice;

/// Does work in one transaction after another until it says that it is done. Returns `None` if other writers hold the
/// lock for longer than `patience`. The next launch reports the outcome for a database that was damaged.
pub fn write_soon<T>(
    path: &Path,
    schema: Schema,
    patience: Duration,
    work: impl FnMut(&Connection) -> rusqlite::Result<Option<T>>,
) -> Result<Option<T>, StoreError> {
    Turns::new(path, schema, patience).write(work)
}

/// Writes to a database in turns, which other writers may come between. The database stays open.
pub struct Turns<'a> {
    path: &'a Path,
    schema: Schema,
    patience: Duration,
    opened: Option<(Connection, Files)>,
}

impl<'a> Turns<'a> {
    /// Opens nothing yet. `patience` is how long a turn may wait for other writers.
    pub fn new(path: &'a Path, schema: Schema, patience: Duration) -> Self {
        Self { path, schema, patience, opened: None }
    }

    /// One turn: does work like [`write_soon`].
    pub fn write<T>(
        &mut self,
        mut work: impl FnMut(&Connection) -> rusqlite::Result<Option<T>>,
    ) -> Result<Option<T>, StoreError> {
        let Some(lock) = file::lock_within(self.path, self.patience)? else { return Ok(None) };
        let done = match self.turn(&mut work) {
            Err(StoreError::Database(error)) if damage::is_damage(&error) => {
                // It is not written back into the database that takes its place.
                self.opened = None;
                self.tell(&damage::replace(self.path, self.schema)?);
                self.turn(&mut work)
            }
            done => done,
        };
        drop(lock);
        done.map(Some)
    }

    fn turn<T>(&mut self, work: &mut dyn FnMut(&Connection) -> rusqlite::Result<Option<T>>) -> Result<T, StoreError> {
        if let Some((connection, files)) = self.opened.take_if(|(_, files)| Files::at(self.path) != Some(*files)) {
            files.abandon(&connection, self.path);
        }
        if let Some((connection, _)) = &self.opened {
            // Earlier turns may have made the log long. If it cannot be written back now, the next turn tries again.
            if file::log_size(connection).unwrap_or(0) >= super::LOG {
                drop(file::write_back(connection));
            }
        } else {
            let connection = file::open(self.path, self.schema, &|replaced| self.tell(replaced))?;
            let files = Files::at(self.path).ok_or(StoreError::Closed)?;
            self.opened = Some((connection, files));
        }
        let Some((connection, _)) = &self.opened else { return Err(StoreError::Closed) };
        loop {
            let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            if let Some(done) = done {
                return Ok(done);
            }
        }
    }

    fn tell(&self, replaced: &Replaced) {
        notice::leave_in(self.path.parent().unwrap_or(self.path), &replaced.line());
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
