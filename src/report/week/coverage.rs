//! The line about how much the page knows.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::facts::{Facts, TOP};
use super::line::{Figure, Line, Quantity, Section, Value};
use crate::report::Coverage;
use crate::usage::Measure;

/// "Coverage: sessions in the ledger ÷ known sessions; last seen; versions; first line under 95 %."
pub(super) fn coverage(facts: &Facts, coverage: Option<Coverage>) -> Line {
    let value = coverage.map_or(Value::None, |coverage| Value::Share(coverage.share()));
    let mut figure = Figure::new("coverage", "Coverage", value);
    let mut caveats = Vec::new();
    match coverage {
        Some(Coverage { known, all }) => {
            figure = figure.of(Quantity::new(Value::count(known), "sessions in the ledger"));
            figure = figure.by(Quantity::new(Value::count(all), "sessions in Claude Code's own files"));
            caveats.push("of this machine's sessions".to_owned());
        }
        None => caveats.push("Claude Code's own files list no matching session".to_owned()),
    }
    let seen = facts.total.span.map(|(_, last)| {
        let last = Timestamp::from_millisecond(last).unwrap_or_default().min(facts.period.now.timestamp());
        facts.period.now.time_zone().to_datetime(last).strftime("%Y-%m-%d %H:%M").to_string()
    });
    Line {
        figure,
        beside: vec![
            Figure::new("last_seen", "last seen", seen.map_or(Value::None, Value::Text)),
            Figure::new("machines", "machines", Value::count(machines(facts).len())),
            Figure::new("versions", "versions", Value::count(versions(facts).count())),
        ],
        source: "the names of transcripts; contexts of requests",
        caveats,
    }
}

/// The last day of each machine in the window, the first to be seen last first.
fn machines(facts: &Facts) -> Vec<(String, String)> {
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for line in &facts.machines.lines {
        if let [Some(machine), Some(day)] = &line.keys[..] {
            let seen = last.entry(machine).or_insert(day);
            *seen = (*seen).max(day);
        }
    }
    let mut machines: Vec<_> = last.into_iter().map(|(name, day)| (name.to_owned(), day.to_owned())).collect();
    machines.sort_by(|one, other| (&one.1, &one.0).cmp(&(&other.1, &other.0)));
    machines
}

/// The versions of Claude Code, with their lines.
fn versions(facts: &Facts) -> impl Iterator<Item = (&str, &crate::report::Line)> {
    facts.versions.lines.iter().filter_map(|line| Some((line.keys.first()?.as_deref()?, line)))
}

/// When each machine was last seen, and the versions.
pub(super) fn sections(facts: &Facts) -> Vec<Section> {
    let machines = machines(facts);
    let text = |text: &str| Value::Text(text.to_owned());
    let machine_rows = machines.iter().take(TOP).map(|(name, day)| vec![text(name), text(day)]).collect();
    let all: Vec<_> = versions(facts).collect();
    let version_row = |(name, line): &(&str, &crate::report::Line)| {
        vec![text(name), Value::Count(line.sessions), Value::Count(line.amount(Measure::Requests))]
    };
    vec![
        Section {
            id: "machines",
            name: "Machines, the longest unseen first",
            columns: vec![("machine", "machine"), ("last_seen", "last seen")],
            names: 2,
            rows: machine_rows,
            more: machines.len().saturating_sub(TOP),
        },
        Section {
            id: "versions",
            name: "Versions of Claude Code",
            columns: vec![("version", "version"), ("sessions", "sessions"), ("requests", "requests")],
            names: 1,
            rows: all.iter().take(TOP).map(version_row).collect(),
            more: all.len().saturating_sub(TOP),
        },
    ]
}
