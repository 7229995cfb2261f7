//! The rows for persons or teams that the page ends with. Automation is not among them.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Facts, cache};
use super::line::{Section, Value, share};
use crate::report::Line;
use crate::usage::Measure;

/// How many rows are shown.
const ROWS: usize = 100;

/// The columns of both after the first two.
const COLUMNS: [(&str, &str); 9] = [
    ("cost_usd", "spend"),
    ("share", "share"),
    ("prompts", "prompts"),
    ("requests", "requests"),
    ("cache_reuse", "cache reuse"),
    ("edits_accepted", "accepted"),
    ("commits", "commits"),
    ("pull_requests", "PRs"),
    ("errors", "errors"),
];

/// A row for each person: the active days of the period, and what was used.
pub(super) fn persons(facts: &Facts) -> Section {
    let spend = facts.people.spend();
    let active_days = |person: &str| {
        let days = facts.people.days().filter(|day| day.person == person && day.is_active()).count();
        Value::count(days)
    };
    let totals = facts.people.totals();
    let rows =
        totals.iter().map(|(person, line)| row(Value::Text((*person).to_owned()), active_days(person), line, spend));
    section("persons", "People", [("person", "person"), ("active_days", "active days")], rows.collect())
}

/// A row for each team: its people with a prompt, and what was used. People without a team have a row without a name.
pub(super) fn teams(facts: &Facts) -> Section {
    let mut teams: BTreeMap<Option<&str>, (BTreeSet<&str>, Line)> = BTreeMap::new();
    for line in &facts.teams.lines {
        let [team, person] = &line.keys[..] else { continue };
        let (people, sum) = teams.entry(team.as_deref()).or_default();
        people.extend(person.as_deref().filter(|_| line.amount(Measure::Prompts) > 0));
        sum.add(line);
    }
    let mut teams: Vec<_> = teams.into_iter().collect();
    teams.sort_by_key(|(_, (_, line))| std::cmp::Reverse(line.amount(Measure::Cost)));
    let spend = super::facts::sum(&facts.teams.lines, Measure::Cost);
    let rows = teams.iter().map(|(team, (people, line))| {
        let people = Value::count(people.len());
        row(team.map_or(Value::None, |team| Value::Text(team.to_owned())), people, line, spend)
    });
    section("teams", "Teams", [("team", "team"), ("people", "people")], rows.collect())
}

fn section(
    id: &'static str,
    name: &'static str,
    first: [(&'static str, &'static str); 2],
    mut rows: Vec<Vec<Value>>,
) -> Section {
    let more = rows.len().saturating_sub(ROWS);
    rows.truncate(ROWS);
    Section { id, name, columns: first.into_iter().chain(COLUMNS).collect(), names: 1, rows, more }
}

fn row(name: Value, count: Value, line: &Line, spend: i64) -> Vec<Value> {
    let amount = |measure| line.amount(measure);
    let count_of = |measure| Value::Count(line.amount(measure));
    let asked = amount(Measure::EditsAccepted) + amount(Measure::EditsRejected);
    vec![
        name,
        count,
        Value::Dollars(amount(Measure::Cost)),
        share(amount(Measure::Cost), spend),
        count_of(Measure::Prompts),
        count_of(Measure::Requests),
        cache(line).2.map_or(Value::None, Value::Share),
        share(amount(Measure::EditsAccepted), asked),
        count_of(Measure::Commits),
        count_of(Measure::PullRequests),
        count_of(Measure::Errors),
    ]
}
