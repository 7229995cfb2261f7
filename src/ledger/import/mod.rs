//! Reads Claude Code's transcripts into the ledger: history from before the ledger existed, and sessions without a
//! collector.
//!
//! A file of any size is read row by row. Facts are committed in groups of a few thousand. An interrupted import
//! continues where it was, because known facts change nothing.

mod apply;
mod batch;
mod item;
mod read;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use thiserror::Error;

use super::LEDGER;
use super::cost::{Prices, price};
use crate::claude::transcript::Transcript;
use crate::store::{StoreError, Turns};
use crate::usage::identity::identity;
use batch::Batch;

pub use read::Faults;

/// How many threads read. One takes longer to read a transcript than the ledger takes to store its facts.
const READERS: usize = 2;

/// How long to wait for other writers of the ledger.
const PATIENCE: Duration = Duration::from_secs(30);

/// How facts are imported, and to which person they belong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The operating system's user, for facts that do not name a person.
    pub user: &'a str,
    /// The person, from the account with which Claude Code is logged in.
    pub person: &'a str,
    /// Claude Code's installation.
    pub installation: &'a str,
    /// The account's organisation.
    pub organisation: &'a str,
    /// Whether persons are kept.
    pub persons: bool,
    /// Facts before this time, in Unix milliseconds, are not kept.
    pub keep_from: Option<i64>,
    /// Prices for requests without a cost.
    pub prices: Option<&'a Prices>,
}

/// The project and repository of a directory, as sessions know them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// The project's absolute directory.
    pub project: String,
    /// The repository's name.
    pub repository: String,
    /// The linked worktree's name.
    pub worktree: String,
}

/// The progress and result of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The number of finished sessions, including unchanged ones.
    pub sessions: usize,
    /// The number of sessions that were read before and have not changed.
    pub unchanged: usize,
    /// The number of new facts.
    pub facts: u64,
    /// The number of bytes read.
    pub bytes: u64,
    /// The parts of the files that were not valid rows.
    pub faults: Faults,
    /// The number of requests that got their cost from the list of prices.
    pub priced: usize,
}

/// Why an import ended early.
#[derive(Debug, Error)]
pub enum ImportError {
    /// An error of the ledger's file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread that reads cannot start.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// Other processes hold its lock.
    #[error("other processes have been writing to the ledger for 30 s")]
    Busy,
}

/// The mark by which the files of a session are recognised as unchanged since they were last read.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    path: i64,
    size: i64,
    modified: i64,
}

impl Mark {
    fn of(transcript: &Transcript) -> Self {
        use std::os::unix::ffi::OsStrExt;
        let paths: Vec<&[u8]> = transcript.files().map(|path| path.as_os_str().as_bytes()).collect();
        let size = i64::try_from(transcript.size).unwrap_or(i64::MAX);
        Self { path: identity(&paths), size, modified: transcript.modified }
    }

    fn is_known(self, connection: &Connection) -> rusqlite::Result<bool> {
        let mut find = connection.prepare_cached("SELECT size, modified FROM file WHERE path = ?1")?;
        let found = find.query_row([self.path], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        Ok(found == Some((self.size, self.modified)))
    }

    fn note(self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached("INSERT OR REPLACE INTO file (path, size, modified) VALUES (?1, ?2, ?3)")?
            .execute((self.path, self.size, self.modified))?;
        Ok(())
    }
}

/// Imports transcripts into the ledger at `path`. `directory` returns the project and repository of a working
/// directory; `progress` is called often with the progress. Other threads read the files while this one writes.
pub fn import(
    path: &Path,
    transcripts: &[Transcript],
    options: &Options<'_>,
    directory: impl FnMut(&str) -> Directory,
    mut progress: impl FnMut(&Imported),
) -> Result<Imported, ImportError> {
    let named = transcripts.iter().filter(|transcript| transcript.main.is_some() && !transcript.session.is_empty());
    let known: HashSet<&str> = named.map(|transcript| &*transcript.session).collect();
    let mut ledger = Turns::new(path, LEDGER, PATIENCE);
    let unchanged = unchanged(&mut ledger, transcripts)?;
    let mut imported = Imported { sessions: unchanged.len(), unchanged: unchanged.len(), ..Imported::default() };
    let mut directory = each_once(directory);
    let (next, unchanged) = (&AtomicUsize::new(0), &unchanged);
    thread::scope(|scope| {
        let (batches, read) = mpsc::sync_channel(1);
        for _ in 0..READERS {
            let batches = batches.clone();
            let reader = move || batch::read(transcripts, next, unchanged, &batches);
            thread::Builder::new().spawn_scoped(scope, reader).map_err(ImportError::Thread)?;
        }
        drop(batches);
        for batch in read {
            imported.facts += write(&mut ledger, &batch, options, &known, &mut directory)?;
            imported.sessions += batch.sessions;
            imported.bytes += batch.bytes;
            imported.faults.add(batch.faults);
            progress(&imported);
        }
        Ok::<_, ImportError>(())
    })?;
    if let Some(prices) = options.prices {
        imported.priced = price_all(&mut ledger, prices)?;
    }
    progress(&imported);
    Ok(imported)
}

/// Looks each working directory up once.
fn each_once(mut find: impl FnMut(&str) -> Directory) -> impl FnMut(&str) -> Rc<Directory> {
    let mut known: HashMap<Box<str>, Rc<Directory>> = HashMap::new();
    move |name: &str| {
        if let Some(known) = known.get(name) {
            return Rc::clone(known);
        }
        let found = Rc::new(find(name));
        known.insert(name.into(), Rc::clone(&found));
        found
    }
}

/// Commits a batch, and returns the number of new facts. `known` are the sessions whose own transcripts are read.
fn write(
    ledger: &mut Turns<'_>,
    batch: &Batch,
    options: &Options<'_>,
    known: &HashSet<&str>,
    mut directory: impl FnMut(&str) -> Rc<Directory>,
) -> Result<u64, ImportError> {
    let written = ledger.write(|connection| apply::add(connection, batch, options, known, &mut directory).map(Some));
    written?.ok_or(ImportError::Busy)
}

/// The transcripts that were read before and have not changed.
fn unchanged(ledger: &mut Turns<'_>, transcripts: &[Transcript]) -> Result<HashSet<i64>, ImportError> {
    let mut unchanged = HashSet::new();
    let found = ledger.write(|connection| {
        for mark in transcripts.iter().map(Mark::of) {
            if mark.is_known(connection)? {
                unchanged.insert(mark.path);
            }
        }
        Ok(Some(()))
    })?;
    found.map(|()| unchanged).ok_or(ImportError::Busy)
}

/// Prices the requests without a cost, a commit at a time.
fn price_all(ledger: &mut Turns<'_>, prices: &Prices) -> Result<usize, ImportError> {
    let (mut sum, mut after) = (0, (i64::MIN, i64::MIN, i64::MIN));
    loop {
        let done = ledger.write(|connection| price(connection, prices, &mut after).map(Some))?;
        match done.ok_or(ImportError::Busy)? {
            Some(count) => sum += count,
            None => return Ok(sum),
        }
    }
}
