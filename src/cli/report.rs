//! `ccrun report` and `ccrun sessions`: what was used, and by whom.

use clap::Args;

/// `ccrun report`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun report
  ccrun report --since 7d
  ccrun report --json | jq .totals")]
pub struct Report {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Only what was used since then: a date, or how long ago (7d, 12h)
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Only this project's directory
    #[arg(long, value_name = "DIRECTORY")]
    pub project: Option<String>,
    /// Only this profile
    #[arg(short, long, value_name = "NAME")]
    pub profile: Option<String>,
}

/// `ccrun sessions`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun sessions                  the latest twenty
  ccrun sessions 3f0a             one, by how its id begins, with the end of its log
  ccrun sessions --all --json | jq '.[] | select(.state == \"running\")'")]
pub struct Sessions {
    /// One session: its id, or how that begins
    #[arg(value_name = "ID", conflicts_with_all = ["limit", "all"], value_parser = session)]
    pub id: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How many, the newest first
    #[arg(long, value_name = "COUNT", default_value_t = 20, conflicts_with = "all")]
    pub limit: u32,
    /// As many as there are
    #[arg(long)]
    pub all: bool,
}

/// The beginning of a session's id.
fn session(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.len() <= 16 && text.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("an id has up to 16 hexadecimal digits; `ccrun sessions` lists them".to_owned())
}
