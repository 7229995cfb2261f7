//! The floor of a report: how long `SQLite` alone takes to read all requests of a ledger.

use std::path::PathBuf;

use rusqlite::{Connection, OpenFlags};

/// Sum the costs of all requests of a ledger in SQL, and print the sum
#[derive(clap::Args)]
pub(crate) struct Options {
    ledger: PathBuf,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let connection = Connection::open_with_flags(&options.ledger, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let sum: i64 = connection.query_row("SELECT coalesce(sum(cost), 0) FROM request", [], |row| row.get(0))?;
    super::say(format_args!("{sum}"))
}
