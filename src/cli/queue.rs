//! Options of `ccrun queue`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::Which;

/// `ccrun queue`.
#[derive(Debug, Args)]
pub struct Queue {
    /// The verb.
    #[command(subcommand)]
    pub command: QueueCommand,
}

/// The verbs of `ccrun queue`.
#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// List undelivered data by destination, with its age and the reason
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Deliver what ended sessions left; exits 1 if anything is left
    Flush(QueueFlush),
    /// Requeue permanently rejected batches
    #[command(after_help = "Examples:
  ccrun queue retry && ccrun queue flush   after the backend has been fixed")]
    Retry,
    /// Delete orphaned and permanently rejected batches
    Purge(QueuePurge),
}

/// `ccrun queue flush`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun queue flush
  ccrun queue flush --wait 5m           in CI: also wait for running sessions
  ccrun queue flush -p team --to otlp   send orphaned batches to a destination of the profile `team`")]
pub struct QueueFlush {
    /// Keep trying for this long (30s, 5m), and wait for running sessions to deliver
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
    /// Send orphaned batches to this destination of the profile
    #[arg(long, value_name = "NAME")]
    pub to: Option<String>,
    /// The profile of that destination.
    #[command(flatten)]
    pub which: Which,
}

/// `ccrun queue purge`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent options, as on the command line")]
#[command(after_help = "Examples:
  ccrun queue purge   list the batches to delete, and ask
  ccrun queue purge --dead --yes")]
pub struct QueuePurge {
    /// Only permanently rejected batches
    #[arg(long)]
    pub dead: bool,
    /// Only orphaned batches, whose profile or destination was changed or removed
    #[arg(long)]
    pub orphaned: bool,
    /// Everything, including batches that would still be delivered
    #[arg(long, conflicts_with_all = ["dead", "orphaned"])]
    pub all: bool,
    /// Delete without asking
    #[arg(long)]
    pub yes: bool,
}

/// `30s`, `5m`, `1h 30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let duration = text.parse::<jiff::SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    duration.ok_or_else(|| "write it as 30s, 5m or 1h".to_owned())
}
