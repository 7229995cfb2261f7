//! The indexes of columns in the rows of facts, by table.

/// In a row of [`REQUEST`](super::REQUEST).
#[expect(missing_docs, reason = "each has the name of its column")]
pub mod request {
    use std::ops::Range;

    pub const MODEL: usize = 3;
    pub const KIND: usize = 4;
    pub const INPUT: usize = 5;
    pub const OUTPUT: usize = 6;
    pub const CACHE_READ: usize = 7;
    pub const CACHE_CREATION: usize = 8;
    pub const CACHE_HOUR: usize = 9;
    pub const COST: usize = 10;
    pub const BASIS: usize = 11;
    pub const DURATION: usize = 12;
    pub const FIRST_TOKEN: usize = 13;
    pub const OUTCOME: usize = 14;
    pub const STATUS: usize = 15;
    /// All tokens, each once: those kept for an hour are among those written to the cache.
    pub const TOKENS: Range<usize> = INPUT..CACHE_HOUR;
    /// The tokens that a price depends on, those kept for an hour included.
    pub const PRICED: Range<usize> = INPUT..COST;
}

/// In a row of [`TOOL`](super::TOOL).
#[expect(missing_docs, reason = "each has the name of its column")]
pub mod tool_call {
    pub const TOOL: usize = 3;
    pub const MCP: usize = 4;
    pub const SUCCEEDED: usize = 5;
    pub const ERROR: usize = 6;
    pub const DURATION: usize = 7;
}

/// In a row of [`DECISION`](super::DECISION).
#[expect(missing_docs, reason = "each has the name of its column")]
pub mod decision {
    pub const TOOL: usize = 3;
    pub const ACCEPTED: usize = 4;
    pub const SOURCE: usize = 5;
    pub const EDIT: usize = 7;
}

/// In a row of [`SUBMISSION`](super::SUBMISSION).
#[expect(missing_docs, reason = "each has the name of its column")]
pub mod submission {
    pub const LENGTH: usize = 3;
    pub const IS_BUILTIN: usize = 4;
    pub const COMMAND: usize = 5;
}

/// In a row of [`MOMENT`](super::MOMENT).
#[expect(missing_docs, reason = "each has the name of its column")]
pub mod moment {
    pub const EVENT: usize = 3;
    pub const NAME: usize = 4;
    pub const DURATION: usize = 5;
    pub const SUCCEEDED: usize = 6;
}

#[cfg(test)]
mod tests {
    use super::super::{DECISION, MOMENT, REQUEST, SUBMISSION, TOOL, Table};
    use super::*;

    #[test]
    fn each_index_matches_its_column() {
        let named = |table: &Table, index: usize| table.columns[index];
        let of_request = [
            (request::MODEL, "model"),
            (request::KIND, "kind"),
            (request::INPUT, "input"),
            (request::OUTPUT, "output"),
            (request::CACHE_READ, "cache_read"),
            (request::CACHE_CREATION, "cache_creation"),
            (request::CACHE_HOUR, "cache_hour"),
            (request::COST, "cost"),
            (request::BASIS, "basis"),
            (request::DURATION, "duration"),
            (request::FIRST_TOKEN, "first_token"),
            (request::OUTCOME, "outcome"),
            (request::STATUS, "status"),
        ];
        let of_tool_call = [
            (tool_call::TOOL, "tool"),
            (tool_call::MCP, "mcp"),
            (tool_call::SUCCEEDED, "succeeded"),
            (tool_call::ERROR, "error"),
            (tool_call::DURATION, "duration"),
        ];
        let of_decision = [
            (decision::TOOL, "tool"),
            (decision::ACCEPTED, "accepted"),
            (decision::SOURCE, "source"),
            (decision::EDIT, "edit"),
        ];
        let of_submission =
            [(submission::LENGTH, "length"), (submission::IS_BUILTIN, "is_builtin"), (submission::COMMAND, "command")];
        let of_moment = [
            (moment::EVENT, "event"),
            (moment::NAME, "name"),
            (moment::DURATION, "duration"),
            (moment::SUCCEEDED, "succeeded"),
        ];
        let tables: [(&Table, &[(usize, &str)]); 5] = [
            (&REQUEST, &of_request),
            (&TOOL, &of_tool_call),
            (&DECISION, &of_decision),
            (&SUBMISSION, &of_submission),
            (&MOMENT, &of_moment),
        ];
        for (table, indexes) in tables {
            for (index, name) in indexes {
                assert_eq!(named(table, *index), *name, "{}", table.name);
            }
        }
    }
}
