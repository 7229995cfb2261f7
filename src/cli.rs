//! The command line: options and help texts, no behaviour.

mod doctor;
mod env;
mod init;
mod later;
mod managed_settings;
mod profile;
mod queue;
mod report;
mod secret;
mod setup;
mod trust;
mod wire;
mod wrap;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::collector;

pub use doctor::Doctor;
pub use env::{Env, EnvFormat, Headers};
pub use init::{Complete, Init, Shell};
pub use later::Later;
pub use managed_settings::ManagedSettings;
pub use profile::{Profile, ProfileCommand};
pub use queue::{Queue, QueueCommand, QueueFlush, QueuePurge};
pub use report::{Report, Sessions};
pub use secret::{Secret, SecretCommand};
pub use setup::{Choices, Setup};
pub use trust::{Trust, Untrust};
pub use wire::{EditorFiles, Unwire, UnwireClaude, UnwireCode, UnwireTarget, Wire, WireClaude, WireCode, WireTarget};
pub use wrap::{LINK, Wrap};

/// Launches Claude Code with its OpenTelemetry switched on and delivered.
#[derive(Debug, Parser)]
#[command(
    name = "ccrun",
    version,
    override_usage = "ccrun [OPTIONS] [--] PROGRAM [ARG]...\n       ccrun COMMAND",
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = "Examples:
  ccrun claude                                  record usage on this machine
  ccrun report                                  and see it
  ccrun -p team claude -p \"fix the tests\"       with the profile team.toml
  ccrun -p otlp --var endpoint=http://collector:4318 claude
  ccrun -p team code .                          VS Code, with the extension's Claude Code
  ccrun --dry-run -p team claude                what would run, and with what
  alias claude='ccrun claude'                   and forget about it

Options stand before PROGRAM; everything after it is its own.
CCRUN_PROFILE chooses a profile, CCRUN_OFF=1 makes ccrun a plain exec, and
CCRUN_CLAUDE is the absolute path of Claude Code where `claude` is not to be
looked for. With CI set ccrun stays until all is delivered, as with --wait."
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

    /// What these words ask for, the name that we were started by the first of them. Prints help, or what is wrong with
    /// them, and ends.
    pub fn of(words: &[OsString]) -> Self {
        let command = |command| Self { start: Start::default(), command };
        // First, for its binary goes by the name that its launcher's had; and by itself, for every launch waits for it
        // and the definition of all verbs takes longer than all else that it begins with.
        if matches!(words, [_, word] if word == collector::WORD) {
            return command(Command::Collector);
        }
        Wrap::of_link(words).map_or_else(|| Self::parse_from(words), |wrap| command(Command::Wrap(Later(wrap))))
    }
}

/// A launch, and how it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct Start {
    /// What applies to it.
    #[command(flatten)]
    pub launch: Launch,
    /// Stay until the program has ended and its telemetry is delivered, as in a job (CI) and as pid 1
    #[arg(long)]
    pub wait: bool,
    /// Print what would run and be set, secrets masked, and start nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Say which profile, program, session and settings file it is
    #[arg(short, long)]
    pub verbose: bool,
}

/// What applies to a launch.
#[derive(Clone, Default, PartialEq, Eq, Args)]
pub struct Launch {
    /// The profile to use; further ones are laid over it
    #[arg(short, long = "profile", value_name = "NAME")]
    pub profiles: Vec<String>,
    /// Sets a variable of the profile
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    pub variables: Vec<(String, String)>,
    /// Sets a resource attribute
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pair)]
    pub resource: Vec<(String, String)>,
    /// Sets a variable for the program
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = pair)]
    pub env: Vec<(String, String)>,
    /// Do without a collector: the program exports by itself, and finds the destination's headers in its environment,
    /// where whatever runs in it can read them; nothing is kept on disk, refreshed or reported
    #[arg(long)]
    pub direct: bool,
    /// Do not start the program if its telemetry cannot be set up
    #[arg(long)]
    pub require: bool,
}

/// Shows no value of a variable, which may be a secret.
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
    /// Run a program, whatever its name
    Run(Later<Run>),
    /// Set a backend up: ask what it needs, store its key, try it
    Setup(Later<Setup>),
    /// See, check and make profiles
    Profile(Later<Profile>),
    /// Show what a program would be given, and from which layer
    Env(Later<Env>),
    /// Print a destination's headers as JSON, as Claude Code's otelHeadersHelper does
    Headers(Later<Headers>),
    /// Show what this machine knows of tokens, cost, models and projects
    Report(Later<Report>),
    /// List sessions, and what became of what they received
    Sessions(Later<Sessions>),
    /// Look after what is not delivered yet
    Queue(Later<Queue>),
    /// Find out why nothing arrives, and what to do about it
    Doctor(Later<Doctor>),
    /// Store secrets in the keyring, where profiles take them from
    Secret(Later<Secret>),
    /// Print managed-settings.json for a profile, for administrators
    ManagedSettings(Later<ManagedSettings>),
    /// Show what a project's `.ccrun.toml` would do, and let it
    Trust(Later<Trust>),
    /// Let a project's `.ccrun.toml` do nothing any more
    Untrust(Later<Untrust>),
    /// Write us into an editor's settings, or a profile into Claude Code's own
    Wire(Later<Wire>),
    /// Take that out of them again
    Unwire(Later<Unwire>),
    /// Run exactly this Claude Code, for editors: `<wrapper> <claude> <args>`
    Wrap(Later<Wrap>),
    /// Print the alias and completions, for a shell's rc file to evaluate
    Init(Later<Init>),
    /// What a shell offers at a place of a command line
    #[command(hide = true)]
    Complete(Later<Complete>),
    /// Write the man pages into a directory
    #[command(hide = true)]
    Man {
        /// The directory
        directory: PathBuf,
    },
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
