//! Options of `ccrun env` and `ccrun headers`, which print what a program would get.

use clap::{Args, ValueEnum};

use super::{Given, Which};

/// `ccrun env`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun env -p team --explain                     show where each value comes from and what it overrides
  eval \"$(ccrun env -p gateway --format shell)\"   sh, bash, zsh: for a profile without a destination
  ccrun env -p gateway --format fish | source

Nothing is started, except that `--reveal` and the shell formats run the commands that a profile takes values from.
Otherwise those values are shown as `fetched`. To run the program `env`, use `ccrun run env`.")]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, as on the command line")]
pub struct Env {
    /// The launch to show.
    #[command(flatten)]
    pub given: Given,
    /// Show the environment of a launch without a collector
    #[arg(long)]
    pub direct: bool,
    /// Output format; shell, fish and dotenv imply --direct
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: EnvFormat,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Show where each value comes from, and what it overrides
    #[arg(long)]
    pub explain: bool,
    /// Print secrets
    #[arg(long)]
    pub reveal: bool,
}

/// How `ccrun env` writes variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EnvFormat {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// For eval in sh, bash and zsh
    Shell,
    /// For source in fish
    Fish,
    /// For tools that read .env files
    Dotenv,
}

/// `ccrun headers`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun headers -p team
  {\"otelHeadersHelper\": \"/usr/local/bin/ccrun headers -p team\"}  in Claude Code's settings

For a Claude Code that exports by itself over HTTP. Without a collector, nothing
is kept on disk while the backend is down, nothing is redacted or recorded, and
there is only one destination.")]
pub struct Headers {
    /// The profile.
    #[command(flatten)]
    pub which: Which,
    /// The destination, if the profile has several
    #[arg(long, value_name = "NAME")]
    pub destination: Option<String>,
}
