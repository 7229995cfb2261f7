//! Options of `ccrun doctor`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Given;

/// `ccrun doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun doctor -p team               check a launch here with this profile
  ccrun doctor --live                also run a short session; asks before using a model
  ccrun doctor --live --offline      the same, with a stand-in instead of the model
  ccrun doctor --report report.txt   write a report for an issue or a colleague
  ccrun doctor --json | jq '.findings[] | select(.level != \"ok\")'

Doctor changes nothing on this machine. It sends each destination one record of each signal, marked with `ccrun.doctor`.
The output contains no secrets: the home directory, user, host, e-mail addresses and anything that looks like a token are
masked. It exits 1 if a check fails, and with --strict also on warnings.")]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, as on the command line")]
pub struct Doctor {
    /// The launch to check.
    #[command(flatten)]
    pub given: Given,
    /// Check a launch without a collector
    #[arg(long)]
    pub direct: bool,
    /// Run a short session end to end, and wait for the destination to acknowledge it
    #[arg(long)]
    pub live: bool,
    /// With `--live`, use a local stand-in instead of a model, which would cost tokens
    #[arg(long, requires = "live")]
    pub offline: bool,
    /// Time limit for the checks, and again for the `--live` session (at least 9s)
    #[arg(long, value_name = "DURATION", default_value = "2700ms", value_parser = super::queue::duration)]
    pub timeout: Duration,
    /// Exit 1 on warnings, too
    #[arg(long)]
    pub strict: bool,
    /// Also write the output to a file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
