//! The lines about the work: cache, edits, pull requests, commits, failures.

use super::facts::{Facts, TOP, cache, sum};
use super::line::{Figure, Line, Quantity, Section, Value, share};
use crate::usage::Measure;

/// From how many decisions on the share of accepted edits is shown.
const DECIDED: i64 = 20;

/// "Cache reuse: cache read ÷ (input + cache read + cache written); by person median and worst."
pub(super) fn cache_reuse(facts: &Facts, shows_persons: bool) -> Line {
    let (read, sent, share) = cache(&facts.total.total);
    let mut by_person: Vec<f64> = facts.people.totals().iter().filter_map(|(_, line)| cache(line).2).collect();
    by_person.sort_unstable_by(f64::total_cmp);
    let mut line = Line {
        figure: Figure::new("cache_reuse", "Cache reuse", share.map_or(Value::None, Value::Share))
            .of(Quantity::new(Value::Count(read), "tokens read from the cache"))
            .by(Quantity::new(Value::Count(sent), "tokens sent")),
        source: "requests",
        caveats: vec!["people and automation; by person without automation".to_owned()],
        ..Line::default()
    };
    if let (true, Some(worst), Some(median)) = (shows_persons, by_person.first(), middle(&by_person)) {
        line.beside = vec![
            Figure::new("median", "median by person", Value::Share(median)),
            Figure::new("worst", "worst", Value::Share(*worst)),
        ];
    }
    line
}

/// The median of sorted shares.
fn middle(shares: &[f64]) -> Option<f64> {
    let upper = *shares.get(shares.len() / 2)?;
    let lower = if shares.len().is_multiple_of(2) { shares[shares.len() / 2 - 1] } else { upper };
    Some(f64::midpoint(lower, upper))
}

/// "Edits accepted when asked: user accepted ÷ (user accepted + rejected), with n and the share asked; from n = 20."
pub(super) fn edits(facts: &Facts) -> Line {
    let of = |measure| sum(&facts.sessions, measure);
    let (accepted, rejected) = (of(Measure::EditsAccepted), of(Measure::EditsRejected));
    let (asked, all) = (accepted + rejected, accepted + rejected + of(Measure::EditsAutomatic));
    let mut caveats = vec!["without automation".to_owned()];
    if asked < DECIDED {
        caveats.push(format!("from n = {DECIDED} on"));
    }
    Line {
        figure: Figure::new(
            "edits_accepted",
            "Edits accepted when asked",
            if asked < DECIDED { Value::None } else { share(accepted, asked) },
        )
        .of(Quantity::new(Value::Count(accepted), "edits accepted by a person"))
        .by(Quantity::new(Value::Count(asked), "edits that a person was asked about (n)")),
        beside: vec![
            Figure::new("asked", "share asked", share(asked, all))
                .of(Quantity::new(Value::Count(asked), "edits that a person was asked about"))
                .by(Quantity::new(Value::Count(all), "edits")),
        ],
        source: "decisions on tools",
        caveats,
    }
}

/// "Pull requests opened: Σ, spend per one; beside it spend on branches without one (opened, not merged)."
pub(super) fn pull_requests(facts: &Facts) -> Line {
    let (opened, spend) = (facts.amount(Measure::PullRequests), facts.spend());
    let without = facts.branches.lines.iter().filter(|line| line.amount(Measure::PullRequests) == 0);
    let (unknown, known): (Vec<_>, Vec<_>) = without.partition(|line| line.keys.last() == Some(&None));
    let (without, unknown) = (sum(known, Measure::Cost), sum(unknown, Measure::Cost));
    let mut caveats = vec!["opened, not merged".to_owned(), "a branch like main never has one".to_owned()];
    if unknown > 0 {
        let unknown = crate::report::numbers::dollars(unknown);
        caveats.push(format!("{unknown} on no known branch are not counted"));
    }
    let each = if opened > 0 { Value::Dollars(spend / opened) } else { Value::None };
    let dollars = |amount, of| Quantity::new(Value::Dollars(amount), of);
    Line {
        figure: Figure::new("pull_requests", "Pull requests opened", Value::Count(opened))
            .of(Quantity::new(Value::Count(opened), "pull requests opened")),
        beside: vec![
            Figure::new("spend_per_pull_request", "spend per one", each)
                .of(dollars(spend, "spend"))
                .by(Quantity::new(Value::Count(opened), "pull requests")),
            Figure::new("spend_without", "on branches without one", Value::Dollars(without))
                .of(dollars(without, "spend on branches without a pull request")),
        ],
        source: "the metric pull_request.count; requests by branch",
        caveats,
    }
}

/// "Commit commands, lines: Σ, as volume."
pub(super) fn volume(facts: &Facts) -> Line {
    let [commits, added, removed] =
        [Measure::Commits, Measure::LinesAdded, Measure::LinesRemoved].map(|measure| facts.amount(measure));
    Line {
        figure: Figure::new("commits", "Commit commands, lines", Value::Count(commits))
            .of(Quantity::new(Value::Count(commits), "commit commands")),
        beside: vec![
            Figure::new("lines_added", "lines added", Value::Count(added)),
            Figure::new("lines_removed", "lines removed", Value::Count(removed)),
        ],
        source: "the metrics commit.count and lines_of_code.count",
        caveats: vec!["volume, not value".to_owned(), "people and automation".to_owned()],
    }
}

/// "Failures: final API errors ÷ requests; tool failures ÷ calls, by tool." Requests are those that were answered or
/// failed.
pub(super) fn failures(facts: &Facts) -> Line {
    let [errors, answered, failed, succeeded] =
        [Measure::Errors, Measure::Requests, Measure::ToolFailures, Measure::ToolSuccesses]
            .map(|measure| facts.amount(measure));
    let (requests, calls) = (errors.saturating_add(answered), failed.saturating_add(succeeded));
    let count = |count, of| Quantity::new(Value::Count(count), of);
    Line {
        figure: Figure::new("failures", "Failures", share(errors, requests))
            .of(count(errors, "final API errors"))
            .by(count(requests, "requests")),
        beside: vec![
            Figure::new("tools", "of tool calls", share(failed, calls))
                .of(count(failed, "failed tool calls"))
                .by(count(calls, "tool calls")),
        ],
        source: "requests and tool calls",
        caveats: vec!["an error healed by a retry is not counted".to_owned(), "people and automation".to_owned()],
    }
}

/// The tools that failed most often.
pub(super) fn tools(facts: &Facts) -> Section {
    let mut tools: Vec<_> = facts
        .tools
        .lines
        .iter()
        .map(|line| (line, line.amount(Measure::ToolFailures)))
        .filter(|(_, failed)| *failed > 0)
        .collect();
    tools.sort_by_key(|(_, failed)| std::cmp::Reverse(*failed));
    let more = tools.len().saturating_sub(TOP);
    let row = |(line, failed): (&crate::report::Line, i64)| {
        let calls = line.amount(Measure::ToolSuccesses).saturating_add(failed);
        let name = line.keys.first().cloned().flatten();
        vec![name.map_or(Value::None, Value::Text), share(failed, calls), Value::Count(failed), Value::Count(calls)]
    };
    let columns = vec![("tool", "tool"), ("share", "failed"), ("failures", "failures"), ("calls", "calls")];
    let rows = tools.into_iter().take(TOP).map(row).collect();
    Section { id: "tools", name: "Failures by tool", columns, names: 1, rows, more }
}
