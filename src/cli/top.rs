//! Options of `ccrun top`.

use clap::Args;

use super::tail::project;
use crate::report::Condition;

/// `ccrun top`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun top
  ccrun top --project .
  ccrun top --session 7a64b203

Run it in a second terminal, beside Claude Code. It shows the running sessions of
this machine. Of a session that ccrun does not record, only the state is known.
The last lines of the screen list the keys.")]
pub struct Top {
    /// Show only one session: the beginning of its id
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub session: Option<String>,
    /// Show only one project: a directory or its name
    #[arg(long, value_name = "PROJECT", value_parser = project)]
    pub project: Option<Condition>,
}
