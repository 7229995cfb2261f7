//! The tables of facts, and each fact's share of the sums.

use super::block::quarter;
use super::columns::{decision, request, submission, tool_call};
use super::family::Family;
use crate::usage::{Measure, Outcome};

/// A table of facts: its columns after `day` and `identity`, all of them integers.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static [&'static str],
}

/// The largest number of columns in a table of facts.
pub const WIDEST: usize = 17;

/// A stored fact: a value for each column of its table, from the front.
pub type Row = [i64; WIDEST];

/// The index of the time in every fact, in Unix milliseconds.
pub const AT: usize = 0;
/// The index of the context in every fact.
pub const CONTEXT: usize = 1;
/// The index of the prompt in every fact; the prompt is zero if there is none.
pub const PROMPT: usize = 2;

/// Requests to the model.
pub const REQUEST: Table = Table {
    name: "request",
    columns: &[
        "at",
        "context",
        "prompt",
        "model",
        "kind",
        "input",
        "output",
        "cache_read",
        "cache_creation",
        "cache_hour",
        "cost",
        "basis",
        "duration",
        "first_token",
        "outcome",
        "status",
        "attempts",
    ],
};

/// Runs of tools.
pub const TOOL: Table = Table {
    name: "tool_call",
    columns: &[
        "at",
        "context",
        "prompt",
        "tool",
        "mcp",
        "succeeded",
        "error",
        "duration",
        "input_size",
        "output_size",
        "revision",
    ],
};

/// Decisions about tool runs. `edit` says how a decision counts: 0 not at all, 1 accepted by a person, 2 rejected by a
/// person, 3 decided without asking.
pub const DECISION: Table =
    Table { name: "decision", columns: &["at", "context", "prompt", "tool", "accepted", "source", "mode", "edit"] };

/// Prompts that were submitted.
pub const SUBMISSION: Table =
    Table { name: "submission", columns: &["at", "context", "prompt", "length", "is_builtin", "command"] };

/// Other events at a point in time. `succeeded` is -1 if unknown.
pub const MOMENT: Table =
    Table { name: "moment", columns: &["at", "context", "prompt", "event", "name", "duration", "succeeded", "number"] };

/// All tables of facts.
pub const TABLES: [&Table; 5] = [&REQUEST, &TOOL, &DECISION, &SUBMISSION, &MOMENT];

/// The key of a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The family that it belongs to.
    pub family: Family,
    /// Quarters of an hour since 1970, UTC.
    pub quarter: i64,
    /// The context.
    pub context: i64,
    /// The model or the tool; zero for none.
    pub name: i64,
    /// The purpose of a request; the MCP server of a tool.
    pub kind: i64,
    /// The prompt, in sums by prompt; zero for none.
    pub prompt: i64,
}

/// Calls `add` with each share that a fact has in the sums.
pub fn shares(table: &Table, row: &Row, mut add: impl FnMut(Key, &[(Measure, i64)])) {
    let [at, context, prompt] = [row[AT], row[CONTEXT], row[PROMPT]];
    let key = |family, name, kind| Key { family, quarter: quarter(at), context, name, kind, prompt: 0 };
    // By model, if there is one, and the same by prompt.
    let mut whole = |name, kind, amounts: &[(Measure, i64)]| {
        add(key(Family::Model, name, kind), amounts);
        add(Key { prompt, ..key(Family::Prompt, name, kind) }, amounts);
    };
    match table.name {
        "request" => {
            let (model, kind, outcome) = (row[request::MODEL], row[request::KIND], row[request::OUTCOME]);
            if outcome == Outcome::Answered as i64 {
                whole(model, kind, &answered(row));
            } else if outcome == Outcome::Failed as i64 {
                whole(model, kind, &[(Measure::Errors, 1)]);
            } else if outcome == Outcome::Unseen as i64 {
                // A sum of requests of unknown number.
                whole(model, kind, &answered(row)[1..]);
            }
        }
        "tool_call" => {
            let failed = row[tool_call::SUCCEEDED] == 0;
            let measure = if failed { Measure::ToolFailures } else { Measure::ToolSuccesses };
            let amounts = [(measure, 1), (Measure::ToolTime, row[tool_call::DURATION])];
            whole(0, 0, &amounts);
            add(key(Family::Tool, row[tool_call::TOOL], row[tool_call::MCP]), &amounts);
        }
        "decision" => {
            let edits = [Measure::EditsAccepted, Measure::EditsRejected, Measure::EditsAutomatic];
            if let Some(measure) = usize::try_from(row[decision::EDIT] - 1).ok().and_then(|index| edits.get(index)) {
                whole(0, 0, &[(*measure, 1)]);
                add(key(Family::Tool, row[decision::TOOL], 0), &[(*measure, 1)]);
            }
        }
        "submission" if row[submission::IS_BUILTIN] == 0 => whole(0, 0, &[(Measure::Prompts, 1)]),
        _ => {}
    }
}

/// The amounts of an answered request.
fn answered(row: &Row) -> [(Measure, i64); 10] {
    [
        (Measure::Requests, 1),
        (Measure::InputTokens, row[request::INPUT]),
        (Measure::OutputTokens, row[request::OUTPUT]),
        (Measure::CacheReadTokens, row[request::CACHE_READ]),
        (Measure::CacheCreationTokens, row[request::CACHE_CREATION]),
        (Measure::CacheHourTokens, row[request::CACHE_HOUR]),
        (Measure::Cost, row[request::COST]),
        (Measure::RequestTime, row[request::DURATION]),
        (Measure::FirstTokenTime, row[request::FIRST_TOKEN]),
        (Measure::FirstTokens, i64::from(row[request::FIRST_TOKEN] > 0)),
    ]
}
