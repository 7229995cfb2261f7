//! A damaged database: how damage is distinguished from other failures, and how the database is replaced.
//!
//! The process that finds the damage takes the writers' lock, and builds a new database beside the damaged one from its
//! readable part. Then it renames the damaged file, and gives the new file its name. Other processes find the new file
//! before they write again.

mod carry;
mod graft;
mod note;
mod replace;
mod table;

use std::sync::mpsc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, ffi};

use super::StoreError;

pub(in crate::store) use note::with_suffix;
pub use note::{Replaced, notes};
pub(super) use replace::replace;

/// Whether the database itself is at fault: its pages or its header have changed, the file is not a database, or a part
/// of its log is missing.
pub fn is_damage(error: &rusqlite::Error) -> bool {
    let is_short = error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_SHORT_READ);
    is_short || matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// The same for an error with a database error among its causes.
pub fn is_among(error: &anyhow::Error) -> bool {
    causes(error).any(is_damage)
}

/// The database errors among the causes of an error.
fn causes(error: &anyhow::Error) -> impl Iterator<Item = &rusqlite::Error> {
    error.chain().filter_map(|cause| match cause.downcast_ref::<StoreError>() {
        Some(StoreError::Database(inner)) => Some(&**inner),
        _ => cause.downcast_ref(),
    })
}

/// The same error in words for a person, without `SQLite`'s own text about a damaged, busy or full file.
pub fn in_words(error: anyhow::Error) -> anyhow::Error {
    let words = causes(&error).find_map(words);
    match words {
        Some(words) => anyhow::anyhow!("the database of sessions or usage cannot be used: {words}"),
        None => error,
    }
}

/// The meaning of a database error, if known.
pub(super) fn words(error: &rusqlite::Error) -> Option<&'static str> {
    Some(match error.sqlite_error_code()? {
        _ if is_damage(error) => "its file is damaged",
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
            "other processes are writing to it; try again"
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => "you may not write to its file",
        ErrorCode::DiskFull => "the disk is full, or the file may not grow",
        ErrorCode::CannotOpen => "its file cannot be opened: see that it and its directory are yours",
        ErrorCode::SystemIoFailure => "its file cannot be read or written: the disk may be full or failing",
        _ => return None,
    })
}

/// Whether the whole database can be read, as far as it is checked within `patience`.
pub fn is_sound(connection: &Connection, patience: Duration) -> rusqlite::Result<bool> {
    let interrupt = connection.get_interrupt_handle();
    let (done, is_done) = mpsc::channel::<()>();
    let watching = std::thread::Builder::new().spawn(move || {
        if is_done.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    });
    let answer = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    drop(done);
    // Without a watching thread, the check has no time limit.
    drop(watching.map(std::thread::JoinHandle::join));
    match answer {
        Ok(answer) => Ok(answer == "ok"),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(true),
        Err(error) if is_damage(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
