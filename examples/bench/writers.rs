//! One of many processes that write to one store.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ccrun::otlp::Signal;
use ccrun::store::batches::{self, Recipient};
use ccrun::store::{self, Store};

/// The size of a batch, in bytes: what one session of Claude Code posts.
const SIZE: usize = 11 * 1024;

/// Commits batches one after the other and prints how long each took, in microseconds, a line each
#[derive(clap::Args)]
pub(crate) struct Options {
    how: How,
    store: PathBuf,
    commits: usize,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum How {
    /// As a collector does, queueing on the file lock
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

/// Says that the store is open and waits for the others: whoever starts many closes their stdins at once.
fn ready() -> io::Result<usize> {
    writeln!(io::stderr(), "open")?;
    io::stdin().read_to_end(&mut Vec::new())
}

fn recipient() -> Vec<Recipient> {
    let session = std::process::id().to_string();
    vec![Recipient { session, destination: "bench".to_owned(), fingerprint: vec![1] }]
}

fn by_queue(path: &Path, commits: usize) -> anyhow::Result<Vec<Duration>> {
    let store = Store::start(path, |_| {})?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        store.commit(|_| Ok(())).await?;
        ready()?;
        let mut waits = Vec::new();
        for _ in 0..commits {
            let (to, begun) = (recipient(), Instant::now());
            store.commit(move |connection| batches::insert(connection, Signal::Logs, &[7; SIZE], 0, &to)).await?;
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
        batches::insert(&connection, Signal::Logs, &[7; SIZE], 0, &to)?;
        connection.execute_batch("COMMIT")?;
        waits.push(begun.elapsed());
    }
    Ok(waits)
}
