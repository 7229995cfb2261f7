//! The thread that owns the database: all waiting writes go into one transaction, and no caller gets an answer before
//! it is on disk. Reads come after that, and neither lock nor sync anything.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::Schema;
use super::damage::{self, Replaced};
use super::file::{self, Files, lock_error};

/// How many pieces of work one transaction takes.
const GROUP: usize = 64;

/// How many pieces of work may wait. Callers with more have to wait too.
const QUEUE: usize = 256;

/// How many free pages the file keeps, so that temporary data does not make it grow and shrink.
const SPARE_PAGES: i64 = 4096;

/// How many pages are given back at once: moving them is a commit of its own.
const PAGES_AT_ONCE: i64 = 2048;

/// The failure of a piece of work.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database's error.
    #[error("the store: {}", damage::words(.0).map_or_else(|| .0.to_string(), str::to_owned))]
    Database(Arc<rusqlite::Error>),
    /// An error of the file on which writers queue.
    #[error("the store's lock: {0}")]
    Lock(Arc<std::io::Error>),
    /// The thread has ended.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// A part of a transaction, and the caller that waits for it.
trait Write: Send {
    /// Does the part. It may be undone and done again.
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;

    /// Tells the caller how the commit went.
    fn reply(self: Box<Self>, committed: Result<(), StoreError>);
}

/// The part that [`Store::commit`] submits.
struct Part<T, F> {
    work: F,
    value: Option<T>,
    waiting: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Write for Part<T, F>
where
    T: Send,
    F: Fn(&Connection) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.value = Some((self.work)(connection)?);
        Ok(())
    }

    fn reply(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { value, waiting, .. } = *self;
        // A receiver that is gone changes nothing.
        drop(waiting.send(committed.and_then(|()| value.ok_or(StoreError::Closed))));
    }
}

/// Reads and answers. It gets an error if there is nothing to read from. The flag says whether to answer with a
/// failure: if a damaged store is the cause, the read is tried again with another store.
type Read = Box<dyn FnMut(Result<&Connection, StoreError>, bool) -> Result<(), StoreError> + Send>;

/// A piece of work.
enum Work {
    Read(Read),
    Write(Box<dyn Write>),
}

/// A handle to the thread, which ends when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    work: mpsc::Sender<Work>,
}

impl Store {
    /// Starts the thread. The file is opened with the first piece of work, and again after a failure, so that a disk
    /// that works again is used again. `tell` is called with the result for a damaged file.
    pub fn start(path: &Path, schema: Schema, tell: impl Fn(&Replaced) + Send + 'static) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let writer = Writer { path: path.to_owned(), schema, opened: None, tell: Box::new(tell) };
        std::thread::Builder::new().stack_size(256 * 1024).spawn(move || writer.run(receiver))?;
        Ok(Self { work: sender })
    }

    /// Does a piece of work and answers once it is on disk. Submitted work is done even if no caller waits for it any
    /// longer. If other work of the same transaction fails, it is undone and done again.
    pub async fn commit<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (waiting, receiver) = oneshot::channel();
        let part = Box::new(Part { work, value: None, waiting });
        self.work.send(Work::Write(part)).await.map_err(|_| StoreError::Closed)?;
        receiver.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Reads committed data, including that of other processes. The read runs on the thread that writes, so that there
    /// is one page cache, but without a transaction, a sync, or the file lock on which writers queue.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let mut sender = Some(sender);
        let read: Read = Box::new(move |connection, is_last| {
            let done = connection.and_then(|connection| work(connection).map_err(StoreError::from));
            let failure = done.as_ref().err().cloned();
            if (is_last || failure.is_none())
                && let Some(sender) = sender.take()
            {
                // A receiver that is gone changes nothing.
                drop(sender.send(done));
            }
            failure.map_or(Ok(()), Err)
        });
        self.work.send(Work::Read(read)).await.map_err(|_| StoreError::Closed)?;
        receiver.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// Runs a frequent statement that takes longer to parse than to execute.
fn execute(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

/// Gives pages back to the disk that have been empty since the end of an outage, some at a time.
fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let free: i64 = connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    if free > SPARE_PAGES {
        let pages = (free - SPARE_PAGES).min(PAGES_AT_ONCE);
        let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut rows = statement.query([])?;
        // Each step gives back one page.
        while rows.next()?.is_some() {}
    }
    Ok(())
}

struct Writer {
    path: PathBuf,
    schema: Schema,
    opened: Option<Opened>,
    /// Receives the result for a store that was damaged and replaced.
    tell: Box<dyn Fn(&Replaced) + Send>,
}

/// The open store.
struct Opened {
    connection: Connection,
    /// The identity of its files: other files may be in their places by now.
    files: Files,
    /// The lock on which writers queue.
    lock: File,
}

impl Writer {
    fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        while let Some(work) = queue.blocking_recv() {
            let (mut reads, mut done) = (Vec::new(), 0);
            match work {
                Work::Read(read) => reads.push(read),
                Work::Write(write) => done = self.write(write, || next_write(&mut queue, &mut reads)),
            }
            for read in reads {
                self.read(read);
            }
            self.checkpoint(done > 1 || !queue.is_empty());
        }
    }

    fn read(&mut self, mut read: Read) {
        for is_again in [false, true] {
            let done = match self.readable() {
                Ok(connection) => read(Ok(connection), is_again),
                Err(error) => read(Err(error), true),
            };
            match done {
                Ok(()) => return,
                Err(error) if !self.let_go(&error) || is_again => {
                    // The second call has nothing to read from, and answers.
                    drop(read(Err(error), true));
                    return;
                }
                Err(_) => {}
            }
        }
    }

    /// The store at the path, without the writers' lock.
    fn readable(&mut self) -> Result<&Connection, StoreError> {
        let is_current = self.opened.as_ref().is_some_and(|opened| Files::at(&self.path) == Some(opened.files));
        if !is_current {
            drop(self.locked()?.lock.unlock());
        }
        self.opened.as_ref().map(|opened| &opened.connection).ok_or(StoreError::Closed)
    }

    /// One transaction for all waiting writes. If it fails, each write gets a transaction of its own, so that only
    /// those fail that fail alone. This is cheaper than a savepoint for each write. Returns the number of writes.
    fn write(&mut self, first: Box<dyn Write>, more: impl FnMut() -> Option<Box<dyn Write>>) -> usize {
        let mut group = vec![first];
        let together = self.transaction(&mut group, more);
        let count = group.len();
        for write in group {
            let mut alone = vec![write];
            let result = match &together {
                Err(_) if count > 1 => self.transaction(&mut alone, || None),
                result => result.clone(),
            };
            for write in alone {
                write.reply(result.clone());
            }
        }
        count
    }

    /// One transaction for a group, and for writes that arrive in the meantime: fewer commits mean fewer syncs. It is
    /// repeated once if the store is damaged and has been replaced.
    fn transaction(
        &mut self,
        group: &mut Vec<Box<dyn Write>>,
        more: impl FnMut() -> Option<Box<dyn Write>>,
    ) -> Result<(), StoreError> {
        match self.attempt(group, more) {
            Err(error) if self.let_go(&error) => self.attempt(group, || None).inspect_err(|_| self.opened = None),
            done => done,
        }
    }

    fn attempt(
        &mut self,
        group: &mut Vec<Box<dyn Write>>,
        mut more: impl FnMut() -> Option<Box<dyn Write>>,
    ) -> Result<(), StoreError> {
        let Opened { connection, lock, .. } = self.locked()?;
        let result = (|| {
            execute(connection, "BEGIN IMMEDIATE")?;
            let mut done = 0;
            while let Some(write) = group.get_mut(done) {
                write.run(connection)?;
                done += 1;
                if done == group.len() && done < GROUP {
                    group.extend(more());
                }
            }
            execute(connection, "COMMIT")
        })();
        if result.is_err() && !connection.is_autocommit() {
            drop(connection.execute_batch("ROLLBACK"));
        }
        drop(lock.unlock());
        Ok(result?)
    }

    /// The store at the path, with the writers' lock held. If another process has removed its file or set it aside, it
    /// is opened again, because writes to the old file would be lost.
    fn locked(&mut self) -> Result<&Opened, StoreError> {
        let mut current = None;
        if let Some(opened) = self.opened.take() {
            if self.is_current(&opened)? {
                current = Some(opened);
            } else {
                // The store's lock is closed with it.
                opened.files.abandon(&opened.connection, &self.path);
            }
        }
        let current = match current {
            Some(opened) => opened,
            None => self.open()?,
        };
        Ok(self.opened.insert(current))
    }

    /// Takes the lock, and returns whether lock and store are still those at the path.
    fn is_current(&self, opened: &Opened) -> Result<bool, StoreError> {
        // SQLite's own waiting starves some of twenty writers; the kernel's queue does not.
        opened.lock.lock().map_err(lock_error)?;
        Ok(file::is_at_its_path(&self.path, &opened.lock)? && Files::at(&self.path) == Some(opened.files))
    }

    /// Opens the store, creating any missing parts, and keeps the writers' lock.
    fn open(&self) -> Result<Opened, StoreError> {
        let lock = file::lock(&self.path)?;
        let connection = file::open(&self.path, self.schema, &*self.tell)?;
        let files = Files::at(&self.path).ok_or(StoreError::Closed)?;
        Ok(Opened { connection, files, lock })
    }

    /// Closes a store that failed: another store may work. Returns whether the store has been replaced because it is
    /// damaged.
    fn let_go(&mut self, error: &StoreError) -> bool {
        let damaged = self.opened.take().map(|opened| opened.files.database);
        let StoreError::Database(error) = error else { return false };
        damage::is_damage(error)
            && damaged.is_some_and(|damaged| file::repair(&self.path, self.schema, damaged, &*self.tell).is_ok())
    }

    /// Writes the log back into the database once it has grown, while no other process writes. If much work waits, it
    /// does so only once the log is twice as large, because all of that work has to wait.
    fn checkpoint(&mut self, is_busy: bool) {
        let Some(Opened { connection, lock, .. }) = &self.opened else { return };
        let due = if is_busy { 2 * super::LOG } else { super::LOG };
        if file::log_size(connection).unwrap_or(0) >= due && lock.try_lock().is_ok() {
            // If a reader holds it up, or it fails, it is tried again after the next commit.
            drop(file::write_back(connection).and_then(|()| give_back(connection)));
            drop(lock.unlock());
        }
    }
}

/// The next piece of work that waits to be written; any reads before it are put aside.
fn next_write(queue: &mut mpsc::Receiver<Work>, reads: &mut Vec<Read>) -> Option<Box<dyn Write>> {
    loop {
        match queue.try_recv().ok()? {
            Work::Read(read) => reads.push(read),
            Work::Write(write) => return Some(write),
        }
    }
}

#[cfg(test)]
mod tests;
