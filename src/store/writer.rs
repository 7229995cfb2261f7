//! The thread that writes: whatever waits goes into one transaction, and nobody is answered before it is on disk.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

/// How many pieces of work one transaction takes.
const GROUP: usize = 64;

/// How many pieces of work may wait; whoever brings more waits with them.
const QUEUE: usize = 256;

/// How large the log may grow before it is written back into the database, in bytes.
const CHECKPOINT: u64 = 4 << 20;

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

/// Tells whoever waits for a piece of work how the commit went.
type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// A piece of work: does its part of the group's transaction, and gives what to do after the commit. It is told where
/// there is no transaction to do it in.
type Work = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Option<Reply> + Send>;

/// A handle to the thread. The last one dropped ends it.
#[derive(Clone, Debug)]
pub struct Store {
    work: mpsc::Sender<Work>,
}

impl Store {
    /// Starts the thread. The file is opened with the first piece of work, and again after a failure, so that a disk
    /// that is mended is used again.
    pub fn start(path: &Path) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let writer = Writer { path: path.to_owned(), connection: None };
        std::thread::Builder::new().stack_size(256 * 1024).spawn(move || writer.run(receiver))?;
        Ok(Self { work: sender })
    }

    /// Does a piece of work and answers once it is on disk. Work that was handed over is done even if nobody waits for
    /// it any longer.
    pub async fn commit<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            let done = connection.and_then(|connection| savepoint(connection, work).map_err(StoreError::from));
            // A receiver that has gone is no reason to do anything else.
            match done {
                Ok(value) => Some(Box::new(|committed| drop(sender.send(committed.map(|()| value))))),
                Err(error) => {
                    drop(sender.send(Err(error)));
                    None
                }
            }
        });
        self.work.send(work).await.map_err(|_| StoreError::Closed)?;
        receiver.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// Runs work so that its failure undoes its own changes alone.
fn savepoint<T>(connection: &Connection, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    connection.execute_batch("SAVEPOINT work")?;
    let result = work(connection);
    if result.is_err() {
        connection.execute_batch("ROLLBACK TO work")?;
    }
    connection.execute_batch("RELEASE work")?;
    result
}

struct Writer {
    path: PathBuf,
    connection: Option<(Connection, File)>,
}

impl Writer {
    fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        let mut group = Vec::with_capacity(GROUP);
        while queue.blocking_recv_many(&mut group, GROUP) > 0 {
            let mut replies = Vec::with_capacity(group.len());
            let result = self.transaction(&mut group, &mut replies);
            if let Err(error) = &result {
                self.connection = None;
                for untried in group.drain(..) {
                    drop(untried(Err(error.clone())));
                }
            }
            for reply in replies {
                reply(result.clone());
            }
            if queue.is_empty() {
                self.checkpoint();
            }
        }
    }

    /// One transaction for a group of work. What it leaves in the group was never tried.
    fn transaction(&mut self, group: &mut Vec<Work>, replies: &mut Vec<Reply>) -> Result<(), StoreError> {
        let (connection, lock) = self.opened()?;
        // SQLite's own waiting starves some of twenty writers; the kernel's queue does not.
        lock.lock().map_err(|error| StoreError::Lock(Arc::new(error)))?;
        let result = (|| {
            connection.execute_batch("BEGIN IMMEDIATE")?;
            replies.extend(group.drain(..).filter_map(|work| work(Ok(connection))));
            connection.execute_batch("COMMIT")
        })();
        if result.is_err() && !connection.is_autocommit() {
            // The connection is dropped after a failure, which rolls back in any case.
            drop(connection.execute_batch("ROLLBACK"));
        }
        drop(lock.unlock());
        Ok(result?)
    }

    fn opened(&mut self) -> Result<&(Connection, File), StoreError> {
        if self.connection.is_none() {
            let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(self.path.with_extension("lock"));
            let lock = lock.map_err(|error| StoreError::Lock(Arc::new(error)))?;
            lock.lock().map_err(|error| StoreError::Lock(Arc::new(error)))?;
            let opened = super::open(&self.path).and_then(|connection| {
                let transaction = connection.unchecked_transaction()?;
                super::create(&transaction)?;
                transaction.commit()?;
                Ok(connection)
            });
            drop(lock.unlock());
            return Ok(self.connection.insert((opened?, lock)));
        }
        self.connection.as_ref().ok_or(StoreError::Closed)
    }

    /// Writes the log back into the database once it has grown, while nobody here waits and nobody else writes.
    fn checkpoint(&mut self) {
        let Some((connection, lock)) = &self.connection else { return };
        let log = std::fs::metadata(self.path.with_extension("db-wal")).map_or(0, |log| log.len());
        if log >= CHECKPOINT && lock.try_lock().is_ok() {
            // One that a reader holds up is tried again after the next commit.
            drop(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)));
            drop(lock.unlock());
        }
    }
}
