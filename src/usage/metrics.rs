//! Usage from Claude Code's metrics, which are sums.

use jiff::Timestamp;

use super::attributes::{Attributes, BILLION, identity, timestamp, whole};
use super::events::decision;
use super::fact::{Identity, Measure, Source, Usage};
use super::view::{Point, Sum, records};

/// What the metrics of a request say was used.
pub(super) fn usage(request: &[u8], received: Timestamp) -> impl Iterator<Item = Usage> {
    let sums = records(request).filter_map(Sum::of_metric);
    sums.flat_map(move |sum| sum.points().filter_map(move |point| of_point(sum, &point, received)))
}

fn of_point(sum: Sum<'_>, point: &Point<'_>, received: Timestamp) -> Option<Usage> {
    let attributes = &point.attributes;
    let (measure, scale, names) = measured(sum.name, attributes)?;
    let amount = whole(point.number? * scale);
    (amount > 0).then(|| Usage {
        identity: identity_of(sum, point),
        source: Source::Metric,
        client: attributes.short_text(&["session.id"]),
        name: attributes.short_text(names),
        at: timestamp(point.time).unwrap_or(received),
        amounts: vec![(measure, amount)],
        cumulative: sum.is_cumulative,
    })
}

/// Where a point names its model, and where its tool: older versions say `tool`.
const MODEL: &[&str] = &["model"];
const TOOL: &[&str] = &["tool_name", "tool"];

/// What a metric measures, how many of the ledger's units one of its own is, and which attributes name what it was for.
fn measured(metric: &str, attributes: &Attributes<'_>) -> Option<(Measure, f64, &'static [&'static str])> {
    let kind = attributes.text(&["type"]).unwrap_or_default();
    let decided = || decision(attributes.text(&["decision", "decision_type"])?);
    Some(match (metric.strip_prefix("claude_code.")?, kind) {
        ("token.usage", "input") => (Measure::InputTokens, 1.0, MODEL),
        ("token.usage", "output") => (Measure::OutputTokens, 1.0, MODEL),
        ("token.usage", "cacheRead") => (Measure::CacheReadTokens, 1.0, MODEL),
        ("token.usage", "cacheCreation") => (Measure::CacheCreationTokens, 1.0, MODEL),
        ("cost.usage", _) => (Measure::Cost, BILLION, MODEL),
        ("active_time.total", "user") => (Measure::ActiveUser, 1000.0, &[]),
        ("active_time.total", "cli") => (Measure::ActiveCli, 1000.0, &[]),
        ("lines_of_code.count", "added") => (Measure::LinesAdded, 1.0, &[]),
        ("lines_of_code.count", "removed") => (Measure::LinesRemoved, 1.0, &[]),
        ("commit.count", _) => (Measure::Commits, 1.0, &[]),
        ("pull_request.count", _) => (Measure::PullRequests, 1.0, &[]),
        ("session.count", _) => (Measure::SessionStarts, 1.0, &[]),
        ("code_edit_tool.decision", _) => (decided()?, 1.0, TOOL),
        _ => return None,
    })
}

/// A delta is told by its attributes, its two times and its value. A cumulative series goes by attributes and start
/// alone: its next point says more of the same, and one that starts anew has another start.
fn identity_of(sum: Sum<'_>, point: &Point<'_>) -> Identity {
    let (start, at) = (point.start_time.to_le_bytes(), point.time.to_le_bytes());
    let value = point.number.unwrap_or_default().to_le_bytes();
    let mut parts = if sum.is_cumulative {
        vec![&b"series"[..], sum.name.as_bytes(), &start]
    } else {
        vec![&b"delta"[..], sum.name.as_bytes(), &start, &at, &value]
    };
    parts.extend(point.attributes.sorted());
    identity(if sum.is_cumulative { point.start_time } else { point.time }, 0, &parts)
}
