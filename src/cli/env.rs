//! `ccrun env` and `ccrun headers`: what a program would be given, for others.

use clap::{Args, ValueEnum};

use super::Launch;

/// `ccrun env`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun env -p team --explain                    what comes from where, and what it overrides
  eval \"$(ccrun env -p gateway --format shell)\"  sh, bash, zsh: a profile without a destination
  ccrun env -p gateway --format fish | source

It starts nothing, but for the commands that a profile takes values from, with `--reveal` or for a shell; they stand as
`fetched` otherwise. The program `env` is run by `ccrun run env`.")]
pub struct Env {
    /// What a launch would be given.
    #[command(flatten)]
    pub launch: Launch,
    /// How to write it; the last three do without a collector
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: EnvFormat,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Say where each value comes from, and what it overrides
    #[arg(long)]
    pub explain: bool,
    /// Show secrets
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
    /// For what reads .env files
    Dotenv,
}

/// `ccrun headers`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun headers -p team
  {\"otelHeadersHelper\": \"/usr/local/bin/ccrun headers -p team\"}    in Claude Code's settings

For a Claude Code that exports by itself, over http. What only a collector does
is lost then: nothing is kept on disk while the backend is away, nothing is
redacted or recorded, and there is one destination.")]
pub struct Headers {
    /// Which profile.
    #[command(flatten)]
    pub launch: Launch,
    /// Which destination, where the profile has several
    #[arg(long, value_name = "NAME")]
    pub destination: Option<String>,
}
