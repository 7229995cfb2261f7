//! Options of `ccrun report` and `ccrun sessions`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::Which;
use crate::report::{Column, Condition, Dimension};

/// `ccrun report`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(
    args_conflicts_with_subcommands = true,
    group = ArgGroup::new("period").args(["today", "week", "month", "year"]).conflicts_with("since"),
    after_help = "Examples:
  ccrun report                    the overview
  ccrun report --by project,model --since 7d
  ccrun report --by branch --where project=api --where model=opus --top 10
  ccrun report --by day --month --format csv --output usage.csv
  ccrun report --format html --output usage.html
  ccrun report --by model --open  the same as a page, in a browser
  ccrun report session 7a64b203   one session, step by step
  ccrun report week               a team's week: `ccrun report week --help`
  ccrun report --json | jq .total.cost_usd
  ccrun report --from team --by person  from a team's store

Dimensions:
  hour day week month weekday session prompt project repository branch worktree
  model provider team person organisation profile machine tool mcp agent skill
  source effort entrypoint version terminal status automation

The lists of the overview cover this month and the last. With --by, and in JSON,
everything counts unless a range is given."
)]
pub struct Report {
    /// One session or prompt, or a team's week.
    #[command(subcommand)]
    pub one: Option<ReportOne>,
    /// Group by one or two dimensions
    #[arg(long, value_name = "DIMENSION[,DIMENSION]", value_delimiter = ',', num_args = 1,
          value_parser = dimensions())]
    pub by: Vec<String>,
    /// Count only where DIMENSION=VALUE or DIMENSION~PART; `none` matches a missing value
    #[arg(long = "where", value_name = "CONDITION")]
    pub filter: Vec<Condition>,
    /// Read a team's store instead of this machine's ledger: a [source.NAME], or clickhouse:// or prometheus://
    #[arg(long, value_name = "NAME|URL", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub from: Option<String>,
    /// Start of the range: a date, a date and time, yesterday, monday, 7d, 12h
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// End of the range: a date (inclusive) or a moment
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Since midnight
    #[arg(long)]
    pub today: bool,
    /// Since Monday
    #[arg(long)]
    pub week: bool,
    /// Since the first of the month
    #[arg(long)]
    pub month: bool,
    /// Since the first of January
    #[arg(long)]
    pub year: bool,
    /// Columns to show
    #[arg(long, value_name = "COLUMN[,COLUMN]...", value_delimiter = ',', num_args = 1, value_parser = columns())]
    pub columns: Vec<String>,
    /// Show at most this many rows
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub top: Option<u32>,
    /// Sort by this column, largest first
    #[arg(long, value_name = "COLUMN", value_parser = columns())]
    pub sort: Option<String>,
    /// Output format and file.
    #[command(flatten)]
    pub shown: Shown,
    /// The profile to use; all usage counts, unless `--where profile=NAME` says otherwise.
    #[command(flatten)]
    pub which: Which,
    /// Print the JSON Schema of the output
    #[arg(long, exclusive = true)]
    pub json_schema: bool,
}

/// Output format and file.
#[derive(Clone, Debug, Args)]
pub struct Shown {
    /// Output format [default: table, or html with --open]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<ReportFormat>,
    /// Print JSON; the same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Write the output to a file
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Open the output, by default as a page in a browser
    #[arg(long)]
    pub open: bool,
}

/// The output format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ReportFormat {
    Table,
    Json,
    Csv,
    Markdown,
    Html,
}

/// A page of its own.
#[derive(Debug, Subcommand)]
pub enum ReportOne {
    /// Show a team's week or month, and how each number is counted
    Week(ReportWeek),
    /// Show one session step by step
    Session(ReportId),
    /// Show step by step what one prompt led to
    Prompt(ReportId),
}

/// `ccrun report week`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun report week                    this week, from Monday
  ccrun report week last               the week before
  ccrun report week 2026-W48           the week of that name
  ccrun report week --month            this month
  ccrun report week --by person --seats 14
  ccrun report week --where team=platform --seats 14 --plan-fee 100
  ccrun report week last --format markdown --output week.md

Automation (sessions of `claude -p` and of the SDK) has a line of its own and is
never among people. In a group of fewer than five people, rows for persons are
left out, unless --persons asks for them. `enforce = [\"report.persons\"]` in the
system's config.toml forbids that.")]
pub struct ReportWeek {
    /// The week or month: 2026-W48, 2026-11, a day in it, `last`, or how long ago, as 7d
    #[arg(value_name = "WHEN")]
    pub when: Option<String>,
    /// Show a month instead of a week
    #[arg(long)]
    pub month: bool,
    /// Add a row for each person or team
    #[arg(long, value_name = "DIMENSION")]
    pub by: Option<WeekBy>,
    /// How many seats the team has, for the line on adoption
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub seats: Option<u32>,
    /// The fee for a seat and month in US dollars, for the line on the plan
    #[arg(long, value_name = "AMOUNT", requires = "seats", value_parser = fee)]
    pub plan_fee: Option<i64>,
    /// Show rows for persons also in groups of fewer than five people
    #[arg(long)]
    pub persons: bool,
    /// Count only where DIMENSION=VALUE or DIMENSION~PART, of sessions: team, person, project, profile …
    #[arg(long = "where", value_name = "CONDITION")]
    pub filter: Vec<Condition>,
    /// Read a team's store instead of this machine's ledger: a [source.NAME], or clickhouse:// or prometheus://
    #[arg(long, value_name = "NAME|URL", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub from: Option<String>,
    /// Output format and file.
    #[command(flatten)]
    pub shown: Shown,
    /// Print the JSON Schema of the output
    #[arg(long, exclusive = true)]
    pub json_schema: bool,
}

/// The rows of `ccrun report week`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum WeekBy {
    Person,
    Team,
}

/// An amount of US dollars, in billionths.
fn fee(text: &str) -> Result<i64, String> {
    /// The largest fee that is believed, in US dollars.
    const MOST: f64 = 1e6;
    let dollars: f64 =
        text.trim_start_matches('$').parse().map_err(|_| "it is an amount of US dollars, as 100".to_owned())?;
    if !(dollars > 0.0 && dollars <= MOST) {
        return Err("it is more than 0 and at most 1000000".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is bounded above")]
    Ok((dollars * 1e9).round() as i64)
}

/// A session or a prompt.
#[derive(Debug, Args)]
pub struct ReportId {
    /// The id, or its beginning
    #[arg(value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub id: String,
    /// Read a team's store instead of this machine's ledger: a [source.NAME], or clickhouse:// or prometheus://
    #[arg(long, value_name = "NAME|URL", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub from: Option<String>,
    /// Output format and file.
    #[command(flatten)]
    pub shown: Shown,
}

fn dimensions() -> PossibleValuesParser {
    let value = |dimension: Dimension| clap::builder::PossibleValue::new(dimension.name()).help(dimension.about());
    PossibleValuesParser::new(Dimension::all().map(value))
}

fn columns() -> PossibleValuesParser {
    let value = |column: &Column| clap::builder::PossibleValue::new(column.name).alias(column.json).help(column.about);
    PossibleValuesParser::new(Column::all().iter().map(value))
}

/// `ccrun sessions`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun sessions        the latest twenty
  ccrun sessions 3f0a   one session, by the beginning of its id, with the end of its log
  ccrun sessions --all --json | jq '.[] | select(.state == \"running\")'")]
pub struct Sessions {
    /// One session: its id, or its beginning
    #[arg(value_name = "ID", conflicts_with_all = ["limit", "all"], value_parser = session)]
    pub id: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How many to list, newest first
    #[arg(long, value_name = "COUNT", default_value_t = 20, conflicts_with = "all")]
    pub limit: u32,
    /// List all sessions
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
