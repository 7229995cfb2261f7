//! Claude Code's metrics in Prometheus: how their names and labels are recognised, and what they measure.

use std::collections::BTreeSet;

use crate::report::dimension::Dimension;
use crate::usage::{Measure, decided};

/// What a metric counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Metric {
    /// Its name in words: without the unit and `total`, with `_` for dots.
    pub(super) name: &'static str,
    /// The labels that say what it counts.
    pub(super) kinds: &'static [&'static str],
    /// Amounts of the ledger in one of its units.
    pub(super) scale: f64,
}

const fn metric(name: &'static str, kinds: &'static [&'static str], scale: f64) -> Metric {
    Metric { name, kinds, scale }
}

/// The metric that counts sessions.
pub(super) const SESSIONS: usize = 0;

/// All metrics: those of Claude Code, and the counters that `ccrun metrics` adds.
pub(super) const METRICS: [Metric; 12] = [
    metric("claude_code_session_count", &[], 1.0),
    metric("claude_code_cost_usage", &[], 1e9),
    metric("claude_code_token_usage", &["type"], 1.0),
    metric("claude_code_active_time", &["type"], 1e3),
    metric("claude_code_lines_of_code_count", &["type"], 1.0),
    metric("claude_code_commit_count", &[], 1.0),
    metric("claude_code_pull_request_count", &[], 1.0),
    metric("claude_code_code_edit_tool_decision", &["decision", "source"], 1.0),
    metric("ccrun_requests", &[], 1.0),
    metric("ccrun_request_errors", &[], 1.0),
    metric("ccrun_prompts", &[], 1.0),
    metric("ccrun_tool_calls", &["success"], 1.0),
];

/// What a series of a metric measures, by the values of its kinds. `None` for sessions, and for what the ledger does not
/// count.
pub(super) fn measure(metric: &str, kind: &str, source: &str) -> Option<Measure> {
    Some(match (metric, kind) {
        ("claude_code_cost_usage", _) => Measure::Cost,
        ("claude_code_token_usage", "input") => Measure::InputTokens,
        ("claude_code_token_usage", "output") => Measure::OutputTokens,
        ("claude_code_token_usage", "cacheRead") => Measure::CacheReadTokens,
        ("claude_code_token_usage", "cacheCreation") => Measure::CacheCreationTokens,
        ("claude_code_active_time", "user") => Measure::ActiveUser,
        ("claude_code_active_time", "cli") => Measure::ActiveCli,
        ("claude_code_lines_of_code_count", "added") => Measure::LinesAdded,
        ("claude_code_lines_of_code_count", "removed") => Measure::LinesRemoved,
        ("claude_code_commit_count", _) => Measure::Commits,
        ("claude_code_pull_request_count", _) => Measure::PullRequests,
        ("claude_code_code_edit_tool_decision", decision) => decided(decision == "accept", source),
        ("ccrun_requests", _) => Measure::Requests,
        ("ccrun_request_errors", _) => Measure::Errors,
        ("ccrun_prompts", _) => Measure::Prompts,
        ("ccrun_tool_calls", "true") => Measure::ToolSuccesses,
        ("ccrun_tool_calls", "false") => Measure::ToolFailures,
        _ => return None,
    })
}

/// The metric that a name in Prometheus stands for: with or without unit and `_total`, with dots or underscores.
pub(super) fn recognise(name: &str) -> Option<usize> {
    let plain = plain(name);
    let mut words: Vec<&str> = plain.split('_').collect();
    while words.last().is_some_and(|last| ["total", "USD", "tokens", "seconds", "s"].contains(last)) {
        words.pop();
    }
    let name = words.join("_");
    METRICS.iter().position(|metric| metric.name == name)
}

/// A name with underscores for dots, as Prometheus translates it by default.
fn plain(name: &str) -> String {
    name.replace('.', "_")
}

/// The labels of each dimension, the strongest first, by their names with underscores. Persons have several.
const LABELS: [(Dimension, &[&str]); 16] = [
    (Dimension::Session, &["session_id"]),
    (Dimension::Project, &["project"]),
    (Dimension::Repository, &["vcs_repository_name"]),
    (Dimension::Branch, &["vcs_ref_head_name"]),
    (Dimension::Model, &["model"]),
    (Dimension::Provider, &["anthropic_provider"]),
    (Dimension::Team, &["team_id", "user_groups"]),
    (Dimension::Person, &["person", "enduser_id", "user_email", "user_account_uuid"]),
    (Dimension::Organisation, &["organization_id"]),
    (Dimension::Profile, &["ccrun_profile"]),
    (Dimension::Machine, &["ccrun_machine"]),
    (Dimension::Tool, &["tool_name", "tool"]),
    (Dimension::Agent, &["agent_name"]),
    (Dimension::Source, &["query_source"]),
    (Dimension::Effort, &["effort"]),
    (Dimension::Terminal, &["terminal_type"]),
];

/// More of them, which are seldom labels.
const MORE: [(Dimension, &[&str]); 4] = [
    (Dimension::Skill, &["skill_name"]),
    (Dimension::Mcp, &["mcp_server_name"]),
    (Dimension::Entrypoint, &["app_entrypoint"]),
    (Dimension::Version, &["app_version", "service_version"]),
];

/// The label of an installation, which stands for a person who is not named.
const INSTALLATION: &str = "user_id";

/// The names of series and labels that a server has.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The number of a metric in [`METRICS`], and a name that it has.
    pub(super) names: Vec<(usize, String)>,
    labels: BTreeSet<String>,
}

impl Known {
    pub(super) fn new(names: &[String], labels: Vec<String>) -> Self {
        let names = names.iter().filter_map(|name| Some((recognise(name)?, name.clone()))).collect();
        Self { names, labels: labels.into_iter().collect() }
    }

    /// The labels that hold a dimension, the strongest first.
    pub(super) fn labels(&self, dimension: Dimension) -> Vec<&str> {
        let wanted = LABELS.iter().chain(&MORE).find(|(of, _)| *of == dimension).map_or(&[][..], |(_, labels)| labels);
        let held = |wanted: &&str| self.labels.iter().find(|label| plain(label) == **wanted);
        wanted.iter().filter_map(held).map(String::as_str).collect()
    }

    /// The label of an installation.
    pub(super) fn installation(&self) -> Option<&str> {
        self.labels.iter().find(|label| plain(label) == INSTALLATION).map(String::as_str)
    }

    /// Whether rows can have a dimension.
    pub(super) fn knows(&self, dimension: Dimension) -> bool {
        match dimension {
            Dimension::Person => self.installation().is_some() || !self.labels(dimension).is_empty(),
            Dimension::Automation => {
                [Dimension::Entrypoint, Dimension::Source].iter().any(|dimension| !self.labels(*dimension).is_empty())
            }
            _ => dimension.is_time() || !self.labels(dimension).is_empty(),
        }
    }

    /// The names of the dimensions that rows can have, for messages.
    pub(super) fn dimensions(&self) -> String {
        let known = Dimension::all().filter(|dimension| self.knows(*dimension));
        known.map(Dimension::name).collect::<Vec<_>>().join(", ")
    }

    /// Whether any name of a metric is there.
    pub(super) fn has(&self, metric: &str) -> bool {
        self.names.iter().any(|(index, _)| METRICS[*index].name == metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_recognised_in_every_translation() {
        for (name, metric) in [
            ("claude_code_cost_usage_USD_total", "claude_code_cost_usage"),
            ("claude_code_cost_usage_total", "claude_code_cost_usage"),
            ("claude_code_cost_usage", "claude_code_cost_usage"),
            ("claude_code.cost.usage", "claude_code_cost_usage"),
            ("claude_code.cost.usage_USD_total", "claude_code_cost_usage"),
            ("claude_code_token_usage_tokens_total", "claude_code_token_usage"),
            ("claude_code_active_time_seconds_total", "claude_code_active_time"),
            ("claude_code.active_time.total", "claude_code_active_time"),
            ("claude_code_active_time_total_s_total", "claude_code_active_time"),
            ("claude_code_session_count_total", "claude_code_session_count"),
            ("ccrun_requests_total", "ccrun_requests"),
        ] {
            assert_eq!(recognise(name).map(|index| METRICS[index].name), Some(metric), "{name}");
        }
        for name in ["claude_code_new_thing_total", "ccrun_export_sent_total", "up", "total", ""] {
            assert_eq!(recognise(name), None, "{name}");
        }
        assert_eq!(METRICS[SESSIONS].name, "claude_code_session_count");
    }

    #[test]
    fn dimensions_are_known_by_labels_of_either_form() {
        let known = |labels: &[&str]| Known::new(&[], labels.iter().map(|label| (*label).to_owned()).collect());
        let some = known(&["model", "team.id", "user_id", "user.email"]);
        assert_eq!(some.labels(Dimension::Team), ["team.id"]);
        assert_eq!(some.labels(Dimension::Person), ["user.email"]);
        assert!(some.knows(Dimension::Person) && some.knows(Dimension::Day) && !some.knows(Dimension::Session));
        assert_eq!(some.dimensions(), "hour, day, week, month, weekday, model, team, person");
        assert!(known(&["user_id"]).knows(Dimension::Person) && !known(&[]).knows(Dimension::Automation));
    }
}
