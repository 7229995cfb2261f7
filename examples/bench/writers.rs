//! One of many processes that write to one store.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ccrun::otlp::Signal;
use ccrun::store::counters;
use ccrun::store::counts::Counts;
use ccrun::store::recipient::Recipient;
use ccrun::store::{self, STORE, Store};
use rusqlite::Connection;

/// Commit counts one after the other and print the time of each in microseconds, one a line
#[derive(clap::Args)]
pub(crate) struct Options {
    how: How,
    store: PathBuf,
    commits: usize,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum How {
    /// Like a collector, with the file lock
    Ccrun,
    /// With `SQLite`'s own waiting instead
    Busy,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let waits = match options.how {
        How::Ccrun => by_queue(&options.store, options.commits)?,
        How::Busy => by_busy_handler(&options.store, options.commits)?,
    };
    let mut out = io::stdout().lock();
    waits.iter().try_for_each(|wait| writeln!(out, "{}", wait.as_micros()))?;
    Ok(())
}

/// Reports that the store is open and waits for the other processes. The script closes the stdin of all of them at
/// once.
fn ready() -> io::Result<usize> {
    writeln!(io::stderr(), "open")?;
    io::stdin().read_to_end(&mut Vec::new())
}

fn recipient() -> Recipient {
    let session = std::process::id().to_string();
    Recipient { session, destination: "bench".to_owned(), fingerprint: vec![1] }
}

/// Roughly what a collector commits for each answer of a backend.
fn count(connection: &Connection, to: &Recipient) -> rusqlite::Result<()> {
    counters::add(connection, to, Signal::Logs, Counts { delivered: 20, ..Counts::default() }, 0)
}

fn by_queue(path: &Path, commits: usize) -> anyhow::Result<Vec<Duration>> {
    let store = Store::start(path, STORE, |_| {})?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        store.commit(|_| Ok(())).await?;
        ready()?;
        let mut waits = Vec::new();
        for _ in 0..commits {
            let (to, begun) = (recipient(), Instant::now());
            store.commit(move |connection| count(connection, &to)).await?;
            waits.push(begun.elapsed());
        }
        Ok(waits)
    })
}

fn by_busy_handler(path: &Path, commits: usize) -> anyhow::Result<Vec<Duration>> {
    let connection = store::open(path)?;
    connection.busy_timeout(Duration::from_mins(5))?;
    ready()?;
    let mut waits = Vec::new();
    for _ in 0..commits {
        let (to, begun) = (recipient(), Instant::now());
        connection.execute_batch("BEGIN IMMEDIATE")?;
        count(&connection, &to)?;
        connection.execute_batch("COMMIT")?;
        waits.push(begun.elapsed());
    }
    Ok(waits)
}
