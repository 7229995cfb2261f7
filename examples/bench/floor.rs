//! The floor: what a receiver costs that does nothing but read a request, or read it and commit it to `SQLite`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::Context;
use bytes::Bytes;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::serve::{self, Arrived, Fate};

/// A receiver that only reads, or that only commits what it has read; it prints its URL and runs until it is killed
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Commits every request to this file, with `SQLite` in WAL mode that syncs at every commit
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// How many requests at most go into one commit
    #[arg(long, default_value_t = 1)]
    group: usize,
}

pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let Some(path) = options.store else { return serve::run(listen, None, &Arc::new(Read)) };
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch("CREATE TABLE batch (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")?;
    let (sender, receiver) = channel();
    let group = options.group.max(1);
    std::thread::spawn(move || commit(&connection, &receiver, group));
    serve::run(listen, None, &Arc::new(Commit { to: sender }))
}

/// Acknowledges what was read.
struct Read;

impl Fate for Read {
    async fn of(&self, arrived: Arrived) {
        drop(arrived);
    }
}

/// A request, and whom to tell that it is on disk.
type Waiting = (Bytes, oneshot::Sender<()>);

/// Acknowledges what is on disk.
struct Commit {
    to: Sender<Waiting>,
}

impl Fate for Commit {
    async fn of(&self, arrived: Arrived) {
        let (sender, receiver) = oneshot::channel();
        if self.to.send((arrived.message, sender)).is_err() || receiver.await.is_err() {
            // What cannot be committed is never acknowledged, and whoever measures sees that it hangs.
            std::future::pending::<()>().await;
        }
    }
}

/// Commits as many as wait, but no more than `group`, at once.
fn commit(connection: &Connection, waiting: &Receiver<Waiting>, group: usize) -> anyhow::Result<()> {
    loop {
        let first = waiting.recv().context("the server has ended")?;
        let others = waiting.try_iter().take(group - 1);
        let all: Vec<_> = std::iter::once(first).chain(others).collect();
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut insert = connection.prepare_cached("INSERT INTO batch (body) VALUES (?1)")?;
        for (body, _) in &all {
            insert.execute([&body[..]])?;
        }
        connection.execute_batch("COMMIT")?;
        for (_, told) in all {
            // A client that has gone wants no answer.
            let _ = told.send(());
        }
    }
}
