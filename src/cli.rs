//! The command line: options and help texts, no behaviour.

mod queue;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::credential::keyring;

pub use queue::{Queue, QueueCommand, QueueFlush, QueuePurge};

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
    Run(Run),
    /// See, check and make profiles
    Profile(Profile),
    /// Show what a program would be given, and from which layer
    Env(Env),
    /// Print a destination's headers as JSON, as Claude Code's otelHeadersHelper does
    Headers(Headers),
    /// Show what this machine knows of tokens, cost, models and projects
    Report(Report),
    /// List sessions, and what became of what they received
    Sessions(Sessions),
    /// Look after what is not delivered yet
    Queue(Queue),
    /// Store secrets in the keyring, where profiles take them from
    Secret(Secret),
    /// Show what a project's `.ccrun.toml` would do, and let it
    Trust(Trust),
    /// Let a project's `.ccrun.toml` do nothing any more
    Untrust(Untrust),
    /// The collector's entry point
    #[command(hide = true)]
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

/// `ccrun profile`.
#[derive(Debug, Args)]
pub struct Profile {
    /// What to do with profiles.
    #[command(subcommand)]
    pub command: ProfileCommand,
}

/// What `ccrun profile` does.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// List all profiles, with the layer each is in
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a profile says with all its layers, and where each value comes from
    Show {
        /// The profile; the one that a launch here would use unless named
        name: Option<String>,
        /// What a launch would be given.
        #[command(flatten)]
        launch: Launch,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check profiles by name or file, all of yours unless named; exits 2 if one is invalid
    Check {
        /// Names, or files (with a `/` or an extension)
        names: Vec<String>,
    },
    /// Write a commented profile of your own
    New {
        /// Its name
        name: String,
        /// A profile that it is laid over
        #[arg(long, value_name = "NAME")]
        extends: Vec<String>,
        /// Sets a variable in it
        #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
        variables: Vec<(String, String)>,
        /// Make it of what is set up for Claude Code in the environment and in its user settings
        #[arg(long, conflicts_with_all = ["extends", "variables"])]
        from_env: bool,
    },
    /// Take a colleague's file among your profiles, once you have seen what it does
    Add {
        /// The file, `NAME.toml`
        file: PathBuf,
        /// Add it without being asked
        #[arg(long)]
        yes: bool,
    },
    /// Open a profile of yours in $VISUAL or $EDITOR; it stays as it was until what you write is valid
    Edit {
        /// Its name
        name: String,
    },
    /// Print where your profiles are, or the file of one
    Path {
        /// Its name
        name: Option<String>,
    },
    /// Print the JSON Schema of a profile, for editors
    Schema,
}

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

/// `ccrun report`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun report
  ccrun report --since 7d
  ccrun report --json | jq .totals")]
pub struct Report {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Only what was used since then: a date, or how long ago (7d, 12h)
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Only this project's directory
    #[arg(long, value_name = "DIRECTORY")]
    pub project: Option<String>,
    /// Only this profile
    #[arg(short, long, value_name = "NAME")]
    pub profile: Option<String>,
}

/// `ccrun sessions`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun sessions                  the latest twenty
  ccrun sessions 3f0a             one, by how its id begins, with the end of its log
  ccrun sessions --all --json | jq '.[] | select(.state == \"running\")'")]
pub struct Sessions {
    /// One session: its id, or how that begins
    #[arg(value_name = "ID", conflicts_with_all = ["limit", "all"], value_parser = session)]
    pub id: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How many, the newest first
    #[arg(long, value_name = "COUNT", default_value_t = 20, conflicts_with = "all")]
    pub limit: u32,
    /// As many as there are
    #[arg(long)]
    pub all: bool,
}

/// `ccrun secret`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun secret set signoz/ingestion-key           asks for it, without showing it
  pass show signoz | ccrun secret set signoz/ingestion-key
  ccrun secret list                               what profiles want, and whether it is there

Secrets are kept by the desktop's keyring (Secret Service; macOS: the login keychain), or by
the kernel's where `config.toml` says `keyring = \"keyutils\"`. No command shows one.")]
pub struct Secret {
    /// What to do with secrets.
    #[command(subcommand)]
    pub command: SecretCommand,
}

/// What `ccrun secret` does.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Store one: asked for on the terminal, or one line of stdin
    Set {
        /// Its name, as a profile's `keyring = "NAME"` has it
        #[arg(value_parser = entry)]
        name: String,
    },
    /// List names: those that profiles mention, with whether they are there, and the others that are
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove one
    Remove {
        /// Its name
        #[arg(value_parser = entry)]
        name: String,
    },
}

/// `ccrun trust`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun trust              shows what the project's file does, and asks
  ccrun trust --hash $SHA  accepts exactly what was reviewed, in scripts and CI

A file that changes, or a file that it names, has to be trusted anew.")]
pub struct Trust {
    /// The project, or its file [default: the working directory]
    pub path: Option<PathBuf>,
    /// Accept it without being asked
    #[arg(long, conflicts_with = "hash")]
    pub yes: bool,
    /// Accept it if this is what it comes to
    #[arg(long, value_name = "SHA256", value_parser = sha256)]
    pub hash: Option<String>,
}

/// `ccrun untrust`.
#[derive(Debug, Args)]
pub struct Untrust {
    /// The project, or its file [default: the working directory]
    pub path: Option<PathBuf>,
}

/// The name of an entry of the keyring.
fn entry(name: &str) -> Result<String, String> {
    keyring::check_name(name).map(|()| name.to_owned()).map_err(str::to_owned)
}

/// The beginning of a session's id.
fn session(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.len() <= 16 && text.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("an id has up to 16 hexadecimal digits; `ccrun sessions` lists them".to_owned())
}

/// A SHA-256 in hexadecimal digits.
fn sha256(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("it has 64 hexadecimal digits; `ccrun trust` prints it".to_owned())
}

/// `KEY=VALUE`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}
