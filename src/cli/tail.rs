//! Options of `ccrun tail`.

use clap::Args;

use crate::report::Condition;

/// `ccrun tail`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun tail                                     the last ten events, then new ones
  ccrun tail --project . --event api_request,api_error
  ccrun tail --session 7a64b203 -n 50
  ccrun tail --json | jq --unbuffered .cost_usd

Run it in another terminal than Claude Code. It follows every session of this
machine that has a collector; sessions started with --direct are not seen.
Press Ctrl-C to stop.")]
pub struct Tail {
    /// Show only one session: the beginning of its id
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub session: Option<String>,
    /// Show only one project: a directory or its name
    #[arg(long, value_name = "PROJECT", value_parser = project)]
    pub project: Option<Condition>,
    /// Show only these events
    #[arg(long = "event", value_name = "NAME[,NAME]...", value_delimiter = ',')]
    pub events: Vec<String>,
    /// How many past events to show first
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub lines: u32,
    /// Show prompts, answers and tool input, if the profile lets them out
    #[arg(long)]
    pub content: bool,
    /// Print a JSON object for each event
    #[arg(long)]
    pub json: bool,
}

/// A condition on the project.
pub(super) fn project(text: &str) -> Result<Condition, String> {
    format!("project={text}").parse()
}
