//! The floor: the cost of a receiver that only reads requests, or also commits them to `SQLite`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::Context;
use bytes::Bytes;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::serve::{self, Arrived, Fate};

/// A receiver that only reads requests, or also commits them; it prints its URL and runs until it is killed
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Commit every request to this file, with `SQLite` in WAL mode that syncs at every commit
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Largest number of requests in one commit
    #[arg(long, default_value_t = 1)]
    group: usize,
}

pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let Some(path) = options.store else { return serve::run(listen, None, &Arc::new(Read)) };
    let connection = open(&path)?;
    let (sender, receiver) = channel();
    let group = options.group.max(1);
    std::thread::spawn(move || commit(&connection, &receiver, group));
    serve::run(listen, None, &Arc::new(Commit { to: sender }))
}

/// Opens a new store. Its commits are on disk when they return.
pub(crate) fn open(path: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch("CREATE TABLE batch (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")?;
    Ok(connection)
}

/// Inserts the requests in one commit.
pub(crate) fn insert(connection: &Connection, bodies: &[impl AsRef<[u8]>]) -> anyhow::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let mut insert = connection.prepare_cached("INSERT INTO batch (body) VALUES (?1)")?;
    for body in bodies {
        insert.execute([body.as_ref()])?;
    }
    Ok(connection.execute_batch("COMMIT")?)
}

/// Acknowledges requests that were read.
struct Read;

impl Fate for Read {
    async fn of(&self, arrived: Arrived) {
        drop(arrived);
    }
}

/// A request, and the channel that reports when it is on disk.
type Waiting = (Bytes, oneshot::Sender<()>);

/// Acknowledges requests that are on disk.
struct Commit {
    to: Sender<Waiting>,
}

impl Fate for Commit {
    async fn of(&self, arrived: Arrived) {
        let (sender, receiver) = oneshot::channel();
        if self.to.send((arrived.message, sender)).is_err() || receiver.await.is_err() {
            // A request that cannot be committed is never acknowledged, so the measurement hangs visibly.
            std::future::pending::<()>().await;
        }
    }
}

/// Commits the waiting requests, at most `group` at once.
fn commit(connection: &Connection, waiting: &Receiver<Waiting>, group: usize) -> anyhow::Result<()> {
    loop {
        let first = waiting.recv().context("the server has ended")?;
        let others = waiting.try_iter().take(group - 1);
        let (bodies, all): (Vec<_>, Vec<_>) = std::iter::once(first).chain(others).unzip();
        insert(connection, &bodies)?;
        for reported in all {
            // The client may have gone.
            let _ = reported.send(());
        }
    }
}
