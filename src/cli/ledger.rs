//! Options of `ccrun ledger`, which manages recorded usage.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

/// `ccrun ledger`.
#[derive(Debug, Args)]
pub struct Ledger {
    /// What to do.
    #[command(subcommand)]
    pub command: LedgerCommand,
}

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Permanently delete the usage of a person, a session or a project
    Forget(LedgerForget),
    /// Write recorded usage into a file, for another machine
    Export(LedgerExport),
    /// Add the usage of another machine from its export
    Import(LedgerImport),
    /// Exchange usage with other machines through a shared directory
    Sync(LedgerSync),
}

/// `ccrun ledger export`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun ledger export usage.ccrun-ledger
  ccrun ledger export --since 30d usage.ccrun-ledger

The file is compressed and readable by you alone. It names projects, branches and
persons as `ccrun report` does, and holds no prompts, answers, paths of files or commands.")]
pub struct LedgerExport {
    /// The file to write
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Leave out what was used before then: a date, a date and time, 30d
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
}

/// `ccrun ledger import`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun ledger import usage.ccrun-ledger
  ccrun report --by machine

Importing a file twice counts nothing twice.")]
pub struct LedgerImport {
    /// The export of another machine
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// `ccrun ledger sync`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun ledger sync ~/Dropbox/ccrun     on each machine, whenever you like

It writes this machine's usage into a file of its own and adds that of all others.")]
pub struct LedgerSync {
    /// A directory that all machines see
    #[arg(value_name = "DIRECTORY")]
    pub directory: PathBuf,
}

/// `ccrun ledger forget`.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("what").args(["person", "session", "project"]).required(true),
    after_help = "Examples:
  ccrun ledger forget --person me@example.org
  ccrun ledger forget --project . --before 2026-01-01

A keyed hash of the name is kept, so that a later import cannot bring the deleted
usage back."
)]
pub struct LedgerForget {
    /// Delete the usage of this person, named as in `ccrun report --by person`
    #[arg(long, value_name = "NAME")]
    pub person: Option<String>,
    /// Delete the usage of this session, by its full id
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Delete the usage of the project in this directory
    #[arg(long, value_name = "DIRECTORY")]
    pub project: Option<String>,
    /// Delete only usage before this time: a date, a date and time, or an age such as 400d
    #[arg(long, value_name = "WHEN")]
    pub before: Option<String>,
    /// Delete without asking
    #[arg(short, long)]
    pub yes: bool,
}
