//! `ccrun managed-settings`: its options.

use std::path::PathBuf;

use clap::Args;

use super::Launch;

/// `ccrun managed-settings`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun managed-settings -p team > managed-settings.json
  ccrun managed-settings -p team --with-launcher > managed-settings.json

Without `--with-launcher` Claude Code exports by itself, wherever it is started: nothing is
kept on disk while the backend is away, nothing is redacted or reported, and there is one
destination. Secrets are never in the file: Claude Code asks `ccrun headers` for them. With
it the file leaves telemetry to ccrun, and only keeps Claude from using ccrun's own dangerous
verbs. Where the file belongs is said on stderr.")]
pub struct ManagedSettings {
    /// Which profile.
    #[command(flatten)]
    pub launch: Launch,
    /// Rely on `ccrun claude`: no endpoint, and what Claude may not do with ccrun
    #[arg(long)]
    pub with_launcher: bool,
    /// Where ccrun is on those machines
    #[arg(long, value_name = "PATH", default_value = "/usr/local/bin/ccrun")]
    pub ccrun: PathBuf,
}
