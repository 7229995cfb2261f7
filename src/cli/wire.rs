//! `ccrun wire` and `ccrun unwire`: their options.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::wire::editors;

/// `ccrun wire`.
#[derive(Debug, Args)]
pub struct Wire {
    /// Whose settings.
    #[command(subcommand)]
    pub target: WireTarget,
}

/// Whose settings name us from now on.
#[derive(Debug, Subcommand)]
pub enum WireTarget {
    /// An editor's: every window's Claude has a session of its own, with its project's profile
    Code(WireCode),
    /// Claude Code's own: it exports by itself, without `ccrun` and its collector
    Claude(WireClaude),
}

/// `ccrun wire claude`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun wire claude -p team              and every claude of yours exports by itself
  ccrun wire claude -p team --dry-run    the names of what would be written

It puts what the profile comes to into the `env` of ~/.claude/settings.json,
and `ccrun headers` for `otelHeadersHelper`, which fetches the headers anew. A
project's file takes no part. What only a collector does is lost: nothing is
kept on disk while the backend is away, nothing is redacted or recorded for
`ccrun report`, and there is one destination, over http. Where claude can be
started by ccrun, that is better. `ccrun unwire claude` takes it out again.")]
pub struct WireClaude {
    /// The profile; further ones are laid over it
    #[arg(short, long = "profile", value_name = "NAME", required = true)]
    pub profiles: Vec<String>,
    /// Claude Code's settings [default: its user settings]
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// Print what would be changed, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `ccrun wire code`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun wire code                        every editor that is found here
  ccrun wire code --editor cursor        one of them
  ccrun wire code -p team --dry-run      what would be written

It sets `claudeCode.claudeProcessWrapper` in the user's settings of the editor,
where Claude Code's extension looks for what to start its Claude by, and with
`-p` or `-e` adds to `claudeCode.environmentVariables`. Without `-p` each window
has the profile of its project, or the default one. Comments and all else stay
as they are, a copy is kept, and `ccrun unwire code` takes it out again. Run it
where the extension runs: on a remote machine, in the container, in WSL.")]
pub struct WireCode {
    /// Which files.
    #[command(flatten)]
    pub files: EditorFiles,
    /// The profile for all windows, whatever a project's file chooses
    #[arg(short, long, value_name = "NAME")]
    pub profile: Option<String>,
    /// A variable for every Claude of the editor's; it stands in the settings, so that a secret has no place here
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = super::pair)]
    pub env: Vec<(String, String)>,
    /// Print what would be changed, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Which settings of editors'.
#[derive(Debug, Args)]
pub struct EditorFiles {
    /// An editor [default: all that are found]
    #[arg(long = "editor", value_name = "NAME", value_parser = editors::NAMES)]
    pub editors: Vec<String>,
    /// A settings file, for another editor or a profile of one's own in it
    #[arg(long, value_name = "FILE", conflicts_with = "editors")]
    pub settings: Option<PathBuf>,
}

/// `ccrun unwire`.
#[derive(Debug, Args)]
pub struct Unwire {
    /// Whose settings.
    #[command(subcommand)]
    pub target: UnwireTarget,
}

/// Whose settings do not name us any more.
#[derive(Debug, Subcommand)]
pub enum UnwireTarget {
    /// An editor's
    Code(UnwireCode),
    /// Claude Code's own
    Claude(UnwireClaude),
}

/// `ccrun unwire claude`.
#[derive(Debug, Args)]
pub struct UnwireClaude {
    /// Claude Code's settings [default: all that are wired]
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// Print what would be changed, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `ccrun unwire code`.
#[derive(Debug, Args)]
#[command(after_help = "A file that nobody has changed since is put back as it was, byte for byte. Of one that
somebody has changed only what `ccrun wire` has put in is taken out.")]
pub struct UnwireCode {
    /// Which files.
    #[command(flatten)]
    pub files: EditorFiles,
    /// Print what would be changed, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}
