//! The command line: options and help texts, no behaviour.

mod budget;
mod choice;
pub mod completion;
mod doctor;
mod env;
mod help;
mod import;
mod init;
mod later;
mod ledger;
mod managed_settings;
mod metrics;
mod order;
mod profile;
mod queue;
mod report;
mod secret;
mod setup;
mod statusline;
mod tail;
mod top;
mod trust;
mod wire;
mod wrap;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::collector;

pub use budget::{Budget, BudgetCommand, BudgetLift};
pub use choice::{Given, Which};
pub use doctor::Doctor;
pub use env::{Env, EnvFormat, Headers};
pub use help::Help;
pub use import::Import;
pub use init::{Complete, Init, Shell};
pub use later::Later;
pub use ledger::{Ledger, LedgerCommand, LedgerExport, LedgerForget, LedgerImport, LedgerSync};
pub use managed_settings::ManagedSettings;
pub use metrics::Metrics;
pub use profile::{Profile, ProfileCommand};
pub use queue::{Queue, QueueCommand, QueueFlush, QueuePurge, duration};
pub use report::{Report, ReportFormat, ReportId, ReportOne, ReportWeek, Sessions, Shown, WeekBy};
pub use secret::{Secret, SecretCommand};
pub use setup::{Choices, Setup};
pub use statusline::Statusline;
pub use tail::Tail;
pub use top::Top;
pub use trust::{Trust, Untrust};
pub use wire::{
    EditorFiles, Unwire, UnwireClaude, UnwireCode, UnwireTarget, Wire, WireClaude, WireCode, WireStatusline, WireTarget,
};
pub use wrap::Wrap;

/// Launch Claude Code with its OpenTelemetry switched on and delivered.
#[derive(Debug, Parser)]
#[command(
    name = "ccrun",
    version,
    long_version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BUILT_FROM"), ")"),
    override_usage = "ccrun [OPTIONS] [--] PROGRAM [ARG]...\n       ccrun COMMAND",
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = "Examples:
  ccrun claude                              record usage on this machine
  ccrun report                              show it
  ccrun -p team claude -p \"fix the tests\"   use the profile team.toml
  ccrun -p otlp --var endpoint=http://collector:4318 claude
  ccrun -p team code .                      VS Code, with the extension's Claude Code
  ccrun --dry-run -p team claude            show what would run
  alias claude='ccrun claude'               for your shell's rc file

Options go before PROGRAM; everything after it is passed to the program.
CCRUN_PROFILE selects a profile. CCRUN_OFF=1 makes ccrun a plain exec.
CCRUN_CLAUDE is the absolute path of Claude Code, if `claude` on the PATH is not
the one to run. If CI is set, ccrun waits for delivery, as with --wait; then
CCRUN_DRAIN_TIMEOUT (30s, 5m) says how long."
)]
pub struct Cli {
    /// Options of a launch.
    #[command(flatten)]
    pub start: Start,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// All verbs, with their options.
    pub fn definition() -> clap::Command {
        let mut command = Self::command();
        command.build();
        command
    }

    /// Parses these words, the first of which is the name that `ccrun` was started by. Prints help or an error, and
    /// exits.
    pub fn of(words: &[OsString]) -> Self {
        let command = |command| Self { start: Start::default(), command };
        // The collector comes first and is parsed by hand: its binary may have any name, and every launch waits for it.
        // Defining all verbs would take longer than everything else it does at start.
        if matches!(words, [_, word] if word == collector::WORD) {
            return command(Command::Collector);
        }
        if let Some(wrap) = Wrap::of_link(words) {
            return command(Command::Wrap(Later(wrap)));
        }
        let cli = Self::parse_from(words);
        let is_launch = matches!(cli.command, Command::Program(_)) || cli.start == Start::default();
        let moved = if is_launch { None } else { order::behind_the_verb(&Self::definition(), words) };
        // A verb that does not take them leaves them to the launch, which has no program.
        moved.and_then(|words| Self::try_parse_from(words).ok()).unwrap_or(cli)
    }
}

/// A launch, and how to supervise it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct Start {
    /// What the launch uses.
    #[command(flatten)]
    pub launch: Launch,
    /// Wait until the program has exited and its telemetry is delivered (the default in CI and as pid 1)
    #[arg(long)]
    pub wait: bool,
    /// How long to keep delivering once the program has exited (30s, 5m), instead of the profile's `drain_timeout`
    #[arg(long, value_name = "DURATION", value_parser = queue::duration)]
    pub drain_timeout: Option<Duration>,
    /// Print what would run and be set, with secrets masked, and start nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the profile, program, session and settings file
    #[arg(short, long)]
    pub verbose: bool,
    /// Write the session's id to a file, for scripts that look the session up later
    #[arg(long, value_name = "FILE", hide = true)]
    pub session_file: Option<PathBuf>,
}

/// What a launch uses.
#[derive(Clone, Default, PartialEq, Eq, Args)]
pub struct Launch {
    /// The profile to use; repeat to layer more on top
    #[arg(short, long = "profile", value_name = "NAME")]
    pub profiles: Vec<String>,
    /// Set a variable of the profile
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    pub variables: Vec<(String, String)>,
    /// Set a resource attribute
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pair)]
    pub resource: Vec<(String, String)>,
    /// Set an environment variable for the program
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = pair)]
    pub env: Vec<(String, String)>,
    /// Run without a collector: the program exports by itself. The destination's headers are in its environment, where
    /// its child processes can read them. Nothing is kept on disk, refreshed or recorded
    #[arg(long)]
    pub direct: bool,
    /// Fail if telemetry cannot be set up, instead of starting the program without it
    #[arg(long)]
    pub require: bool,
}

/// Omits the values of variables, which may be secret.
impl fmt::Debug for Launch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let launch = &mut formatter.debug_struct("Launch");
        launch.field("profiles", &self.profiles).field("resource", &self.resource).field("require", &self.require);
        launch.finish_non_exhaustive()
    }
}

/// The verbs, and any program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a program, even if a command of ccrun has its name
    Run(Later<Run>),
    /// Set up a backend: ask for what it needs, store the key, test it
    Setup(Later<Setup>),
    /// List, show, check and create profiles
    Profile(Later<Profile>),
    /// Show the environment a program would get, and where each value comes from
    Env(Later<Env>),
    /// Print a destination's headers as JSON, for Claude Code's otelHeadersHelper
    Headers(Later<Headers>),
    /// Show token usage and cost by day, project and model
    Report(Box<Later<Report>>),
    /// Show budgets, what is spent of them, and the forecast
    Budget(Later<Budget>),
    /// Show Claude Code's events as they happen
    Tail(Later<Tail>),
    /// Show running sessions and what they use, as they work
    Top(Later<Top>),
    /// Print the status line that Claude Code shows
    Statusline(Later<Statusline>),
    /// Serve usage to Prometheus, or write it for its node exporter
    Metrics(Later<Metrics>),
    /// Import usage from Claude Code's transcripts
    Import(Later<Import>),
    /// Delete recorded usage, or exchange it between machines
    Ledger(Later<Ledger>),
    /// List sessions and what was delivered
    Sessions(Later<Sessions>),
    /// Manage undelivered telemetry
    Queue(Later<Queue>),
    /// Find out why telemetry does not arrive, and how to fix it
    Doctor(Later<Doctor>),
    /// Manage the keyring secrets that profiles use
    Secret(Later<Secret>),
    /// Print managed-settings.json for administrators
    ManagedSettings(Later<ManagedSettings>),
    /// Review and trust a project's `.ccrun.toml`
    Trust(Later<Trust>),
    /// Stop trusting a project's `.ccrun.toml`
    Untrust(Later<Untrust>),
    /// Add ccrun to an editor's settings, or a profile or the status line to Claude Code's
    Wire(Later<Wire>),
    /// Undo `ccrun wire`
    Unwire(Later<Unwire>),
    /// Run the given Claude Code, for editors: `<wrapper> <claude> <args>`
    Wrap(Later<Wrap>),
    /// Show help for a command
    Help(Later<Help>),
    /// Print the alias and completions, for a shell's rc file
    Init(Later<Init>),
    /// Completions for a position of a command line
    #[command(hide = true)]
    Complete(Later<Complete>),
    /// Write the man pages to a directory
    #[command(hide = true)]
    Man {
        /// The directory
        directory: PathBuf,
    },
    /// Answer a hook of Claude Code, where it may send no request
    #[command(hide = true)]
    Hook {
        /// The file that names the collector
        file: PathBuf,
    },
    /// Answer as a model on this machine does, until standard input closes, and print its URL first
    #[command(hide = true)]
    StandInModel,
    /// The collector's entry point
    #[command(skip)]
    Collector,
    /// A program and its arguments.
    #[command(external_subcommand)]
    Program(Vec<OsString>),
}

/// `ccrun run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Options of the launch.
    #[command(flatten)]
    pub start: Start,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    pub program: Vec<OsString>,
}

/// `KEY=VALUE`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}
