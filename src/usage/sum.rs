//! Adds the ledger's rows up to a report.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use jiff::tz::TimeZone;

use super::fact::Measure;
use super::report::{
    Amounts, Branch, Client, Day, Group, Model, Period, Profile, Project, Quarter, Report, Rows, Tally, Tool,
};

impl Report {
    /// Adds up. Days are those of the time zone.
    pub fn new(rows: &Rows, zone: &TimeZone) -> Self {
        let known: Vec<(&Client, &Tally)> =
            rows.tallies.iter().filter_map(|tally| Some((rows.clients.get(&tally.client)?, tally))).collect();
        let mut report = Self {
            total: total(&rows.tallies),
            days: days(&rows.quarters, zone),
            models: by_cost(&known, |_, tally| of_a_model(tally.measure).then(|| Model { model: tally.name.clone() })),
            projects: by_cost(&known, |client, _| Some(Project { project: client.project.clone() })),
            branches: by_cost(&known, |client, _| {
                Some(Branch { project: client.project.clone(), branch: client.branch.clone() })
            }),
            profiles: by_cost(&known, |client, _| {
                Some(Profile { profile: client.profile.clone(), team: client.team.clone() })
            }),
            tools: tools(&rows.tallies),
            ..Self::default()
        };
        report.count_sessions(&known);
        report.period = report
            .days
            .first()
            .zip(report.days.last())
            .map(|(first, last)| Period { from: first.key.day, to: last.key.day });
        report.notes = notes(&report);
        report
    }

    fn count_sessions(&mut self, known: &[(&Client, &Tally)]) {
        let ours: HashSet<&str> = known.iter().map(|(client, _)| client.session.as_str()).collect();
        let theirs: HashSet<_> = known.iter().map(|(client, _)| claude_session(client)).collect();
        let asking = known.iter().filter(|(_, tally)| of_a_request(tally.measure)).map(|(client, _)| *client);
        let (without_events, without_metrics): (HashSet<_>, HashSet<_>) = (
            asking.clone().filter(|client| !client.has_requests).map(claude_session).collect(),
            asking.filter(|client| !client.has_metrics).map(claude_session).collect(),
        );
        self.sessions = ours.len() as u64;
        self.claude_sessions = theirs.len() as u64;
        self.claude_sessions_without_events = without_events.len() as u64;
        self.claude_sessions_without_metrics = without_metrics.len() as u64;
    }
}

/// What tells a session of Claude Code's. One that was resumed is still the same; where `session.id` is kept back,
/// only ours is known, and counts as one.
fn claude_session(client: &Client) -> (&str, &str) {
    if client.claude_session.is_empty() { (&client.session, "") } else { ("", &client.claude_session) }
}

impl Amounts {
    fn add(&mut self, measure: Measure, amount: i64) {
        let sum = match measure {
            Measure::Requests => &mut self.requests,
            Measure::InputTokens => &mut self.input_tokens,
            Measure::OutputTokens => &mut self.output_tokens,
            Measure::CacheReadTokens => &mut self.cache_read_tokens,
            Measure::CacheCreationTokens => &mut self.cache_creation_tokens,
            Measure::Cost => &mut self.cost,
            Measure::Errors => &mut self.errors,
            Measure::Prompts => &mut self.prompts,
            Measure::ToolSuccesses => &mut self.tool_successes,
            Measure::ToolFailures => &mut self.tool_failures,
            Measure::EditsAccepted => &mut self.edits_accepted,
            Measure::EditsRejected => &mut self.edits_rejected,
            Measure::ActiveUser => &mut self.active_user,
            Measure::ActiveCli => &mut self.active_cli,
            Measure::LinesAdded => &mut self.lines_added,
            Measure::LinesRemoved => &mut self.lines_removed,
            Measure::Commits => &mut self.commits,
            Measure::PullRequests => &mut self.pull_requests,
            Measure::SessionStarts => return,
        };
        *sum = sum.saturating_add(amount);
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let (mut sum, mut other) = (self.clone(), other.clone());
        for (sum, other) in sum.fields().into_iter().zip(other.fields()) {
            *sum = sum.saturating_add(*other);
        }
        sum
    }

    fn fields(&mut self) -> [&mut i64; 18] {
        [
            &mut self.requests,
            &mut self.errors,
            &mut self.prompts,
            &mut self.input_tokens,
            &mut self.output_tokens,
            &mut self.cache_read_tokens,
            &mut self.cache_creation_tokens,
            &mut self.cost,
            &mut self.active_user,
            &mut self.active_cli,
            &mut self.lines_added,
            &mut self.lines_removed,
            &mut self.commits,
            &mut self.pull_requests,
            &mut self.edits_accepted,
            &mut self.edits_rejected,
            &mut self.tool_successes,
            &mut self.tool_failures,
        ]
    }

    /// Tokens of all kinds.
    pub fn tokens(&self) -> i64 {
        [self.output_tokens, self.cache_read_tokens, self.cache_creation_tokens]
            .into_iter()
            .fold(self.input_tokens, i64::saturating_add)
    }
}

fn total(tallies: &[Tally]) -> Amounts {
    let mut total = Amounts::default();
    for tally in tallies {
        total.add(tally.measure, tally.amount);
    }
    total
}

fn days(quarters: &[Quarter], zone: &TimeZone) -> Vec<Group<Day>> {
    let mut days: BTreeMap<Day, Amounts> = BTreeMap::new();
    for quarter in quarters {
        let day = Day { day: zone.to_datetime(quarter.at).date() };
        days.entry(day).or_default().add(quarter.measure, quarter.amount);
    }
    days.into_iter().map(|(key, amounts)| Group { key, amounts }).collect()
}

/// Groups, the dearest first. What costs the same goes by tokens, then by name.
fn by_cost<K: Ord>(known: &[(&Client, &Tally)], key: impl Fn(&Client, &Tally) -> Option<K>) -> Vec<Group<K>> {
    let mut groups: BTreeMap<K, Amounts> = BTreeMap::new();
    for (client, tally) in known {
        if let Some(key) = key(client, tally) {
            groups.entry(key).or_default().add(tally.measure, tally.amount);
        }
    }
    let mut groups: Vec<_> = groups.into_iter().map(|(key, amounts)| Group { key, amounts }).collect();
    groups.sort_by_key(|group| Reverse((group.amounts.cost, group.amounts.tokens())));
    groups
}

fn tools(tallies: &[Tally]) -> Vec<Tool> {
    let mut tools: BTreeMap<&str, Tool> = BTreeMap::new();
    for tally in tallies.iter().filter(|tally| of_a_tool(tally.measure)) {
        let tool = tools.entry(&tally.name).or_insert_with(|| Tool { tool: tally.name.clone(), ..Tool::default() });
        match tally.measure {
            Measure::ToolSuccesses => tool.succeeded += tally.amount,
            Measure::ToolFailures => tool.failed += tally.amount,
            Measure::EditsAccepted => tool.edits_accepted += tally.amount,
            _ => tool.edits_rejected += tally.amount,
        }
    }
    let mut tools: Vec<_> = tools.into_values().collect();
    tools.sort_by_key(|tool| Reverse(tool.succeeded + tool.failed));
    tools
}

fn of_a_request(measure: Measure) -> bool {
    use Measure::{CacheCreationTokens, CacheReadTokens, Cost, InputTokens, OutputTokens, Requests};
    matches!(measure, Requests | InputTokens | OutputTokens | CacheReadTokens | CacheCreationTokens | Cost)
}

fn of_a_model(measure: Measure) -> bool {
    of_a_request(measure) || measure == Measure::Errors
}

fn of_a_tool(measure: Measure) -> bool {
    use Measure::{EditsAccepted, EditsRejected, ToolFailures, ToolSuccesses};
    matches!(measure, ToolSuccesses | ToolFailures | EditsAccepted | EditsRejected)
}

/// Promise 6: a number that is an estimate, or misses something, says so.
fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    if report.total.cost > 0 {
        notes.push("cost is Claude Code's own estimate".to_owned());
    }
    let all = report.claude_sessions;
    let without_events = report.claude_sessions_without_events;
    if without_events > 0 {
        notes.push(format!(
            "{without_events} of {all} Claude Code sessions sent no events so far: their requests, errors, prompts and \
             tools are not counted"
        ));
    }
    let without_metrics = report.claude_sessions_without_metrics;
    if without_metrics > 0 {
        notes.push(format!(
            "{without_metrics} of {all} Claude Code sessions sent no metrics so far: their active time, lines, commits \
             and pull requests are not counted"
        ));
    }
    notes
}
