//! Where a session's cost comes from, and how its sources differ.

use rusqlite::Connection;

use crate::ledger::cost::Whole;
use crate::ledger::{gauge, told};
use crate::report::numbers::dollars;
use crate::report::story::{Sources, Story};

/// The maximum difference between sums of the same requests, in billionths of a dollar. The client rounds each request.
const ROUNDING: i64 = 1000;

/// Adds the cost that each source reports to a session's story, and the name of each difference. `imported` is the cost
/// that transcripts report, and the number of those requests.
pub(super) fn reconcile(
    connection: &Connection,
    session: i64,
    imported: (i64, i64),
    story: &mut Story,
) -> rusqlite::Result<()> {
    let [of_facts, metrics] = told(connection, session)?;
    let whole = crate::ledger::cost::whole(connection, session)?;
    let events = of_facts - imported.0;
    let status_line = gauge(connection, &story.session)?.and_then(|gauge| gauge.total);
    let client = whole.as_ref().and_then(|whole| whole.cost);
    story.sources = Sources { events, metrics, transcript: imported.0, client, status_line };
    let began = start(connection, session)?;
    story.differences = differences(&story.sources, imported.1, whole.as_ref(), began.as_deref());
    Ok(())
}

/// How the session began, as reported by the client.
fn start(connection: &Connection, session: i64) -> rusqlite::Result<Option<String>> {
    use rusqlite::OptionalExtension;

    let mut find =
        connection.prepare_cached("SELECT t.text FROM start s JOIN text t ON t.id = s.type WHERE s.session = ?1")?;
    find.query_row([session], |row| row.get(0)).optional()
}

/// A name and an explanation for each difference.
fn differences(sources: &Sources, imported: i64, whole: Option<&Whole>, start: Option<&str>) -> Vec<String> {
    let mut names = Vec::new();
    let Sources { events, metrics, transcript, client, status_line } = *sources;
    let known = events + transcript;
    if imported > 0 {
        let requests = if imported == 1 { "1 request is" } else { &format!("{imported} requests are") };
        names.push(format!("import: {requests} known from the transcript alone"));
    }
    if metrics > known + ROUNDING {
        names.push(if events == 0 {
            "metrics only: no events came, so requests and prompts are not known".to_owned()
        } else {
            format!("unexplained: metrics tell {} more than events", dollars(metrics - known))
        });
    }
    let Some(whole) = whole else {
        // The last request may have come after the last status line, so only more is a difference.
        let more = status_line.unwrap_or_default() - known.max(metrics);
        if more > ROUNDING {
            names.push(match start {
                Some("resume") => resumed(more),
                _ => format!("unexplained: the status line's total is {} more", dollars(more)),
            });
        }
        return names;
    };
    if whole.is_guessed {
        names.push("unknown model: its price is the client's guess".to_owned());
    }
    if whole.copied > 0 {
        let inexact = if whole.is_inexact { ", by estimate, as the parent is not known" } else { "" };
        names.push(format!("fork: {} of the client's total are its parent's{inexact}", dollars(whole.copied)));
    }
    if whole.is_killed {
        names.push("killed: the client noted no total after its last requests".to_owned());
    }
    let Some(client) = client else { return names };
    let known = known.max(metrics);
    if (client - known).abs() <= ROUNDING {
        return names;
    }
    let (more, less) = (dollars((client - known).abs()), client < known);
    match start {
        _ if less && whole.is_killed => {}
        Some("resume") if !less => names.push(resumed((client - known).abs())),
        _ if less => names.push(format!("unexplained: the client's total is {more} less")),
        _ => names.push(format!("unexplained: the client's total is {more} more")),
    }
    names
}

fn resumed(more: i64) -> String {
    format!("resumed from before: the client counts {} that were used before", dollars(more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_session_is_compared_with_its_status_line() {
        let named = |status_line: i64, start: &str| {
            let sources =
                Sources { events: 2_000_000, metrics: 0, transcript: 0, client: None, status_line: Some(status_line) };
            differences(&sources, 0, None, Some(start)).join(" ")
        };
        assert_eq!((named(2_000_900, "fresh"), named(1, "fresh")), (String::new(), String::new()));
        assert!(named(3_000_000, "fresh").starts_with("unexplained: the status line's total is $0.0010 more"));
        assert!(named(3_000_000, "resume").starts_with("resumed from before: "));
    }

    fn named(sources: [i64; 4], imported: i64, whole: &Whole, start: Option<&str>) -> Vec<String> {
        let [events, metrics, transcript, client] = sources.map(|dollars| dollars * 1_000_000_000);
        let sources = Sources { events, metrics, transcript, client: Some(client), status_line: None };
        let named = differences(&sources, imported, Some(whole), start);
        named.into_iter().map(|line| line.split(':').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn each_difference_between_events_and_metrics_is_named() {
        let whole = Whole::default();
        assert!(named([2, 2, 0, 2], 0, &whole, Some("fresh")).is_empty());
        assert_eq!(named([0, 0, 2, 2], 3, &whole, None), ["import"]);
        assert_eq!(named([0, 2, 0, 2], 0, &whole, Some("fresh")), ["metrics only"]);
        assert_eq!(named([1, 1, 0, 3], 0, &whole, Some("resume")), ["resumed from before"]);
        assert_eq!(named([1, 1, 0, 3], 0, &whole, Some("fresh")), ["unexplained"]);
        assert_eq!(named([3, 3, 0, 1], 0, &whole, Some("fresh")), ["unexplained"]);
        let killed = Whole { is_killed: true, ..whole.clone() };
        assert_eq!(named([3, 3, 0, 1], 0, &killed, None), ["killed"]);
        let fork = Whole { copied: 1, is_guessed: true, ..whole };
        assert_eq!(named([2, 2, 0, 2], 0, &fork, None), ["unknown model", "fork"]);
    }
}
