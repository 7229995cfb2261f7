//! `ccrun doctor`: its options.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Launch;

/// `ccrun doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun doctor -p team                  what a launch here with this profile would run into
  ccrun doctor --live                   and the whole way, tried; asks before a model is asked
  ccrun doctor --live --offline         the same without a model, and with nothing of yours
  ccrun doctor --report report.txt      for an issue or a colleague
  ccrun doctor --json | jq '.findings[] | select(.level != \"ok\")'

It changes nothing here, and sends each destination one record of each signal, marked with `ccrun.doctor`. What it says
holds no secret: home directory, user, host, e-mail addresses and whatever looks like a token are masked. It exits 1 where
something fails, and with --strict for warnings too.")]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, as on the command line")]
pub struct Doctor {
    /// What a launch would be given.
    #[command(flatten)]
    pub launch: Launch,
    /// Try the whole way: a short session, and the destination's acknowledgement
    #[arg(long)]
    pub live: bool,
    /// Ask no model for that, which would cost tokens: a stand-in on this machine answers
    #[arg(long, requires = "live")]
    pub offline: bool,
    /// How long to look (10s), and as long to try: on a slow network more is heard in more time. The default and what
    /// starting takes are less than three seconds; trying has nine at least
    #[arg(long, value_name = "DURATION", default_value = "2700ms", value_parser = super::queue::duration)]
    pub timeout: Duration,
    /// Exit 1 for warnings, too
    #[arg(long)]
    pub strict: bool,
    /// Write it to a file as well
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
