//! Reads one session or one prompt, step by step.

use super::Asking;
use super::answer::{self, Rows};
use super::events::{dimension_of, event, facts};
use super::schema::Logs;
use super::sql::{columns, literal};
use crate::report::SourceError;
use crate::report::dimension::Dimension;
use crate::report::query::{Condition, Query, Range};
use crate::report::story::{Sources, Step, Story, StoryOf};
use crate::usage::Measure;

/// How many ids are listed if several begin like this.
const IDS: usize = 20;

/// The most steps that are read.
const STEPS: usize = 100_000;

/// The dimensions that are shown for a session.
const ABOUT: [Dimension; 8] = [
    Dimension::Repository,
    Dimension::Branch,
    Dimension::Profile,
    Dimension::Team,
    Dimension::Person,
    Dimension::Version,
    Dimension::Entrypoint,
    Dimension::Terminal,
];

/// The events that are steps.
const EVENTS: &str = "('api_request', 'api_error', 'api_refusal', 'api_retries_exhausted', 'tool_result', \
    'tool_decision', 'user_prompt', 'compaction', 'subagent_completed', 'skill_activated', 'mcp_server_connection', \
    'permission_mode_changed', 'hook_execution_complete')";

/// The sessions or prompts whose id begins like this. If it is one, with its steps.
pub(super) fn read(asking: &Asking<'_>, logs: &Logs, of: StoryOf, prefix: &str) -> Result<Vec<Story>, SourceError> {
    let mut found = Vec::new();
    asking.lines(&ids(logs, of, prefix), &mut |line| {
        let [session, prompt] =
            <[String; 2]>::try_from(columns(line)).map_err(|_| "an id has not two fields".to_owned())?;
        let prompt = Some(prompt).filter(|prompt| !prompt.is_empty());
        found.push(Story { session, prompt, ..Story::default() });
        Ok(())
    })?;
    let [story] = found.as_mut_slice() else { return Ok(found) };
    let id = story.prompt.clone().unwrap_or_else(|| story.session.clone());
    let dimension = if of == StoryOf::Prompt { Dimension::Prompt } else { Dimension::Session };
    let filter = vec![Condition { dimension, value: id.to_lowercase(), is_part: false }];
    let query = Query { filter, ..Query::new(jiff::tz::TimeZone::UTC) };
    let mut rows = Rows::default();
    asking.lines(&answer::statement(logs, None, &query, "'UTC'")?, &mut |line| rows.take(line, &query))?;
    story.total = rows.finish(&query)?.0.total;
    story.sources = Sources { events: story.total.amount(Measure::Cost), ..Sources::default() };
    let mut about = vec![String::new(); ABOUT.len()];
    asking.lines(&steps(logs, of, &id)?, &mut |line| {
        let columns = columns(line);
        let (values, rest) = columns.split_at_checked(ABOUT.len()).ok_or("a step has too few fields")?;
        for (known, value) in about.iter_mut().zip(values).filter(|(_, value)| !value.is_empty()) {
            known.clone_from(value);
        }
        story.steps.push(step(rest)?);
        Ok(())
    })?;
    let about = ABOUT.iter().zip(about).filter(|(_, value)| !value.is_empty());
    story.about = about.map(|(dimension, value)| (dimension.name(), value)).collect();
    Ok(found)
}

/// A statement for the ids that begin with a prefix, the latest first.
fn ids(logs: &Logs, of: StoryOf, prefix: &str) -> String {
    let (session, prompt, prefix) = (logs.owner(&["session.id"]), logs.own(&["prompt.id"]), literal(prefix));
    let (columns, is_it) = match of {
        StoryOf::Session => (
            format!("{session} AS c_s, '' AS c_p"),
            format!("(startsWith(c_s, {prefix}) OR startsWith({}, {prefix}))", logs.resource(&["ccrun.session"])),
        ),
        StoryOf::Prompt => (format!("{session} AS c_s, {prompt} AS c_p"), format!("startsWith(c_p, {prefix})")),
    };
    let mut conditions = logs.of_claude();
    conditions.extend([is_it, "c_s != ''".to_owned()]);
    format!(
        "SELECT {columns} FROM {} WHERE {} GROUP BY c_s, c_p ORDER BY max({}) DESC LIMIT {IDS} FORMAT TabSeparated",
        logs.from(),
        conditions.join(" AND "),
        logs.milliseconds()
    )
}

/// A statement for the steps of one of them: the dimensions of [`ABOUT`], then the fields of [`step`].
fn steps(logs: &Logs, of: StoryOf, id: &str) -> Result<String, SourceError> {
    let about = ABOUT.iter().map(|dimension| dimension_of(logs, *dimension, Range::default(), "'UTC'"));
    let about = about.collect::<Result<Vec<_>, _>>()?.join(", ");
    let place = if of == StoryOf::Prompt { logs.own(&["prompt.id"]) } else { "c_s".to_owned() };
    let mut conditions = logs.of_claude();
    conditions.extend([format!("c_e IN {EVENTS}"), format!("{place} = {}", literal(id))]);
    let texts = [
        logs.own(&["prompt.id"]),
        logs.own(&["model"]),
        logs.own(&["tool_name", "tool"]),
        logs.own(&["error_type"]),
        logs.own(&["decision", "decision_type"]),
        logs.own(&["source", "decision_source"]),
        format!("if({} = 'builtin', {}, '')", logs.own(&["command_source"]), logs.own(&["command_name"])),
        logs.own(&["trigger", "agent_type", "agent.name", "skill.name", "status", "to_mode", "mode", "hook_event"]),
    ];
    let numbers = ["status_code", "prompt_length"].map(|name| logs.number(&[name]));
    let whole =
        |number: &str, scale: &str| format!("toInt64(if({number} >= 0 AND {number} <= 1e10, {number}, 0) * {scale})");
    Ok(format!(
        "SELECT {about}, c_at, {event} AS c_name, toUInt8(c_failed), {texts}, {numbers}, {time}, {tokens}, {cost} FROM \
         (SELECT *, {facts} FROM {from} WHERE {conditions} LIMIT 1 BY c_id) ORDER BY c_at LIMIT {STEPS} FORMAT \
         TabSeparated",
        event = event(logs),
        texts = texts.join(", "),
        numbers = numbers.map(|number| whole(&number, "1")).join(", "),
        time = whole("c_time", "1"),
        tokens = ["c_input", "c_output", "c_read", "c_write"].map(|number| whole(number, "1")).join(" + "),
        cost = whole("c_cost", "1e9"),
        facts = facts(logs),
        from = logs.from(),
        conditions = conditions.join(" AND "),
    ))
}

fn step(fields: &[String]) -> Result<Step, String> {
    let [
        at,
        event,
        failed,
        prompt,
        model,
        tool,
        error,
        decision,
        source,
        command,
        name,
        status,
        length,
        time,
        tokens,
        cost,
    ] = fields
    else {
        return Err(format!("a step has {} fields", fields.len()));
    };
    let number = |text: &String| text.parse::<i64>().map_err(|_| "a number of a step is not one".to_owned());
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let (status, duration, failed) = (number(status)?, Some(number(time)?).filter(|time| *time > 0), failed != "0");
    let step = Step { at: number(at)?, prompt: some(prompt), duration, ..Step::default() };
    Ok(match event.as_str() {
        "api_request" => Step {
            what: "request".to_owned(),
            name: some(model),
            outcome: Some("ok".to_owned()),
            tokens: number(tokens)?,
            cost: number(cost)?,
            ..step
        },
        "api_error" | "api_refusal" | "api_retries_exhausted" => {
            Step { what: "request".to_owned(), name: some(model), outcome: Some(failure(event, status)), ..step }
        }
        "tool_result" => {
            let failure = some(error).unwrap_or_else(|| "failed".to_owned());
            let outcome = if failed { failure } else { "ok".to_owned() };
            Step { what: "tool".to_owned(), name: some(tool), outcome: Some(outcome), ..step }
        }
        "tool_decision" => {
            let decided = if decision == "reject" { "rejected" } else { "accepted" };
            let by = some(source).map_or_else(String::new, |source| format!(" by {source}"));
            let outcome = Some(format!("{decided}{by}"));
            Step { what: "decision".to_owned(), name: some(tool), outcome, ..step }
        }
        "user_prompt" => {
            let command = some(command).map(|command| format!("/{}", command.trim_start_matches('/')));
            let outcome = Some(format!("{} characters", number(length)?));
            Step { what: "prompt".to_owned(), name: command, outcome, ..step }
        }
        other => {
            let outcome = failed.then(|| "failed".to_owned());
            Step { what: other.replace('_', " "), name: some(name), outcome, ..step }
        }
    })
}

/// How a request ended without an answer.
fn failure(event: &str, status: i64) -> String {
    match (event, status) {
        ("api_refusal", _) => "refused".to_owned(),
        (_, 1..) => status.to_string(),
        _ => "error".to_owned(),
    }
}
