//! Facts from Claude Code's metrics, which are sums.

use super::attributes::{Attributes, BILLION, time};
use super::events::{accepted, kind};
use super::fact::{Counter, Extract, Fact, Identity, Kind, What, decided};
use super::identity::identity;
use super::measure::Measure;
use super::owner::owner;
use super::view::{Point, Sum, records};

/// Adds the facts in a request's metrics. `received` is in Unix milliseconds.
pub(super) fn extract<'a>(request: &'a [u8], received: i64, most: usize, extract: &mut Extract<'a>) {
    for (metric, resource) in records(request) {
        let Some(sum) = Sum::of_metric(metric) else { continue };
        for point in sum.points() {
            if extract.facts.len() >= most {
                return;
            }
            if let Some(what) = what(sum, &point) {
                let at = time(point.time, received).unwrap_or_else(|()| {
                    point.attributes.refuse();
                    None
                });
                let (identity, owner) = (identity_of(sum, &point), owner(&point.attributes, &resource));
                extract.facts.push(Fact { identity, at: at.unwrap_or(received), owner, prompt: "", what });
            }
            extract.refused += point.attributes.refused();
        }
    }
}

fn what<'a>(sum: Sum<'a>, point: &Point<'a>) -> Option<What<'a>> {
    let attributes = &point.attributes;
    let name = sum.name.strip_prefix("claude_code.")?;
    if name == "session.count" {
        return Some(What::Start(attributes.text(&["start_type"])));
    }
    let (measure, scale, named) = measured(name, attributes)?;
    let amount = attributes.checked(point.number?, scale);
    let is_tool = named == Named::Tool;
    let name = match named {
        Named::Model => attributes.text(&["model"]),
        Named::Tool => attributes.text(&["tool_name", "tool"]),
        Named::Nothing => "",
    };
    let kind = if named == Named::Nothing { Kind::default() } else { kind(attributes) };
    let is_cumulative = sum.is_cumulative;
    (amount > 0).then_some(What::Counter(Counter { name, is_tool, kind, measure, amount, is_cumulative }))
}

/// The attribute that names a metric's points, as far as the ledger keeps it.
#[derive(Clone, Copy, PartialEq)]
enum Named {
    Model,
    Tool,
    Nothing,
}

/// The measure of a metric, the number of ledger units in one of the metric's units, and the attribute that names its
/// points.
fn measured(metric: &str, attributes: &Attributes<'_>) -> Option<(Measure, f64, Named)> {
    use Named::{Model, Nothing, Tool};
    Some(match (metric, attributes.text(&["type"])) {
        ("token.usage", "input") => (Measure::InputTokens, 1.0, Model),
        ("token.usage", "output") => (Measure::OutputTokens, 1.0, Model),
        ("token.usage", "cacheRead") => (Measure::CacheReadTokens, 1.0, Model),
        ("token.usage", "cacheCreation") => (Measure::CacheCreationTokens, 1.0, Model),
        ("cost.usage", _) => (Measure::Cost, BILLION, Model),
        ("active_time.total", "user") => (Measure::ActiveUser, 1000.0, Nothing),
        ("active_time.total", "cli") => (Measure::ActiveCli, 1000.0, Nothing),
        ("lines_of_code.count", "added") => (Measure::LinesAdded, 1.0, Model),
        ("lines_of_code.count", "removed") => (Measure::LinesRemoved, 1.0, Model),
        ("commit.count", _) => (Measure::Commits, 1.0, Nothing),
        ("pull_request.count", _) => (Measure::PullRequests, 1.0, Nothing),
        ("code_edit_tool.decision", _) => {
            let accepted = accepted(attributes.text(&["decision", "decision_type"]))?;
            (decided(accepted, attributes.text(&["source", "decision_source"])), 1.0, Tool)
        }
        _ => return None,
    })
}

/// A delta is identified by its attributes, its two times and its value. A cumulative series is identified by its
/// attributes and start alone: its next point updates the same series, and a restarted series has another start.
fn identity_of(sum: Sum<'_>, point: &Point<'_>) -> Identity {
    let (start, at) = (point.start_time.to_le_bytes(), point.time.to_le_bytes());
    let value = point.number.unwrap_or_default().to_le_bytes();
    let mut parts = if sum.is_cumulative {
        vec![&b"series"[..], sum.name.as_bytes(), &start]
    } else {
        vec![&b"delta"[..], sum.name.as_bytes(), &start, &at, &value]
    };
    parts.extend(point.attributes.sorted());
    identity(&parts)
}
