use jiff::tz::TimeZone;
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality::Delta;
use rusqlite::Connection;

use super::*;
use crate::ledger::tests::{asked, measured, origin, take};
use crate::ledger::{Origin, empty};
use crate::otlp::Signal;
use crate::report::{Condition, Range};
use crate::usage::Measure;
use crate::usage::samples::*;

const OPUS: &str = "claude-opus-5-5";
const HOUR: u64 = 3_600_000;

/// Two projects, three sessions, five hours, two models.
pub(crate) fn ledger() -> Connection {
    let ledger = empty().unwrap();
    let a = Origin { project: "/home/me/api", branch: "main", team: "platform", ..origin("one") };
    let b = Origin { project: "/home/me/web", branch: "new", profile: "team", ..origin("two") };
    take(&ledger, &a, &[asked("session-a", 1, 0, OPUS), asked("session-a", 2, HOUR, "claude-haiku-5")]);
    take(&ledger, &b, &[asked("session-b", 1, 2 * HOUR, OPUS), asked("session-c", 1, 5 * HOUR, OPUS)]);
    let tools = [("Bash", "true"), ("Bash", "false"), ("mcp__git__log", "true")].into_iter().enumerate();
    let tools = tools.map(|(number, (name, success))| {
        let own = vec![
            text("tool_name", name),
            text("success", success),
            text("prompt.id", "prompt-1"),
            text("duration_ms", "40"),
        ];
        event("session-a", 20 + i64::try_from(number).unwrap(), 10 + u64::try_from(number).unwrap(), "tool_result", own)
    });
    let prompt = event("session-a", 30, 1, "user_prompt", vec![text("prompt.id", "prompt-1"), int("prompt_length", 6)]);
    take(&ledger, &a, &[(Signal::Logs, logs(tools.chain([prompt]).collect()))]);
    ledger
}

fn ask(connection: &Connection, by: &str, filter: &[&str], change: impl FnOnce(&mut Query)) -> Table {
    let mut query = Query::new(TimeZone::UTC);
    query.by = by.split(',').filter(|name| !name.is_empty()).map(|name| name.parse().unwrap()).collect();
    query.filter = filter.iter().map(|text| text.parse::<Condition>().unwrap()).collect();
    change(&mut query);
    LedgerSource::new(connection).unwrap().answer(&query).unwrap()
}

fn requests(table: &Table) -> Vec<(String, i64)> {
    let keys =
        |line: &Line| line.keys.iter().map(|key| key.clone().unwrap_or("-".into())).collect::<Vec<_>>().join(" ");
    table.lines.iter().map(|line| (keys(line), line.amount(Measure::Requests))).collect()
}

fn named(rows: &[(&str, i64)]) -> Vec<(String, i64)> {
    rows.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn rows_are_grouped_by_one_or_two_dimensions() {
    let ledger = ledger();
    let by = |by| requests(&ask(&ledger, by, &[], |_| {}));
    assert_eq!(by("project"), named(&[("/home/me/api", 2), ("/home/me/web", 2)]));
    assert_eq!(
        by("branch,model"),
        named(&[("new claude-opus-5-5", 2), ("main claude-opus-5-5", 1), ("main claude-haiku-5", 1)])
    );
    assert_eq!(
        by("hour"),
        named(&[("2026-11-20T09", 1), ("2026-11-20T10", 1), ("2026-11-20T11", 1), ("2026-11-20T14", 1)])
    );
    assert_eq!(by("day,weekday"), named(&[("2026-11-20 5", 4)]));
    assert_eq!(by("week,month"), named(&[("2026-W47 2026-11", 4)]));
    assert_eq!(by("team"), named(&[("platform", 2), ("-", 2)]));
    assert_eq!(by("profile"), named(&[("local", 2), ("team", 2)]));
    assert_eq!(by("source,person"), named(&[("sdk me", 4)]));
    assert_eq!(by("status"), named(&[("ok", 4)]));
    assert_eq!(by("session"), named(&[("session-a", 2), ("session-b", 1), ("session-c", 1)]));
}

#[test]
fn every_dimension_adds_up_to_the_total() {
    let ledger = ledger();
    for dimension in Dimension::all().filter(|dimension| !dimension.is_of_tools()) {
        let table = ask(&ledger, dimension.name(), &[], |_| {});
        assert_eq!(table.total.sessions, 3, "{}", dimension.name());
        for measure in [Measure::Requests, Measure::Cost, Measure::CacheReadTokens] {
            let sum: i64 = table.lines.iter().map(|line| line.amount(measure)).sum();
            assert_eq!(sum, table.total.amount(measure), "{} {measure:?}", dimension.name());
        }
    }
}

#[test]
fn tools_are_counted_by_tool_and_server_without_a_model() {
    let ledger = ledger();
    let table = ask(&ledger, "tool", &["project=api"], |_| {});
    let runs = |line: &Line| [Measure::ToolSuccesses, Measure::ToolFailures, Measure::ToolTime].map(|m| line.amount(m));
    let found: Vec<_> = table.lines.iter().map(|line| (line.keys[0].as_deref().unwrap(), runs(line))).collect();
    assert_eq!(found, [("Bash", [1, 1, 80]), ("mcp__git__log", [1, 0, 40])]);
    assert_eq!(ask(&ledger, "mcp", &["mcp=git"], |_| {}).lines.len(), 1);
    let mut query = Query::new(TimeZone::UTC);
    query.by = vec![Dimension::Tool, Dimension::Model];
    let error = LedgerSource::new(&ledger).unwrap().answer(&query).unwrap_err();
    assert!(error.to_string().contains("`tool` and `model` do not go together"));
}

#[test]
fn conditions_are_alternatives_within_a_dimension() {
    let ledger = ledger();
    let count = |filter: &[&str]| ask(&ledger, "", filter, |_| {}).total.amount(Measure::Requests);
    assert_eq!(count(&["project=api"]), 2);
    assert_eq!(count(&["project=api", "project=web"]), 4);
    assert_eq!(count(&["project=api", "model=haiku"]), 1);
    assert_eq!(count(&["model=opus", "branch=new"]), 2);
    assert_eq!(count(&["team=none"]), 2);
    assert_eq!(count(&["project~ap"]), 2);
    assert_eq!(count(&["session=session-b"]), 1);
    assert_eq!(count(&["hour=2026-11-20T10"]), 1);
    assert_eq!(count(&["source=sdk", "effort=none"]), 4);
    assert_eq!(count(&["model=opsu"]), 0);
}

#[test]
fn a_range_is_exact_to_the_millisecond() {
    let ledger = ledger();
    let nine = morning().as_millisecond();
    let count = |since: Option<i64>, until: Option<i64>| {
        let range = Range { since: since.map(|at| nine + at), until: until.map(|at| nine + at) };
        let table = ask(&ledger, "project", &[], |query| query.range = range);
        (table.total.amount(Measure::Requests), table.total.amount(Measure::ToolSuccesses))
    };
    let hour = i64::try_from(HOUR).unwrap();
    assert_eq!(count(None, None), (4, 2));
    assert_eq!(count(Some(0), None), (4, 2));
    assert_eq!(count(Some(1), None), (3, 2));
    assert_eq!(count(Some(11), Some(13)), (0, 1), "a range within a quarter of an hour");
    assert_eq!(count(Some(1), Some(2 * hour)), (1, 2));
    assert_eq!(count(Some(1), Some(2 * hour + 1)), (2, 2));
}

#[test]
fn the_larger_of_events_and_metrics_counts_by_session_and_model() {
    let ledger = empty().unwrap();
    let output = |ledger: &Connection| {
        let table = ask(ledger, "session", &[], |_| {});
        (table.total.amount(Measure::OutputTokens), table.total.amount(Measure::Cost), table.notes.join("; "))
    };
    take(&ledger, &origin("one"), &[asked("c", 1, 5, OPUS), measured("c", [0, 9], Delta)]);
    let (tokens, cost, notes) = output(&ledger);
    assert_eq!((tokens, cost), (12, 7_659_800));
    assert!(!notes.contains("metrics"), "{notes}");
    take(&ledger, &origin("one"), &[measured("c", [9, 18], Delta)]);
    let (tokens, cost, notes) = output(&ledger);
    assert_eq!((tokens, cost), (24, 15_319_600));
    assert!(notes.contains("metrics tell more than events of 1 session"), "{notes}");
    take(&ledger, &origin("one"), &[measured("only-metrics", [0, 9], Delta)]);
    let table = ask(&ledger, "prompt", &[], |_| {});
    assert_eq!(table.total.amount(Measure::OutputTokens), 36);
    assert_eq!(table.total.sessions, 2);
}

#[test]
fn days_follow_the_readers_time_zone() {
    let ledger = empty().unwrap();
    take(&ledger, &origin("one"), &[asked("c", 1, 0, OPUS), asked("c", 2, 15 * HOUR - 1, OPUS)]);
    for (offset, days) in [(0, 1), (1, 2), (-10, 2)] {
        let table = ask(&ledger, "day", &[], |query| query.zone = TimeZone::fixed(jiff::tz::offset(offset)));
        assert_eq!(table.lines.len(), days, "{offset}");
        assert_eq!(table.total.amount(Measure::Requests), 2);
    }
}

#[test]
fn acceptance_counts_only_decisions_by_a_person() {
    let ledger = empty().unwrap();
    let decided = |number, decision: &str, source: &str, tool: &str| {
        let own = vec![text("tool_name", tool), text("decision", decision), text("source", source)];
        event("c", number, 1, "tool_decision", own)
    };
    let records = vec![
        decided(0, "accept", "config", "Edit"),
        decided(1, "accept", "user_temporary", "Edit"),
        decided(2, "reject", "user_reject", "Write"),
        decided(3, "accept", "user_permanent", "Bash"),
    ];
    take(&ledger, &origin("one"), &[(Signal::Logs, logs(records))]);
    let total = ask(&ledger, "", &[], |_| {}).total;
    let edits = [Measure::EditsAccepted, Measure::EditsRejected, Measure::EditsAutomatic];
    assert_eq!(edits.map(|measure| total.amount(measure)), [1, 1, 1]);
}

#[test]
fn rows_are_sorted_and_limited() {
    let ledger = ledger();
    let table = ask(&ledger, "session", &[], |query| query.top = Some(1));
    assert_eq!((requests(&table), table.more, table.total.sessions), (named(&[("session-a", 2)]), 2, 3));
    let table = ask(&ledger, "hour", &[], |query| query.sort = "sessions".parse().ok());
    assert_eq!(table.lines.len(), 4);
}

#[test]
fn both_ids_of_a_session_show_its_steps() {
    let ledger = ledger();
    for id in ["session-a", "one"] {
        let [story] = &session(&ledger, id).unwrap()[..] else { panic!("one session") };
        let steps: Vec<_> =
            story.steps.iter().map(|step| (step.what.as_str(), step.outcome.as_deref().unwrap())).collect();
        assert_eq!(steps[..3], [("request", "ok"), ("prompt", "6 characters"), ("tool", "ok")]);
        assert_eq!((steps.len(), story.total.amount(Measure::Requests)), (6, 2));
        assert!(story.about.contains(&("branch", "main".to_owned())));
    }
    assert_eq!(session(&ledger, "session").unwrap().len(), 3);
    assert!(session(&ledger, "nothing").unwrap().is_empty());
    let [story] = &prompt(&ledger, "prompt-1").unwrap()[..] else { panic!("one prompt") };
    assert_eq!(story.steps.len(), 4);
}

#[test]
fn the_nearest_values_are_suggested() {
    let ledger = ledger();
    let source = LedgerSource::new(&ledger).unwrap();
    let filter = ["project=aip".parse().unwrap()];
    let said = crate::report::suggestions(&source, &filter).unwrap();
    assert_eq!(said, ["project: there is /home/me/api, /home/me/web"]);
}
