//! The boards and alert rules with a real Prometheus that holds sessions of the real Claude Code.

use serde_json::Value;

use crate::support::boards::{metrics, panels, path, read, substituted, usage_agrees};
use crate::support::prometheus::{Prometheus, same};
use crate::support::sandbox::wait_until;
use crate::support::work::{SESSIONS, client, work};

/// The panels about edits that a person decided: print mode asks no person.
const EMPTY: [&str; 1] = ["Edits accepted when asked"];

#[test]
#[ignore = "needs TEST_PROMETHEUS and the real Claude Code; scripts/test.sh runs it"]
fn the_boards_show_what_the_ledger_has() {
    let stack = std::fs::read_to_string(path("../stack/prometheus.yml")).unwrap();
    let rules = path("alerts/ccrun.rules.yml").display().to_string();
    let configuration = stack.replace("../boards/alerts/ccrun.rules.yml", &rules);
    assert!(configuration.contains(&rules), "{configuration}");
    let (mut prometheus, client) = (Prometheus::start_with(&configuration), client());
    client.profile("team", profile(&prometheus, "[cardinality]\nrepository = true\n"));
    work(&client, &["-p", "team"]);
    client.wait_for_end();
    let sessions = "sum(claude_code_session_count_total)";
    prometheus.wait_for(sessions, f64::from(SESSIONS));
    usage_agrees(&prometheus, &client, &EMPTY);

    // After a restart, and with data that was held meanwhile.
    prometheus.stop();
    work(&client, &["-p", "team"]);
    client.wait_for_end();
    prometheus.restart();
    wait_until("all data to be delivered", || client.run(["queue", "flush"]).status.success());
    prometheus.wait_for(sessions, f64::from(2 * SESSIONS));
    usage_agrees(&prometheus, &client, &EMPTY);
    rules_work(&prometheus);
}

/// The shipped profile with short intervals and these keys.
pub(super) fn profile(prometheus: &Prometheus, keys: &str) -> String {
    format!(
        "extends = \"prometheus\"\n[vars]\nprometheus_url = \"{}\"\n[team]\nid = \"platform\"\n{keys}\
         [signals]\nmetric_interval = \"1s\"\n[destination.prometheus]\nbatch = \"1ms\"\n",
        prometheus.url()
    )
}

/// Checks that Prometheus evaluates each rule, and that it has the metrics in it.
fn rules_work(prometheus: &Prometheus) {
    let answer = prometheus.ask("/api/v1/rules");
    let groups = answer["data"]["groups"].as_array().unwrap();
    let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert_eq!(rules.len(), 10, "{rules:#?}");
    for rule in rules {
        let query = rule["query"].as_str().unwrap();
        prometheus.query(query, None);
        assert_ne!(rule["health"], "err", "{rule}");
        for metric in metrics(query).filter(|metric| metric.starts_with("claude_code_")) {
            assert!(!prometheus.query(metric, None).is_empty(), "{metric} in {query}");
        }
    }
}

/// What public boards ask, on ten sessions that Claude Code itself sends to Prometheus, as their guides set it up. Each
/// session is a series of its own, and a short one has a single sample.
#[test]
#[ignore = "needs TEST_PROMETHEUS and the real Claude Code; scripts/test.sh runs it"]
fn usual_queries_lose_short_sessions() {
    const RANGE: &str = "sum(increase(claude_code_cost_usage_USD_total[1h])) or vector(0)";
    // Other panels of claude-code-otel: sessions, tokens a minute, and requests by the number of changes.
    const ALSO: [&str; 3] = [
        "sum(increase(claude_code_session_count_total[1h]))",
        "sum(rate(claude_code_token_usage_tokens_total[5m]) * 60)",
        "sum(changes(claude_code_cost_usage_USD_total[5m]))",
    ];
    const SO_FAR: &str = "sum(claude_code_cost_usage_USD_total) or vector(0)";
    let (direct, totals) = (Prometheus::start(), Prometheus::start());
    let client = client();
    client.profile("team", profile(&totals, ""));
    for _ in 0..10 {
        let mut command = client.command("claude");
        command.args(["-p", "a question"]).env("CLAUDE_CODE_ENABLE_TELEMETRY", "1");
        command.env("OTEL_METRICS_EXPORTER", "otlp").env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("{}/api/v1/otlp", direct.url()));
        command.env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative");
        assert!(command.output().unwrap().status.success());
        assert!(client.ask(&["-p", "team"], "a question").status.success());
    }
    client.wait_for_end();
    totals.wait_for("sum(claude_code_session_count_total)", 10.0);
    direct.wait_for("sum(claude_code_session_count_total)", 10.0);
    let cost = client.report()["total"]["cost_usd"].as_f64().unwrap();
    let at = |prometheus: &Prometheus, query: &str, later: f64| {
        let now = prometheus.value("vector(time())", None).unwrap();
        prometheus.value(query, Some(now + later)).unwrap()
    };
    // Both kinds of session cost the same.
    assert!(same(at(&direct, SO_FAR, 0.0), cost), "the guide's query, at once");
    assert!(same(at(&direct, SO_FAR, 360.0), 0.0), "the same six minutes later");
    assert!(same(at(&direct, RANGE, 60.0), 0.0), "boards with `increase()`");
    for query in ALSO {
        assert!(same(at(&direct, &format!("{query} or vector(0)"), 60.0), 0.0), "{query}");
    }
    let panels = panels(&read("grafana/usage.json"));
    let spend = panels.iter().find(|panel| panel.title == "Spend").unwrap();
    assert!(same(at(&totals, &substituted(&spend.queries[0].0), 360.0), cost), "this board, six minutes later");
    let increase = at(&totals, RANGE, 60.0) / cost;
    assert!((0.9..1.6).contains(&increase), "`increase()` on totals is near, but not exact: {increase}");
}
