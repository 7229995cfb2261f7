//! The line and the tables about where the spend went.

use std::collections::BTreeMap;

use super::facts::{Facts, TOP};
use super::line::{Figure, Line, Quantity, Section, Value, share};
use crate::report::Line as Usage;
use crate::usage::Measure;

/// A name and its spend, in billionths of a US dollar.
type Spend = (Vec<Option<String>>, i64);

/// "Where it went: top five repositories, branches, models, agents, sessions." The line has how many there are.
pub(super) fn places(facts: &Facts) -> Line {
    let figures = [
        ("repositories", Value::count(known(&repositories(facts)))),
        ("branches", Value::count(known(&spends(&facts.branches.lines)))),
        ("models", Value::count(known(&spends(&facts.models.lines)))),
        ("agents", Value::count(known(&spends(&facts.agents.lines)))),
        ("sessions", Value::Count(facts.total.total.sessions)),
    ];
    Line {
        figure: Figure::new("places", "Where it went", Value::None)
            .of(Quantity::new(Value::Dollars(facts.spend()), "spend")),
        beside: figures.into_iter().map(|(id, value)| Figure::new(id, id, value)).collect(),
        source: "requests; the branch at the time of the request",
        caveats: vec![format!("the tables show the top {TOP}, with their shares of the spend")],
    }
}

/// How many have a name.
fn known(spends: &[Spend]) -> usize {
    spends.iter().filter(|(names, _)| names.last().is_some_and(Option::is_some)).count()
}

fn spends(lines: &[Usage]) -> Vec<Spend> {
    lines.iter().map(|line| (line.keys.clone(), line.amount(Measure::Cost))).collect()
}

/// The spend by repository, the most expensive first.
fn repositories(facts: &Facts) -> Vec<Spend> {
    let mut sums: BTreeMap<Option<String>, i64> = BTreeMap::new();
    for line in &facts.branches.lines {
        let sum = sums.entry(line.keys.first().cloned().flatten()).or_default();
        *sum = sum.saturating_add(line.amount(Measure::Cost));
    }
    let mut spends: Vec<_> = sums.into_iter().map(|(name, sum)| (vec![name], sum)).collect();
    spends.sort_by_key(|(_, sum)| std::cmp::Reverse(*sum));
    spends
}

/// The five tables.
pub(super) fn sections(facts: &Facts) -> Vec<Section> {
    let table = |id, name, columns: &[(&'static str, &'static str)], spends: Vec<Spend>, all: usize| {
        let spends: Vec<_> = spends.into_iter().filter(|(_, spend)| *spend > 0).collect();
        let more = all.max(spends.len()).saturating_sub(TOP);
        let row = |(names, spend): Spend| {
            let names = names.into_iter().map(|name| name.map_or(Value::None, Value::Text));
            names.chain([Value::Dollars(spend), share(spend, facts.spend())]).collect()
        };
        let rows = spends.into_iter().take(TOP).map(row).collect();
        let names = columns.len();
        let columns = columns.iter().copied().chain([("cost_usd", "spend"), ("share", "share")]).collect();
        Section { id, name, columns, names, rows, more }
    };
    let agents =
        spends(&facts.agents.lines).into_iter().filter(|(names, _)| names.first().is_some_and(Option::is_some));
    vec![
        table("repositories", "Repositories", &[("repository", "repository")], repositories(facts), 0),
        table(
            "branches",
            "Branches",
            &[("repository", "repository"), ("branch", "branch")],
            spends(&facts.branches.lines),
            0,
        ),
        table("models", "Models", &[("model", "model")], spends(&facts.models.lines), 0),
        table("agents", "Subagents", &[("agent", "subagent")], agents.collect(), 0),
        table(
            "sessions",
            "Sessions",
            &[("session", "session"), ("project", "project")],
            spends(&facts.dearest.lines),
            facts.dearest.lines.len() + facts.dearest.more,
        ),
    ]
}
