//! Tools for `scripts/bench/`, one a subcommand: a load and its backend, minimal receivers, an alternating timer, and a
//! ledger of any size.
#![expect(clippy::disallowed_methods, reason = "measurements take any moment")]

mod alternate;
mod append;
mod backend;
mod batches;
mod bodies;
mod first;
mod floor;
mod insert;
mod ledger;
mod load;
mod rules;
mod scan;
mod serve;
mod team;
mod writers;

use std::io::Write;

use clap::Parser;

/// Tools for the benchmarks
#[derive(Parser)]
enum Command {
    Alternate(alternate::Options),
    Append(append::Options),
    Backend(backend::Options),
    Batches(batches::Options),
    First(first::Options),
    Floor(floor::Options),
    Insert(insert::Options),
    Ledger(ledger::Options),
    Load(load::Options),
    Scan(scan::Options),
    Team(team::Options),
    Writers(writers::Options),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Alternate(options) => alternate::run(&options),
        Command::Append(options) => append::run(&options),
        Command::Backend(options) => backend::run(options),
        Command::Batches(options) => batches::run(&options),
        Command::First(options) => first::run(&options),
        Command::Floor(options) => floor::run(options),
        Command::Insert(options) => insert::run(&options),
        Command::Ledger(options) => ledger::run(&options),
        Command::Load(options) => load::run(&options),
        Command::Scan(options) => scan::run(&options),
        Command::Team(options) => team::run(&options),
        Command::Writers(options) => writers::run(&options),
    }
}

/// Prints a line and flushes it, because the reader waits for it.
fn say(what: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}")?;
    Ok(out.flush()?)
}
