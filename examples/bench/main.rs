//! What `scripts/bench/` measures with: a load and where it ends, receivers that do no more than they must, a timer that
//! alternates, and a ledger of any size. Each subcommand is one such thing; the scripts put them together.

mod alternate;
mod backend;
mod batches;
mod bodies;
mod first;
mod floor;
mod insert;
mod ledger;
mod load;
mod rules;
mod serve;
mod writers;

use std::io::Write;

use clap::Parser;

/// What the benchmarks measure with
#[derive(Parser)]
enum Command {
    Alternate(alternate::Options),
    Backend(backend::Options),
    Batches(batches::Options),
    First(first::Options),
    Floor(floor::Options),
    Insert(insert::Options),
    Ledger(ledger::Options),
    Load(load::Options),
    Writers(writers::Options),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Alternate(options) => alternate::run(&options),
        Command::Backend(options) => backend::run(options),
        Command::Batches(options) => batches::run(&options),
        Command::First(options) => first::run(&options),
        Command::Floor(options) => floor::run(options),
        Command::Insert(options) => insert::run(&options),
        Command::Ledger(options) => ledger::run(&options),
        Command::Load(options) => load::run(&options),
        Command::Writers(options) => writers::run(&options),
    }
}

/// Prints a line at once: whoever reads it waits for it.
fn say(what: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}")?;
    Ok(out.flush()?)
}
