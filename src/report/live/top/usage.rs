//! What one session of Claude Code used. Pure.

use std::collections::BTreeMap;

use super::minutes::Minutes;
use crate::report::Line;
use crate::report::live::Event;
use crate::usage::{Entry, Measure};

/// How long a subagent without a request is believed to run, in milliseconds. One that was stopped reports no end.
const SILENT: i64 = 10 * 60_000;

/// The maximum number of running subagents that are told apart.
const AGENTS: usize = 1_000;

/// What a session used.
#[derive(Clone, Debug, Default)]
pub(super) struct Usage {
    /// The session of `ccrun`.
    pub(super) session: String,
    /// The project.
    pub(super) project: String,
    /// The model of the conversation.
    pub(super) model: String,
    /// The tokens in the last request of the conversation.
    pub(super) context: Option<i64>,
    /// By minute.
    pub(super) minutes: Minutes,
    /// When the last event happened, in Unix milliseconds.
    pub(super) last: i64,
    /// When the first of the followed events happened.
    pub(super) first: Option<i64>,
    /// What came before the followed events; `None` if it was not read yet.
    pub(super) before: Option<Line>,
    /// What the followed events add up to.
    followed: Line,
    /// Subagents that run, with their last request.
    agents: BTreeMap<String, i64>,
    /// How many subagents have finished.
    finished: usize,
}

impl Usage {
    /// Adds a followed event.
    pub(super) fn follow(&mut self, event: &Event) {
        let entry = &event.entry;
        add(&mut self.followed, entry);
        self.first = Some(self.first.map_or(entry.at, |first| first.min(entry.at)));
        self.recall(event);
        if entry.event == "api_request" && !entry.agent.is_empty() && self.agents.len() < AGENTS {
            self.agents.insert(entry.agent.clone(), entry.at);
        }
    }

    /// Takes from an event what [`before`](Self::before) does not say.
    pub(super) fn recall(&mut self, event: &Event) {
        let entry = &event.entry;
        event.session.clone_into(&mut self.session);
        event.project.clone_into(&mut self.project);
        let is_newest = entry.at >= self.last;
        self.last = self.last.max(entry.at);
        match entry.event.as_str() {
            "api_request" => {
                self.minutes.add(entry.at, tokens(entry), entry.cost.unwrap_or(0));
                if is_newest && is_of_conversation(&entry.source) {
                    entry.model.clone_into(&mut self.model);
                    self.context = Some(tokens(entry).saturating_sub(entry.output.unwrap_or(0)));
                }
            }
            "subagent_completed" => {
                self.agents.remove(&entry.agent);
                self.finished += 1;
            }
            _ => {}
        }
    }

    /// Everything.
    pub(super) fn total(&self) -> Line {
        let mut total = self.followed.clone();
        if let Some(before) = &self.before {
            total.add(before);
        }
        total
    }

    /// How many subagents run, and how many have finished.
    pub(super) fn agents(&self, now: i64) -> (usize, usize) {
        (self.agents.values().filter(|at| now.saturating_sub(**at) < SILENT).count(), self.finished)
    }

    /// Forgets what is over.
    pub(super) fn forget(&mut self, now: i64) {
        self.minutes.forget(now);
        self.agents.retain(|_, at| now.saturating_sub(*at) < SILENT);
    }
}

/// Adds what an event counts, as the ledger does.
pub(super) fn add(line: &mut Line, entry: &Entry) {
    let amount = |amount: Option<i64>| amount.unwrap_or(0);
    let mut add = |measure: Measure, amount: i64| {
        let sum = &mut line.amounts[measure.index()];
        *sum = sum.saturating_add(amount);
    };
    match (entry.event.as_str(), entry.success) {
        ("api_request", _) => {
            add(Measure::Requests, 1);
            add(Measure::InputTokens, amount(entry.input));
            add(Measure::OutputTokens, amount(entry.output));
            add(Measure::CacheReadTokens, amount(entry.cache_read));
            add(Measure::CacheCreationTokens, amount(entry.cache_creation));
            add(Measure::Cost, amount(entry.cost));
        }
        ("api_error", _) => add(Measure::Errors, 1),
        // The subject is a built-in command.
        ("user_prompt", _) if entry.subject.is_empty() => add(Measure::Prompts, 1),
        ("tool_result", Some(false)) => add(Measure::ToolFailures, 1),
        ("tool_result", _) => add(Measure::ToolSuccesses, 1),
        _ => {}
    }
}

/// All tokens of a request.
pub(super) fn tokens(entry: &Entry) -> i64 {
    let all = [entry.input, entry.cache_read, entry.cache_creation, entry.output];
    all.into_iter().flatten().fold(0, i64::saturating_add)
}

/// Whether a request belongs to the conversation, and not to a subagent or to something asked on the side. Older
/// versions do not say it.
fn is_of_conversation(source: &str) -> bool {
    source.is_empty() || source == "sdk" || source.contains("main_thread")
}
