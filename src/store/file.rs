//! A database's file: the lock on which writers queue, opening the file, and replacing a damaged one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use super::damage::{self, Replaced, with_suffix};
use super::{Schema, StoreError};
use crate::state;
use crate::system::file_identity::{FileIdentity, file_identity};

/// The interval between attempts to take a lock that others hold.
const BETWEEN_TRIES: Duration = Duration::from_millis(1);

/// The time limit for checking a database on request.
const LOOKED_AT: Duration = Duration::from_mins(5);

/// The size of a page, in bytes.
const PAGE: i64 = 4096;

/// Called with the result for a damaged database.
pub(super) type Tell<'a> = &'a dyn Fn(&Replaced);

/// Takes the lock on which the writers of the database at a path queue, and makes the directory if it is missing.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    // SQLite's own waiting starves some of twenty writers; the kernel's queue does not.
    locked(path, |lock| lock.lock().map(|()| true)).and_then(|lock| lock.ok_or(StoreError::Closed))
}

/// The same, unless others hold the lock for longer than `patience`.
pub(super) fn lock_within(path: &Path, patience: Duration) -> Result<Option<File>, StoreError> {
    let deadline = Instant::now() + patience;
    locked(path, |lock| {
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(true),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(BETWEEN_TRIES),
                Err(TryLockError::WouldBlock) => return Ok(false),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    })
}

fn locked(path: &Path, take: impl Fn(&File) -> io::Result<bool>) -> Result<Option<File>, StoreError> {
    if let Some(directory) = path.parent().filter(|directory| !directory.is_dir()) {
        state::private_directory(directory).map_err(|error| lock_error(io::Error::other(error)))?;
    }
    loop {
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(lock_path(path));
        let lock = lock.map_err(lock_error)?;
        if !take(&lock).map_err(lock_error)? {
            return Ok(None);
        }
        if is_at_its_path(path, &lock)? {
            return Ok(Some(lock));
        }
    }
}

/// Whether a database's lock file is still the one at its path.
pub(super) fn is_at_its_path(path: &Path, lock: &File) -> Result<bool, StoreError> {
    let metadata = lock.metadata().map_err(lock_error)?;
    Ok(file_identity(&lock_path(path)) == Some((metadata.dev(), metadata.ino())))
}

fn lock_path(path: &Path) -> PathBuf {
    path.with_extension("lock")
}

/// Opens a database, creating any missing parts; replaces it if it is damaged. The caller holds the lock.
pub(super) fn open(path: &Path, schema: Schema, tell: Tell<'_>) -> Result<Connection, StoreError> {
    match connect(path, schema) {
        Err(error) if damage::is_damage(&error) || is_no_file(path, &error) => {
            tell(&damage::replace(path, schema)?);
            Ok(connect(path, schema)?)
        }
        other => Ok(other?),
    }
}

fn connect(path: &Path, schema: Schema) -> rusqlite::Result<Connection> {
    let connection = super::open(path)?;
    let transaction = connection.unchecked_transaction()?;
    super::create(&transaction, schema)?;
    transaction.commit()?;
    Ok(connection)
}

/// Whether the database's path is a directory, or a link to a missing target.
fn is_no_file(path: &Path, error: &rusqlite::Error) -> bool {
    let is_other = || match fs::metadata(path) {
        Ok(found) => !found.is_file(),
        Err(_) => fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()),
    };
    error.sqlite_error_code() == Some(ErrorCode::CannotOpen) && is_other()
}

/// Replaces a database that was found to be damaged, unless it has been replaced since.
pub(super) fn repair(path: &Path, schema: Schema, damaged: FileIdentity, tell: Tell<'_>) -> Result<(), StoreError> {
    let _lock = lock(path)?;
    if file_identity(path) == Some(damaged) {
        tell(&damage::replace(path, schema)?);
    }
    Ok(())
}

/// Checks a whole database, and replaces it if it is damaged. Returns whether it was.
pub fn check(path: &Path, schema: Schema, tell: &dyn Fn(&Replaced)) -> Result<bool, StoreError> {
    let before = file_identity(path);
    if fs::symlink_metadata(path).is_err() || is_sound(path)? {
        return Ok(false);
    }
    let _lock = lock(path)?;
    // Another process may have replaced it in the meantime.
    let is_same = file_identity(path) == before;
    if is_same {
        tell(&damage::replace(path, schema)?);
    }
    Ok(is_same)
}

fn is_sound(path: &Path) -> Result<bool, StoreError> {
    match super::open_to_read(path) {
        Ok(None) => Ok(true),
        Ok(Some(connection)) => Ok(damage::is_sound(&connection, LOOKED_AT)?),
        Err(error) => {
            if damage::is_damage(&error) || is_no_file(path, &error) {
                Ok(false)
            } else {
                Err(error.into())
            }
        }
    }
}

/// A database, its log and the log's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) database: FileIdentity,
    beside: [Option<FileIdentity>; 2],
}

impl Files {
    pub(super) fn at(path: &Path) -> Option<Self> {
        let beside = ["-wal", "-shm"].map(|suffix| file_identity(&with_suffix(path, suffix)));
        file_identity(path).map(|database| Self { database, beside })
    }

    /// Prepares the closing of a database of which some files are no longer in their places. Commits in a log that was
    /// removed are saved if possible. Files that others have put in their place are left as they are.
    pub(super) fn abandon(self, connection: &Connection, path: &Path) {
        let has_log = Self::at(path).is_some_and(|now| now.beside[0] == self.beside[0]);
        if !has_log {
            drop(write_back(connection));
        }
        drop(connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true));
    }
}

/// The part of the log that is not in the database yet, in bytes.
pub(super) fn log_size(connection: &Connection) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?;
    statement.query_row([], |row| Ok(PAGE * (row.get::<_, i64>(1)? - row.get::<_, i64>(2)?)))
}

/// Writes the log back into the database. The next write starts a new log.
pub(super) fn write_back(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

pub(super) fn lock_error(error: io::Error) -> StoreError {
    StoreError::Lock(Arc::new(error))
}
