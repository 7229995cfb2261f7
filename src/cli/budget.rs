//! `ccrun budget`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Which, duration};

/// `ccrun budget`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  ccrun budget                  what was spent, and the forecast
  ccrun budget -p team --json | jq '.budgets[].spend_usd'
  ccrun budget lift 2h          let work go on for two hours

A budget is set in a profile or in config.toml:
  [budget]
  daily = 20                    # US dollars; weekly and monthly as well
  stop = true                   # let no work begin beyond 100 %"
)]
pub struct Budget {
    /// What to do with the budgets.
    #[command(subcommand)]
    pub command: Option<BudgetCommand>,
    /// The profile whose budgets apply.
    #[command(flatten)]
    pub which: Which,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What to do with budgets.
#[derive(Debug, Subcommand)]
pub enum BudgetCommand {
    /// Lift the budgets of the profile for a limited time
    #[command(after_help = "Examples:
  ccrun budget lift 30m
  ccrun budget lift 2h -p team")]
    Lift(BudgetLift),
}

/// `ccrun budget lift`.
#[derive(Debug, Args)]
pub struct BudgetLift {
    /// How long (30m, 2h), at most 31 days; it replaces an earlier lift
    #[arg(value_name = "DURATION", value_parser = lifted)]
    pub duration: Duration,
    /// The profile whose budgets to lift.
    #[command(flatten)]
    pub which: Which,
}

/// How long a lift may last.
fn lifted(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration > crate::budget::LONGEST { Err("at most 31 days".to_owned()) } else { Ok(duration) }
}
