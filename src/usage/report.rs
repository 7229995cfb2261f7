//! What was used, added up for a person to read.

use std::collections::HashMap;

use jiff::{Timestamp, civil::Date};
use serde::{Serialize, Serializer};

use super::attributes::to_double;
use super::fact::Measure;
pub use super::render::render;

/// What a report is asked for. Nothing given means everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Not before this; counted from the quarter of an hour that it falls into.
    pub since: Option<Timestamp>,
    /// Before this; counted to the end of the quarter of an hour that it falls into.
    pub until: Option<Timestamp>,
    /// The absolute directory of a project, with all below it.
    pub project: Option<String>,
    /// The name of a profile.
    pub profile: Option<String>,
    /// A team's `team.id`.
    pub team: Option<String>,
    /// A branch, as it was when the session started.
    pub branch: Option<String>,
    /// A session: ours, or Claude Code's `session.id`.
    pub session: Option<String>,
}

/// What was used, in all and by what people ask for. Groups are in order of cost, days in order of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The first and the last local day with any usage; none where there was none at all.
    pub period: Option<Period>,
    /// Sessions of ours in which something was used.
    pub sessions: u64,
    /// Sessions of Claude Code's. One of ours may hold many of them: a switch or a prompt may start another.
    pub claude_sessions: u64,
    /// Those of Claude Code's whose numbers come from metrics because no events came: what only events count is missing.
    pub claude_sessions_without_events: u64,
    /// Those whose metrics have not come: what only metrics count is missing.
    pub claude_sessions_without_metrics: u64,
    /// Everything.
    pub total: Amounts,
    /// By local day.
    pub days: Vec<Group<Day>>,
    /// By model.
    pub models: Vec<Group<Model>>,
    /// By project.
    pub projects: Vec<Group<Project>>,
    /// By project and branch.
    pub branches: Vec<Group<Branch>>,
    /// By profile and team.
    pub profiles: Vec<Group<Profile>>,
    /// By tool, the most used first.
    pub tools: Vec<Tool>,
    /// What must be known to read the numbers right.
    pub notes: Vec<String>,
}

/// From when to when, both included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Period {
    #[serde(serialize_with = "as_text")]
    pub from: Date,
    #[serde(serialize_with = "as_text")]
    pub to: Date,
}

/// What one group used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group<K> {
    /// What it is grouped by.
    #[serde(flatten)]
    pub key: K,
    /// What it used.
    #[serde(flatten)]
    pub amounts: Amounts,
}

/// A local day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Day {
    #[serde(serialize_with = "as_text")]
    pub day: Date,
}

/// A model; empty where the client named none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Model {
    pub model: String,
}

/// A project's absolute directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Project {
    pub project: String,
}

/// A branch of a project; none outside a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Branch {
    pub project: String,
    pub branch: Option<String>,
}

/// A profile, and the team it counted for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Profile {
    pub profile: String,
    pub team: Option<String>,
}

/// How often a tool ran, and what became of its edits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Tool {
    pub tool: String,
    pub succeeded: i64,
    pub failed: i64,
    pub edits_accepted: i64,
    pub edits_rejected: i64,
}

/// Amounts, each of its own unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Amounts {
    pub requests: i64,
    pub errors: i64,
    pub prompts: i64,
    /// Tokens sent, those of the cache excepted.
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cache_read_tokens: i64,
    pub cache_creation_tokens: i64,
    /// Claude Code's own estimate, in billionths of a US dollar; in JSON, in US dollars.
    #[serde(rename = "cost_usd", serialize_with = "billionths")]
    pub cost: i64,
    /// Milliseconds; in JSON, seconds.
    #[serde(rename = "active_user_seconds", serialize_with = "thousandths")]
    pub active_user: i64,
    /// Milliseconds; in JSON, seconds.
    #[serde(rename = "active_cli_seconds", serialize_with = "thousandths")]
    pub active_cli: i64,
    pub lines_added: i64,
    pub lines_removed: i64,
    pub commits: i64,
    pub pull_requests: i64,
    pub edits_accepted: i64,
    pub edits_rejected: i64,
    pub tool_successes: i64,
    pub tool_failures: i64,
}

/// What the ledger says, as it adds it up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Whoever used something, by the ledger's id.
    pub clients: HashMap<i64, Client>,
    /// The selected amounts by client and name.
    pub tallies: Vec<Tally>,
    /// The same amounts by time.
    pub quarters: Vec<Quarter>,
}

/// One of Claude Code's sessions within one of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Client {
    pub session: String,
    /// Claude Code's `session.id`; may be empty.
    pub claude_session: String,
    /// Whether any `api_request` event came.
    pub has_requests: bool,
    /// Whether any metric came.
    pub has_metrics: bool,
    pub profile: String,
    pub team: Option<String>,
    pub project: String,
    pub branch: Option<String>,
}

/// An amount of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Tally {
    pub client: i64,
    /// The model or the tool.
    pub name: String,
    pub measure: Measure,
    pub amount: i64,
}

/// An amount in one quarter of an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Quarter {
    pub at: Timestamp,
    pub measure: Measure,
    pub amount: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn billionths<S: Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(to_double(*number) / 1e9)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn thousandths<S: Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(to_double(*number) / 1e3)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn as_text<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}
