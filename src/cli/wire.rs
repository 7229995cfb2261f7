//! Options of `ccrun wire` and `ccrun unwire`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::profile::Format;
use crate::wiring::editors;

/// `ccrun wire`.
#[derive(Debug, Args)]
pub struct Wire {
    /// The settings to change.
    #[command(subcommand)]
    pub target: WireTarget,
}

/// Settings that ccrun can be added to.
#[derive(Debug, Subcommand)]
pub enum WireTarget {
    /// Make an editor start Claude through ccrun: each window gets its own session and its project's profile
    Code(WireCode),
    /// Write a profile to Claude Code's settings: it then exports by itself, without ccrun and its collector
    Claude(WireClaude),
    /// Show ccrun's status line in every session, also in those that ccrun does not start
    Statusline(WireStatusline),
}

/// `ccrun wire claude`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun wire claude -p team             every claude of yours then exports by itself
  ccrun wire claude -p team --dry-run   print the names of what would be written

It writes the profile's variables to `env` in ~/.claude/settings.json, and sets
`otelHeadersHelper` to `ccrun headers`, which keeps the headers fresh. Project
files are ignored. Without a collector, nothing is kept on disk while the backend
is down, nothing is redacted or recorded for `ccrun report`, and there is only one
destination, over HTTP. Prefer `ccrun claude` where you can start claude that way.
`ccrun unwire claude` undoes it.")]
pub struct WireClaude {
    /// The profile; repeat to layer more on top
    #[arg(short, long = "profile", value_name = "NAME", required = true)]
    pub profiles: Vec<String>,
    /// Claude Code's settings [default: its user settings]
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// Print what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `ccrun wire statusline`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun wire statusline
  ccrun wire statusline --format '{model} · {cost} · {limits}'
  ccrun wire statusline --dry-run       print what would be written

It sets `statusLine` in ~/.claude/settings.json. If there is a status line already,
its command is kept: it runs as before, and its lines come first. Sessions that
ccrun launches need none of this: set `show = true` in a profile's `[statusline]`.
`ccrun statusline --help` explains the format. `ccrun unwire statusline` undoes it.")]
pub struct WireStatusline {
    /// What it shows [default: cost, today, context and limits]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Claude Code's settings [default: its user settings]
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// Print what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `ccrun wire code`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun wire code                     every editor found on this machine
  ccrun wire code --editor cursor     one of them
  ccrun wire code -p team --dry-run   print what would be written

It sets `claudeCode.claudeProcessWrapper` in the editor's user settings, which
tells the Claude Code extension what to start Claude with. `-p` and `-e` add to
`claudeCode.environmentVariables`. Without `-p`, each window uses the profile of
its project, or the default. Comments and all other settings stay as they are. A
copy is kept, and `ccrun unwire code` undoes the change. Run it where the
extension runs: on the remote machine, in the container, in WSL.")]
pub struct WireCode {
    /// The files.
    #[command(flatten)]
    pub files: EditorFiles,
    /// The profile for all windows; overrides project files
    #[arg(short, long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Set a variable for every Claude of the editor; it is stored in the settings, so do not pass a secret
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = super::pair)]
    pub env: Vec<(String, String)>,
    /// Print what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Selects the settings of editors.
#[derive(Debug, Args)]
pub struct EditorFiles {
    /// An editor [default: all that are found]
    #[arg(long = "editor", value_name = "NAME", value_parser = editors::NAMES)]
    pub editors: Vec<String>,
    /// A settings file, for another editor or an editor profile
    #[arg(long, value_name = "FILE", conflicts_with = "editors")]
    pub settings: Option<PathBuf>,
}

/// `ccrun unwire`.
#[derive(Debug, Args)]
pub struct Unwire {
    /// The settings to change.
    #[command(subcommand)]
    pub target: UnwireTarget,
}

/// Settings that ccrun can be removed from.
#[derive(Debug, Subcommand)]
pub enum UnwireTarget {
    /// Remove ccrun from an editor's settings
    Code(UnwireCode),
    /// Remove the profile from Claude Code's settings
    Claude(UnwireClaude),
    /// Remove the status line from Claude Code's settings, and restore the previous one
    Statusline(UnwireClaude),
}

/// `ccrun unwire claude`, and `ccrun unwire statusline`.
#[derive(Debug, Args)]
pub struct UnwireClaude {
    /// Claude Code's settings [default: all that are wired]
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// Print what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `ccrun unwire code`.
#[derive(Debug, Args)]
#[command(after_help = "A file that has not changed since is restored byte for byte. In a changed file,
only what `ccrun wire` added is removed.")]
pub struct UnwireCode {
    /// The files.
    #[command(flatten)]
    pub files: EditorFiles,
    /// Print what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}
