//! The metrics, and the measures that they count.

use crate::report::dimension::Dimension;
use crate::usage::Measure;

/// The dimensions that series may have as labels, each with its label. Those that Claude Code reports have the label that
/// Prometheus makes of their attribute.
pub const LABELS: [(Dimension, &str); 12] = [
    (Dimension::Person, "person"),
    (Dimension::Project, "project"),
    (Dimension::Repository, "vcs_repository_name"),
    (Dimension::Branch, "vcs_ref_head_name"),
    (Dimension::Team, "team_id"),
    (Dimension::Organisation, "organization_id"),
    (Dimension::Profile, "ccrun_profile"),
    (Dimension::Machine, "ccrun_machine"),
    (Dimension::Provider, "anthropic_provider"),
    (Dimension::Entrypoint, "app_entrypoint"),
    (Dimension::Version, "app_version"),
    (Dimension::Terminal, "terminal_type"),
];

/// The label of a dimension.
pub fn label_of(dimension: Dimension) -> &'static str {
    LABELS.iter().find(|(labelled, _)| *labelled == dimension).map_or(dimension.name(), |(_, label)| label)
}

/// A metric.
#[derive(Debug)]
pub(super) struct Metric {
    /// Its name, without `_total`.
    pub(super) name: &'static str,
    /// The unit, with which the name ends.
    pub(super) unit: Option<&'static str>,
    /// A short description.
    pub(super) help: &'static str,
    /// How many digits of the ledger's amounts come after the decimal point.
    pub(super) digits: usize,
    /// What it counts.
    pub(super) of: Of,
}

/// What a metric counts.
#[derive(Debug)]
pub(super) enum Of {
    Sessions,
    /// Measures by model.
    Models(&'static [Part]),
    /// Measures by tool.
    Tools(&'static [Part]),
}

/// A measure, and the labels that distinguish it from the other measures of its metric.
pub(super) type Part = (Measure, &'static [(&'static str, &'static str)]);

use Measure as M;

const fn metric(name: &'static str, help: &'static str, of: Of) -> Metric {
    Metric { name, unit: None, help, digits: 0, of }
}

/// All metrics. The first eight are Claude Code's own, by the names that Prometheus gives them over OTLP.
pub(super) static METRICS: [Metric; 12] = [
    metric("claude_code_session_count", "Sessions of Claude Code.", Of::Sessions),
    Metric {
        unit: Some("USD"),
        digits: 9,
        ..metric(
            "claude_code_cost_usage_USD",
            "Cost in US dollars, by Claude Code's own estimate.",
            Of::Models(&[(M::Cost, &[])]),
        )
    },
    Metric {
        unit: Some("tokens"),
        ..metric(
            "claude_code_token_usage_tokens",
            "Tokens.",
            Of::Models(&[
                (M::InputTokens, &[("type", "input")]),
                (M::OutputTokens, &[("type", "output")]),
                (M::CacheReadTokens, &[("type", "cacheRead")]),
                (M::CacheCreationTokens, &[("type", "cacheCreation")]),
            ]),
        )
    },
    Metric {
        unit: Some("seconds"),
        digits: 3,
        ..metric(
            "claude_code_active_time_seconds",
            "Time in which the user typed or read, and in which Claude Code worked.",
            Of::Models(&[(M::ActiveUser, &[("type", "user")]), (M::ActiveCli, &[("type", "cli")])]),
        )
    },
    metric(
        "claude_code_lines_of_code_count",
        "Lines of code added and removed.",
        Of::Models(&[(M::LinesAdded, &[("type", "added")]), (M::LinesRemoved, &[("type", "removed")])]),
    ),
    metric("claude_code_commit_count", "Commit commands.", Of::Models(&[(M::Commits, &[])])),
    metric("claude_code_pull_request_count", "Pull requests opened.", Of::Models(&[(M::PullRequests, &[])])),
    metric(
        "claude_code_code_edit_tool_decision",
        "Edits that were accepted or rejected.",
        Of::Tools(&[
            (M::EditsAccepted, &[("decision", "accept"), ("source", "user_accept")]),
            (M::EditsRejected, &[("decision", "reject"), ("source", "user_reject")]),
            (M::EditsAutomatic, &[("decision", "automatic"), ("source", "automatic")]),
        ]),
    ),
    metric("ccrun_requests", "Answered requests to the model.", Of::Models(&[(M::Requests, &[])])),
    metric("ccrun_request_errors", "Requests to the model that failed for good.", Of::Models(&[(M::Errors, &[])])),
    metric("ccrun_prompts", "Prompts, without built-in commands.", Of::Models(&[(M::Prompts, &[])])),
    metric(
        "ccrun_tool_calls",
        "Runs of tools.",
        Of::Tools(&[(M::ToolSuccesses, &[("success", "true")]), (M::ToolFailures, &[("success", "false")])]),
    ),
];

/// Labels with few values, which the series for the rest keeps.
pub(super) const FEW: [&str; 4] = ["type", "decision", "source", "success"];
