//! The rows that events contribute to a report, as a `SELECT`: the same measures as the ledger's, by the same
//! definitions (`usage::events`, `ledger::row`).

use super::schema::{Logs, first};
use super::sql::literal;
use crate::report::SourceError;
use crate::report::dimension::Dimension;
use crate::report::query::{Condition, Query, Range};
use crate::usage::Measure;

/// The tools whose decisions concern edits.
const EDITS: &str = "('Edit', 'MultiEdit', 'Write', 'NotebookEdit')";

/// Requests, of which a model, an agent and the like are known.
const REQUESTS: &str = "('api_request', 'api_error')";

/// The largest believable amount, and the largest cost in US dollars, as the ledger has them.
const LARGEST: &str = "1e10";
const LARGEST_COST: &str = "1e5";

/// How far beyond the range automation is looked for, in milliseconds, as for the ledger.
const AROUND: i64 = 24 * 60 * 60 * 1000;

/// How many characters of an installation's id are shown, as for the ledger.
const INSTALLATION: usize = 12;

/// Which rows a query is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// All.
    All,
    /// Tools' runs and decisions about edits.
    Tools,
}

impl Family {
    /// The family that a query's dimensions need.
    pub(super) fn of(query: &Query) -> Self {
        let mut named = query.by.iter().copied().chain(query.filter.iter().map(|condition| condition.dimension));
        if named.any(Dimension::is_of_tools) { Self::Tools } else { Self::All }
    }

    fn events(self) -> &'static str {
        match self {
            Self::All => "('api_request', 'api_error', 'tool_result', 'tool_decision', 'user_prompt')",
            Self::Tools => "('tool_result', 'tool_decision')",
        }
    }
}

/// The event's name without its prefix: from the body or else from its attribute.
pub(super) fn event(logs: &Logs) -> String {
    let (body, own) = (logs.body(), logs.own(&["event.name"]));
    format!(
        "if(startsWith({body}, 'claude_code.'), substring({body}, 13), if(startsWith({own}, 'claude_code.'), \
         substring({own}, 13), {own}))"
    )
}

/// A `SELECT` of one row for each fact, in a range and with a filter: the keys `k1` and `k2`, the session `c_s`, the
/// time `c_at` in Unix milliseconds, the measures from `m0` on, and `bad`, how many of its numbers were refused. A fact
/// that was delivered twice is one row.
pub(super) fn select(logs: &Logs, query: &Query, zone: &str) -> Result<String, SourceError> {
    let key = |index: usize| match query.by.get(index) {
        Some(dimension) => dimension_of(logs, *dimension, query.range, zone),
        None => Ok("''".to_owned()),
    };
    let mut conditions = logs.of_claude();
    conditions.extend(logs.within(query.range.since, query.range.until));
    conditions.push(format!("c_e IN {}", Family::of(query).events()));
    conditions.push(format!(
        "(c_e != 'tool_decision' OR (c_tool IN {EDITS} AND {} IN ('accept', 'reject')))",
        decision(logs)
    ));
    conditions.push(format!("(c_e != 'user_prompt' OR {} != 'builtin')", logs.own(&["command_source"])));
    conditions.extend(filter(&query.filter, |dimension| dimension_of(logs, dimension, query.range, zone))?);
    let measures: Vec<_> = Measure::ALL.iter().map(|one| format!("{} AS m{}", measure(*one), one.index())).collect();
    Ok(format!(
        "SELECT k1, k2, c_s, c_at, {measures}, {bad} AS bad FROM (SELECT {k1} AS k1, {k2} AS k2, {facts} FROM {from} \
         WHERE {conditions} LIMIT 1 BY c_id)",
        measures = measures.join(", "),
        bad = refused(),
        k1 = key(0)?,
        k2 = key(1)?,
        facts = facts(logs),
        from = logs.from(),
        conditions = conditions.join(" AND "),
    ))
}

fn decision(logs: &Logs) -> String {
    logs.own(&["decision", "decision_type"])
}

/// What is read of each event, besides the keys.
pub(super) fn facts(logs: &Logs) -> String {
    let number = |name: &str| logs.number(&[name]);
    let source = logs.own(&["source", "decision_source"]);
    [
        (event(logs), "c_e"),
        (logs.owner(&["session.id"]), "c_s"),
        (logs.milliseconds().to_owned(), "c_at"),
        (tool(logs), "c_tool"),
        (number("input_tokens"), "c_input"),
        (number("output_tokens"), "c_output"),
        (number("cache_read_tokens"), "c_read"),
        (number("cache_creation_tokens"), "c_write"),
        (number("cache_creation_1h_tokens"), "c_hour"),
        (number("cost_usd"), "c_cost"),
        (number("duration_ms"), "c_time"),
        (number("ttft_ms"), "c_first"),
        (logs.is_false("success"), "c_failed"),
        (format!("multiIf(NOT startsWith({source}, 'user'), 3, {} = 'accept', 1, 2)", decision(logs)), "c_edit"),
        (identity(logs), "c_id"),
    ]
    .map(|(expression, name)| format!("{expression} AS {name}"))
    .join(", ")
}

/// The tool of a run or a decision.
fn tool(logs: &Logs) -> String {
    format!("if(c_e IN ('tool_result', 'tool_decision'), {}, '')", logs.own(&["tool_name", "tool"]))
}

/// Distinguishes a fact from all others, as the ledger's identity does: a request by its `request_id`, a tool's run and
/// a decision by the id of the tool's use within its prompt, others by their number within the session.
fn identity(logs: &Logs) -> String {
    let (request, tool_use) = (logs.own(&["request_id"]), logs.own(&["tool_use_id"]));
    let (within, number) = (logs.own(&["prompt.id", "session.id"]), logs.sequence());
    format!(
        "multiIf(c_e = 'api_request' AND {request} != '', sipHash64('request', {request}), c_e IN ('tool_result', \
         'tool_decision') AND {tool_use} != '', sipHash64(c_e, {within}, {tool_use}), sipHash64(c_e, c_s, {number}, \
         {time}, if({number} != '', '', concat(c_tool, toString(c_cost), toString(c_time)))))",
        time = logs.milliseconds()
    )
}

/// A number as the ledger adds it: whole, and zero if it cannot be true.
fn whole(number: &str, largest: &str, scale: &str) -> String {
    format!("toInt64(floor(if({number} >= 0 AND {number} <= {largest}, {number}, 0) * {scale} + 0.5))")
}

/// How many numbers of a fact cannot be true.
fn refused() -> String {
    let is_bad = |number: &str, largest: &str| format!("NOT ({number} >= 0 AND {number} <= {largest})");
    let of_requests = ["c_input", "c_output", "c_read", "c_write", "c_hour", "c_time", "c_first"];
    let sum: Vec<_> = of_requests.iter().map(|number| format!("({})", is_bad(number, LARGEST))).collect();
    format!(
        "toInt64(if(c_e = 'api_request', {} + ({}), (c_e = 'tool_result') AND ({})))",
        sum.join(" + "),
        is_bad("c_cost", LARGEST_COST),
        is_bad("c_time", LARGEST)
    )
}

/// The amount of a measure that a fact has.
fn measure(measure: Measure) -> String {
    let of_request = |number: &str| format!("if(c_e = 'api_request', {}, 0)", whole(number, LARGEST, "1"));
    let is = |condition: &str| format!("toInt64({condition})");
    match measure {
        Measure::Requests => is("c_e = 'api_request'"),
        Measure::Errors => is("c_e = 'api_error'"),
        Measure::Prompts => is("c_e = 'user_prompt'"),
        Measure::InputTokens => of_request("c_input"),
        Measure::OutputTokens => of_request("c_output"),
        Measure::CacheReadTokens => of_request("c_read"),
        Measure::CacheCreationTokens => {
            let (write, hour) = (whole("c_write", LARGEST, "1"), whole("c_hour", LARGEST, "1"));
            format!("if(c_e = 'api_request', greatest({write}, {hour}), 0)")
        }
        Measure::CacheHourTokens => of_request("c_hour"),
        Measure::Cost => format!("if(c_e = 'api_request', {}, 0)", whole("c_cost", LARGEST_COST, "1e9")),
        Measure::RequestTime => of_request("c_time"),
        Measure::FirstTokenTime => of_request("c_first"),
        Measure::FirstTokens => is(&format!("c_e = 'api_request' AND {} > 0", whole("c_first", LARGEST, "1"))),
        Measure::EditsAccepted => is("c_e = 'tool_decision' AND c_edit = 1"),
        Measure::EditsRejected => is("c_e = 'tool_decision' AND c_edit = 2"),
        Measure::EditsAutomatic => is("c_e = 'tool_decision' AND c_edit = 3"),
        Measure::ToolSuccesses => is("c_e = 'tool_result' AND NOT c_failed"),
        Measure::ToolFailures => is("c_e = 'tool_result' AND c_failed"),
        Measure::ToolTime => format!("if(c_e = 'tool_result', {}, 0)", whole("c_time", LARGEST, "1")),
        // Only metrics know them.
        Measure::ActiveUser
        | Measure::ActiveCli
        | Measure::LinesAdded
        | Measure::LinesRemoved
        | Measure::Commits
        | Measure::PullRequests => "toInt64(0)".to_owned(),
    }
}

/// The value of a dimension, as text that is empty where it is unknown. A session is `c_s`, and an event's name `c_e`.
pub(super) fn dimension_of(logs: &Logs, dimension: Dimension, range: Range, zone: &str) -> Result<String, SourceError> {
    let of_request = |name: &str| format!("if(c_e IN {REQUESTS}, {}, '')", logs.own(&[name]));
    Ok(match dimension {
        Dimension::Hour | Dimension::Day | Dimension::Week | Dimension::Month | Dimension::Weekday => {
            time(dimension, logs.time(), zone)
        }
        Dimension::Session => "c_s".to_owned(),
        Dimension::Prompt => logs.own(&["prompt.id"]),
        Dimension::Repository => logs.owner(&["vcs.repository.name"]),
        Dimension::Branch => logs.owner(&["vcs.ref.head.name"]),
        Dimension::Model => of_request("model"),
        Dimension::Agent => of_request("agent.name"),
        Dimension::Skill => of_request("skill.name"),
        Dimension::Source => of_request("query_source"),
        Dimension::Effort => of_request("effort"),
        Dimension::Provider => logs.owner(&["anthropic.provider"]),
        Dimension::Team => first([logs.owner(&["team.id"]), logs.owner(&["user.groups"])].into_iter()),
        Dimension::Person => {
            let names = ["enduser.id", "user.email", "user.account_uuid"];
            person(&logs.owner(&names), &logs.owner(&["user.id"]))
        }
        Dimension::Organisation => logs.owner(&["organization.id"]),
        Dimension::Profile => logs.resource(&["ccrun.profile"]),
        Dimension::Entrypoint => logs.owner(&["app.entrypoint"]),
        Dimension::Version => logs.owner(&["app.version", "service.version"]),
        Dimension::Terminal => logs.owner(&["terminal.type"]),
        Dimension::Tool => "c_tool".to_owned(),
        Dimension::Mcp => server(logs),
        Dimension::Status => {
            let status = format!("toString(toInt64(least({}, 999)))", logs.number(&["status_code"]));
            format!("multiIf(c_e = 'api_request', 'ok', c_e != 'api_error', '', {status} = '0', 'error', {status})")
        }
        Dimension::Automation => format!("if(c_s GLOBAL IN ({}), 'yes', 'no')", automated(logs, range)),
        Dimension::Project | Dimension::Worktree | Dimension::Machine => return Err(unknown(dimension)),
    })
}

/// The error for a dimension that never leaves a machine.
fn unknown(dimension: Dimension) -> SourceError {
    let instead = match dimension {
        Dimension::Project => "`repository` is, where profiles set `[cardinality] repository = true`",
        Dimension::Worktree => "`branch` is, where profiles set `[cardinality] repository = true`",
        _ => "`person`, `terminal` and `version` are",
    };
    SourceError::Unknown(dimension.name(), instead.to_owned())
}

/// Whether events have a dimension.
pub(super) fn knows(dimension: Dimension) -> bool {
    !matches!(dimension, Dimension::Project | Dimension::Worktree | Dimension::Machine)
}

/// The part of a time, in a time zone.
pub(super) fn time(dimension: Dimension, at: &str, zone: &str) -> String {
    match dimension {
        Dimension::Hour => format!("formatDateTime({at}, '%Y-%m-%dT%H', {zone})"),
        Dimension::Week => format!("formatDateTime({at}, '%G-W%V', {zone})"),
        Dimension::Month => format!("formatDateTime({at}, '%Y-%m', {zone})"),
        Dimension::Weekday => format!("toString(toDayOfWeek({at}, 0, {zone}))"),
        _ => format!("toString(toDate({at}, {zone}))"),
    }
}

/// A person's name, or that of the installation that stands for a person.
pub(super) fn person(name: &str, installation: &str) -> String {
    format!(
        "multiIf({name} != '', {name}, {installation} != '', concat('installation ', substring({installation}, 1, \
         {INSTALLATION})), '')"
    )
}

/// The server of a tool's run: its own attribute, or else the middle of `mcp__SERVER__TOOL`.
fn server(logs: &Logs) -> String {
    let named = logs.own(&["mcp_server.name", "mcp_server_name"]);
    let rest = "substring(c_tool, 6)";
    format!(
        "multiIf(c_e != 'tool_result', '', {named} != '', {named}, startsWith(c_tool, 'mcp__') AND position({rest}, \
         '__') > 0, splitByString('__', {rest})[1], '')"
    )
}

/// The sessions that are automation, as the ledger finds them.
fn automated(logs: &Logs, range: Range) -> String {
    let (since, until) =
        (range.since.map(|at| at.saturating_sub(AROUND)), range.until.map(|at| at.saturating_add(AROUND)));
    let mut conditions = logs.of_claude();
    conditions.extend(logs.within(since, until));
    conditions.push(format!(
        "(startsWith({}, 'sdk-') OR {} = 'sdk')",
        logs.owner(&["app.entrypoint"]),
        logs.own(&["query_source"])
    ));
    format!("SELECT DISTINCT {} FROM {} WHERE {}", logs.owner(&["session.id"]), logs.from(), conditions.join(" AND "))
}

/// The conditions of a filter. Those on one dimension are combined with *or*.
pub(super) fn filter(
    filter: &[Condition],
    value_of: impl Fn(Dimension) -> Result<String, SourceError>,
) -> Result<Vec<String>, SourceError> {
    let mut conditions = Vec::new();
    for dimension in Dimension::all() {
        let on: Vec<_> = filter.iter().filter(|condition| condition.dimension == dimension).collect();
        if !on.is_empty() {
            let value = value_of(dimension)?;
            let any: Vec<_> = on.iter().map(|condition| matching(&value, condition)).collect();
            conditions.push(format!("({})", any.join(" OR ")));
        }
    }
    Ok(conditions)
}

/// Whether a value matches, as [`Condition::matches`] says.
fn matching(value: &str, condition: &Condition) -> String {
    let (lower, wanted) = (format!("lowerUTF8({value})"), literal(&condition.value));
    if condition.is_part {
        return format!("({value} != '' AND position({lower}, {wanted}) > 0)");
    }
    let none = if condition.value == "none" { format!("{value} = '' OR ") } else { String::new() };
    let more = match condition.dimension {
        Dimension::Model => format!(" OR has(splitByChar('-', {lower}), {wanted})"),
        Dimension::Session | Dimension::Prompt if condition.value.len() >= 4 => {
            format!(" OR startsWith({lower}, {wanted})")
        }
        _ => String::new(),
    };
    format!("({none}({value} != '' AND ({lower} = {wanted}{more})))")
}
