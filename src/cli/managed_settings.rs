//! Options of `ccrun managed-settings`.

use std::path::PathBuf;

use clap::Args;

use super::Given;

/// `ccrun managed-settings`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun managed-settings -p team > managed-settings.json
  ccrun managed-settings -p team --with-launcher > managed-settings.json

Without `--with-launcher`, Claude Code exports by itself however it is started. Nothing is
kept on disk while the backend is down, nothing is redacted or recorded, and there is only
one destination. The file never contains secrets: Claude Code calls `ccrun headers` for them.
With `--with-launcher`, the file leaves telemetry to ccrun and only denies Claude the commands
of ccrun that it must not use. Where to install the file is printed on stderr.")]
pub struct ManagedSettings {
    /// The profile.
    #[command(flatten)]
    pub given: Given,
    /// Rely on `ccrun claude`: set no endpoint, and deny Claude the dangerous commands of ccrun
    #[arg(long)]
    pub with_launcher: bool,
    /// Path of ccrun on the managed machines
    #[arg(long, value_name = "PATH", default_value = "/usr/local/bin/ccrun")]
    pub ccrun: PathBuf,
}
