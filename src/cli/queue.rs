//! `ccrun queue`: its verbs and their options.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::Launch;

/// `ccrun queue`.
#[derive(Debug, Args)]
pub struct Queue {
    /// What to do with it.
    #[command(subcommand)]
    pub command: QueueCommand,
}

/// What `ccrun queue` does.
#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// Show what waits, for whom, since when and why
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Deliver what ended sessions left, now; exits 1 if anything of it is left
    Flush(QueueFlush),
    /// Let what destinations refused for good wait again
    #[command(after_help = "Examples:
  ccrun queue retry && ccrun queue flush   once the backend takes what it refused")]
    Retry,
    /// Forget what nobody delivers any more: what is orphaned, and what was refused for good
    Purge(QueuePurge),
}

/// `ccrun queue flush`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun queue flush
  ccrun queue flush --wait 5m           in CI: whatever still runs included
  ccrun queue flush -p team --to otlp   what is orphaned, to a destination of the profile `team`")]
pub struct QueueFlush {
    /// Go on for so long (30s, 5m), and wait for what running sessions deliver, too
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
    /// Send what is orphaned to this destination of the profile
    #[arg(long, value_name = "NAME")]
    pub to: Option<String>,
    /// Which profile that is.
    #[command(flatten)]
    pub launch: Launch,
}

/// `ccrun queue purge`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent options, as on the command line")]
#[command(after_help = "Examples:
  ccrun queue purge             shows what nobody delivers any more, and asks
  ccrun queue purge --dead --yes")]
pub struct QueuePurge {
    /// Only what was refused for good
    #[arg(long)]
    pub dead: bool,
    /// Only what is orphaned: its profile or destination has changed or gone
    #[arg(long)]
    pub orphaned: bool,
    /// Everything, also what would still be delivered
    #[arg(long, conflicts_with_all = ["dead", "orphaned"])]
    pub all: bool,
    /// Forget it without being asked
    #[arg(long)]
    pub yes: bool,
}

/// `30s`, `5m`, `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = text.parse::<jiff::SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    duration.ok_or_else(|| "write it as 30s, 5m or 1h".to_owned())
}
