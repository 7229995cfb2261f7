//! A real `VictoriaLogs` has Claude Code's events, and the board of events shows what the ledger has.

mod stack;

use crate::support::boards::{panels, read, sum};
use crate::support::prometheus::same;
use crate::support::victorialogs::VictoriaLogs;
use crate::support::work::{client, work};

const REQUESTS: &str = r#"service.name:="claude-code" event.name:=api_request | stats count() requests"#;

#[test]
#[ignore = "needs TEST_VICTORIALOGS and the real Claude Code; scripts/test.sh runs it"]
fn the_board_of_events_shows_what_the_ledger_has() {
    let (logs, client) = (VictoriaLogs::start(), client());
    client.profile(
        "team",
        format!(
            "extends = \"victorialogs\"\n[vars]\nvictorialogs_url = \"{}\"\n[team]\nid = \"platform\"\n\
             [cardinality]\nrepository = true\n[destination.victorialogs]\nbatch = \"1ms\"\n",
            logs.url()
        ),
    );
    work(&client, &["-p", "team"]);
    client.wait_for_end();
    assert!(client.queue().is_empty(), "{:?} {}", client.queue(), logs.said());
    let report = client.report();
    let total = |name: &str| report["total"][name].as_f64().unwrap();
    logs.flush();

    let rows = client.report_by("session");
    let answered = rows.iter().filter(|row| row["requests"].as_u64() > Some(0)).count();
    let sessions = f64::from(u32::try_from(answered).unwrap());
    let failed = total("errors") / (total("requests") + total("errors"));
    let expected = [
        ("Spend", total("cost_usd")),
        ("Requests", total("requests")),
        ("Prompts", total("prompts")),
        ("Sessions", sessions),
        ("Active people", 1.0),
        ("Failed requests", failed),
        ("Spend by model", total("cost_usd")),
        ("Spend by project", total("cost_usd")),
        ("Spend by agent", total("cost_usd")),
        ("Errors", total("errors")),
        ("Tool calls", total("tool_successes") + total("tool_failures")),
        ("Failed tool calls", total("tool_failures")),
        ("Asked share", 0.0),
        ("Sessions through ccrun", 1.0),
        ("Sessions by profile", sessions),
    ];
    assert!(total("errors") > 0.0 && total("tool_failures") > 0.0, "{report}");
    for panel in panels(&read("grafana/events.json")) {
        for (query, kind) in &panel.queries {
            let found = match kind.as_str() {
                "stats" => sum(&logs.stats(query)),
                "statsRange" => sum(&logs.stats_range(query)),
                _ => {
                    let rows = logs.rows(query);
                    assert!(!rows.is_empty(), "{} is empty: {query}", panel.title);
                    continue;
                }
            };
            if let Some((_, expected)) = expected.iter().find(|(title, _)| *title == panel.title) {
                assert!(same(found, *expected), "{}: {found}, expected {expected}: {query}", panel.title);
            }
        }
    }
    has_few_streams(&logs);
    projects_are_directories(&logs);
}

/// The resource has the directory's name under the attribute with which an event names the remote repository, and
/// `VictoriaLogs` keeps the resource's.
fn projects_are_directories(logs: &VictoriaLogs) {
    let panels = panels(&read("grafana/events.json"));
    let panel = panels.iter().find(|panel| panel.title == "Spend by project").unwrap();
    let found = logs.stats(&panel.queries[0].0);
    let names: Vec<_> = found.iter().map(|series| &*series.labels["vcs.repository.name"]).collect();
    assert_eq!(names, ["project"]);
}

/// Checks that the streams are profiles, and not sessions.
fn has_few_streams(logs: &VictoriaLogs) {
    let rows = logs.rows("* | stats by (_stream) count() events");
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(rows[0]["_stream"], r#"{ccrun.profile="team"}"#);
}

/// Every attribute of the resource is a stream field then, and Claude Code repeats those of the team on each event.
#[test]
#[ignore = "needs TEST_VICTORIALOGS and the real Claude Code; scripts/test.sh runs it"]
fn events_also_arrive_by_the_profile_of_all_three_programs() {
    let (logs, client) = (VictoriaLogs::start(), client());
    client.profile(
        "team",
        format!(
            "extends = \"victoriametrics\"\nunset = [\"destination.victoriametrics\", \
             \"destination.victoriatraces\"]\n[vars]\nvictorialogs_url = \"{}\"\n[team]\nid = \"platform\"\n\
             [destination.victorialogs]\nbatch = \"1ms\"\n",
            logs.url()
        ),
    );
    assert!(client.ask(&["-p", "team"], "a question").status.success());
    client.wait_for_end();
    assert!(client.queue().is_empty(), "{:?} {}", client.queue(), logs.said());
    let requests = client.report()["total"]["requests"].as_f64().unwrap();
    logs.flush();
    assert!(same(logs.value(REQUESTS), requests));
}
