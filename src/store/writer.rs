//! The thread that has the database: whatever waits to be written goes into one transaction, and nobody is answered
//! before it is on disk. What is only read comes after that, and neither locks nor syncs anything.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};

use crate::state;
use crate::surroundings::{Identity, identity};

/// How many pieces of work one transaction takes.
const GROUP: usize = 64;

/// How many pieces of work may wait; whoever brings more waits with them.
const QUEUE: usize = 256;

/// The size of a page, in bytes.
const PAGE: i64 = 4096;

/// How many free pages the file keeps: what comes and goes should not make it grow and shrink.
const SPARE_PAGES: i64 = 4096;

/// How many pages are given back at once: moving them is a commit of its own.
const PAGES_AT_ONCE: i64 = 2048;

/// What went wrong with a piece of work.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database's word on it.
    #[error("the store: {0}")]
    Database(Arc<rusqlite::Error>),
    /// The file that writers queue on.
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

/// A part of a transaction, and whoever waits for it.
trait Write: Send {
    /// Does the part. It may be undone and done again.
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;

    /// Tells whoever waits how the commit went.
    fn reply(self: Box<Self>, committed: Result<(), StoreError>);
}

/// What [`Store::commit`] hands over.
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
        // A receiver that has gone is no reason to do anything else.
        drop(waiting.send(committed.and_then(|()| value.ok_or(StoreError::Closed))));
    }
}

/// Reads and answers, and says whether that went well. It is told where there is nothing to read from.
type Read = Box<dyn FnOnce(Result<&Connection, StoreError>) -> bool + Send>;

/// A piece of work.
enum Work {
    Read(Read),
    Write(Box<dyn Write>),
}

/// A handle to the thread. The last one dropped ends it.
#[derive(Clone, Debug)]
pub struct Store {
    work: mpsc::Sender<Work>,
}

impl Store {
    /// Starts the thread. The file is opened with the first piece of work, and again after a failure, so that a disk
    /// that is mended is used again. `set_aside` is called with the path that a file which is no database was moved to.
    pub fn start(path: &Path, set_aside: impl Fn(&Path) + Send + 'static) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let writer = Writer { path: path.to_owned(), opened: None, set_aside: Box::new(set_aside) };
        std::thread::Builder::new().stack_size(256 * 1024).spawn(move || writer.run(receiver))?;
        Ok(Self { work: sender })
    }

    /// Does a piece of work and answers once it is on disk. Work that was handed over is done even if nobody waits for
    /// it any longer; where other work of the same transaction fails, it is undone and done again.
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

    /// Reads what was committed before, by anybody. On the thread that writes, so that the page cache is one; but
    /// without a transaction, the file lock that writers queue on, or a sync.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            let done = connection.and_then(|connection| work(connection).map_err(StoreError::from));
            let is_good = done.is_ok();
            drop(sender.send(done));
            is_good
        });
        self.work.send(Work::Read(read)).await.map_err(|_| StoreError::Closed)?;
        receiver.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// Runs a statement that comes again and again, and that takes longer to parse than to do.
fn execute(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

/// Gives pages back to the disk that nothing has stood in since an outage was over, some at a time.
fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let free: i64 = connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    if free > SPARE_PAGES {
        let pages = (free - SPARE_PAGES).min(PAGES_AT_ONCE);
        let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut rows = statement.query([])?;
        // Each step gives back one.
        while rows.next()?.is_some() {}
    }
    Ok(())
}

struct Writer {
    path: PathBuf,
    opened: Option<Opened>,
    /// Told of a file that was no database and is out of the way.
    set_aside: SetAside,
}

/// Called with the path that a file which is no database was moved to.
type SetAside = Box<dyn Fn(&Path) + Send>;

/// The store, open.
struct Opened {
    connection: Connection,
    /// Which file that is: another may be at the path by now.
    file: Identity,
    /// What writers queue on.
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

    fn read(&mut self, read: Read) {
        let is_good = match self.readable() {
            Ok(connection) => read(Ok(connection)),
            Err(error) => read(Err(error)),
        };
        if !is_good {
            self.opened = None;
        }
    }

    /// The store that is at the path, without the writers' lock.
    fn readable(&mut self) -> Result<&Connection, StoreError> {
        let is_current = self.opened.as_ref().is_some_and(|opened| identity(&self.path) == Some(opened.file));
        if !is_current {
            drop(self.locked()?.lock.unlock());
        }
        self.opened.as_ref().map(|opened| &opened.connection).ok_or(StoreError::Closed)
    }

    /// One transaction for all that waits. If it fails, each has one of its own, so that only those fail that fail alone:
    /// cheaper than to keep, for each, what would undo its part. Gives how many they were.
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

    /// One transaction for a group, and for what comes while it is done: the fewer commits, the fewer syncs.
    fn transaction(
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
        if result.is_err() {
            // What is wrong with it may be right in another.
            self.opened = None;
        }
        Ok(result?)
    }

    /// The store that is at the path, with the writers' lock held. What is written to a file that was removed, or set
    /// aside by somebody else, is seen by nobody: it is opened again.
    fn locked(&mut self) -> Result<&Opened, StoreError> {
        let mut current = None;
        if let Some(opened) = self.opened.take()
            && self.is_current(&opened)?
        {
            current = Some(opened);
        }
        // One that is not has been closed by now, and its lock with it.
        let current = match current {
            Some(opened) => opened,
            None => self.open()?,
        };
        Ok(self.opened.insert(current))
    }

    /// Takes the lock, and says whether lock and store are still those at the path.
    fn is_current(&self, opened: &Opened) -> Result<bool, StoreError> {
        // SQLite's own waiting starves some of twenty writers; the kernel's queue does not.
        opened.lock.lock().map_err(lock_error)?;
        Ok(self.is_at_its_path(&opened.lock)? && identity(&self.path) == Some(opened.file))
    }

    fn is_at_its_path(&self, lock: &File) -> Result<bool, StoreError> {
        let metadata = lock.metadata().map_err(lock_error)?;
        Ok(identity(&self.lock_path()) == Some((metadata.dev(), metadata.ino())))
    }

    fn lock_path(&self) -> PathBuf {
        self.path.with_extension("lock")
    }

    /// Opens the store, creating what is missing of it, and keeps the writers' lock.
    fn open(&self) -> Result<Opened, StoreError> {
        if let Some(directory) = self.path.parent() {
            state::private_directory(directory).map_err(|error| lock_error(io::Error::other(error)))?;
        }
        let lock = loop {
            let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(self.lock_path());
            let lock = lock.map_err(lock_error)?;
            lock.lock().map_err(lock_error)?;
            if self.is_at_its_path(&lock)? {
                break lock;
            }
        };
        let connection = match self.connect() {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
                self.set_aside()?;
                self.connect()
            }
            other => other,
        };
        let connection = connection?;
        let file = identity(&self.path).ok_or(StoreError::Closed)?;
        Ok(Opened { connection, file, lock })
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = super::open(&self.path)?;
        let transaction = connection.unchecked_transaction()?;
        super::create(&transaction)?;
        transaction.commit()?;
        Ok(connection)
    }

    /// Moves a file that is no database out of the way, together with what belongs to it. Others find out before they
    /// write again: the lock is held.
    fn set_aside(&self) -> Result<(), StoreError> {
        let now = jiff::Timestamp::now().as_second();
        let aside = self.path.with_extension(format!("damaged-{now}"));
        std::fs::rename(&self.path, &aside).map_err(lock_error)?;
        for suffix in ["-wal", "-shm"] {
            // What is left of its log must not be taken for the new one's, and may help whoever mends it.
            drop(std::fs::rename(with_suffix(&self.path, suffix), with_suffix(&aside, suffix)));
        }
        (self.set_aside)(&aside);
        Ok(())
    }

    /// Writes the log back into the database once it has grown, while nobody else writes; where there is much to do, only
    /// once it has grown twice as long, for all of them wait.
    fn checkpoint(&mut self, is_busy: bool) {
        let Some(Opened { connection, lock, .. }) = &self.opened else { return };
        let due = if is_busy { 2 * super::LOG } else { super::LOG };
        if log_size(connection).unwrap_or(0) >= due && lock.try_lock().is_ok() {
            // One that a reader holds up, or that fails, is tried again after the next commit.
            drop(write_back(connection).and_then(|()| give_back(connection)));
            drop(lock.unlock());
        }
    }
}

/// The next piece of work that waits to be written; what is to be read before it is put aside.
fn next_write(queue: &mut mpsc::Receiver<Work>, reads: &mut Vec<Read>) -> Option<Box<dyn Write>> {
    loop {
        match queue.try_recv().ok()? {
            Work::Read(read) => reads.push(read),
            Work::Write(write) => return Some(write),
        }
    }
}

/// How much of the log is not in the database yet, in bytes.
fn log_size(connection: &Connection) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?;
    statement.query_row([], |row| Ok(PAGE * (row.get::<_, i64>(1)? - row.get::<_, i64>(2)?)))
}

/// Writes the log back into the database. Whoever writes next begins it anew.
fn write_back(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// The file that `SQLite` keeps beside a database.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn lock_error(error: io::Error) -> StoreError {
    StoreError::Lock(Arc::new(error))
}

#[cfg(test)]
mod tests;
