//! The boards in boards/, and the queries of their panels.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::claude::Client;
use super::prometheus::{Prometheus, Series, same};

/// A panel that shows data.
#[derive(Debug)]
pub struct Panel {
    pub title: String,
    pub description: String,
    pub unit: String,
    /// The queries, and what kind each of them is for `VictoriaLogs`.
    pub queries: Vec<(String, String)>,
}

/// A panel of the board for `SigNoz`.
#[derive(Debug)]
pub struct Widget {
    pub title: String,
    /// `value`, `graph` or `table`.
    pub kind: String,
    /// In `ClickHouse`'s SQL.
    pub query: String,
}

/// The panels of the board for `SigNoz`.
pub fn widgets() -> Vec<Widget> {
    let board = read("signoz/claude-code.json");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let widget = |widget: &Value| Widget {
        title: text(&widget["title"]),
        kind: text(&widget["panelTypes"]),
        query: text(&widget["query"]["clickhouse_sql"][0]["query"]),
    };
    board["widgets"].as_array().unwrap().iter().map(widget).collect()
}

/// A path below boards/.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("boards").join(name)
}

/// The content of a board.
pub fn read(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path(name)).unwrap()).unwrap()
}

/// The panels of a board of Grafana, without rows.
pub fn panels(board: &Value) -> Vec<Panel> {
    let panels = board["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row");
    panels.map(panel).collect()
}

fn panel(panel: &Value) -> Panel {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let targets = panel["targets"].as_array().into_iter().flatten();
    Panel {
        title: text(&panel["title"]),
        description: text(&panel["description"]),
        unit: text(&panel["fieldConfig"]["defaults"]["unit"]),
        queries: targets.map(|target| (text(&target["expr"]), text(&target["queryType"]))).collect(),
    }
}

/// A query with values for Grafana's variables.
pub fn substituted(query: &str) -> String {
    query.replace("$__range", "1h").replace("$__interval", "1h").replace("$team", ".*").replace("$model", ".*")
}

/// The names of Claude Code's and ccrun's metrics in a query.
pub fn metrics(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    words.filter(|word| (word.starts_with("claude_code_") || word.starts_with("ccrun_")) && word.ends_with("_total"))
}

/// Checks the board of metrics against the ledger: every query succeeds and every metric exists, and what can be compared
/// is the same. These panels may be empty.
pub fn usage_agrees(prometheus: &Prometheus, client: &Client, empty: &[&str]) {
    let named = prometheus.query(r#"count by (__name__) ({__name__=~"(claude_code|ccrun)_.+"})"#, None);
    let named: Vec<_> = named.iter().map(|series| series.labels["__name__"].as_str()).collect();
    let report = client.report();
    let total = |names: &[&str]| names.iter().map(|name| report["total"][name].as_f64().unwrap()).sum::<f64>();
    let sent = ["input_tokens", "cache_read_tokens", "cache_creation_tokens"];
    let tokens = total(&sent) + total(&["output_tokens"]);
    let cost = total(&["cost_usd"]);
    let pull_requests = total(&["pull_requests"]);
    let expected = [
        ("Spend", cost),
        ("Tokens", tokens),
        ("Sessions", total(&["sessions"])),
        ("Active people", 1.0),
        ("Spend per active person", cost),
        ("Cache reuse", total(&["cache_read_tokens"]) / total(&sent)),
        ("Spend by model", cost),
        ("Spend by team", cost),
        ("Spend by person", cost),
        ("Spend by project", cost),
        ("Tokens by model", tokens),
        ("Tokens by project", tokens),
        ("Tokens by kind", tokens),
        ("Active time", total(&["active_user_seconds", "active_cli_seconds"])),
        ("Top spenders", cost),
        ("Pull requests", pull_requests),
        ("Spend per pull request", cost / pull_requests),
        ("Commits", total(&["commits"])),
        ("Lines changed", total(&["lines_added", "lines_removed"])),
        ("Installations", 1.0),
        ("Seen in the last day", 1.0),
    ];
    for panel in panels(&read("grafana/usage.json")) {
        for (query, _) in &panel.queries {
            let unknown: Vec<_> = metrics(query).filter(|metric| !is_known(&named, metric)).collect();
            assert!(unknown.is_empty(), "{}: no data of {unknown:?} among {named:?}", panel.title);
            let found = prometheus.query(&substituted(query), None);
            if found.is_empty() && !empty.contains(&&*panel.title) {
                let samples: Vec<_> = metrics(query).map(|metric| prometheus.samples(metric)).collect();
                panic!("{} is empty: {query}: {samples:#?}", panel.title);
            }
            if let Some((_, expected)) = expected.iter().find(|(title, _)| *title == panel.title) {
                let sum = sum(&found);
                assert!(same(sum, *expected), "{}: {sum}, expected {expected}: {found:#?}", panel.title);
            }
        }
    }
    agrees_by_model(prometheus, client);
    is_labelled(prometheus);
}

/// Counters of failures exist only after a failure.
fn is_known(named: &[&str], metric: &str) -> bool {
    named.contains(&metric) || ["ccrun_export_held_total", "ccrun_export_dropped_total"].contains(&metric)
}

/// Checks the labels that a person reads.
fn is_labelled(prometheus: &Prometheus) {
    for (title, label, value) in [
        ("Spend by team", "team_id", "platform"),
        ("Tokens by team", "team_id", "platform"),
        ("Spend by project", "vcs_repository_name", "widgets"),
        ("Tokens by project", "vcs_repository_name", "widgets"),
    ] {
        let panels = panels(&read("grafana/usage.json"));
        let panel = panels.iter().find(|panel| panel.title == title).unwrap();
        let found = prometheus.query(&substituted(&panel.queries[0].0), None);
        let labels: Vec<_> = found.iter().map(|series| series.labels.get(label).map(String::as_str)).collect();
        assert_eq!(labels, [Some(value)], "{title}");
    }
}

fn agrees_by_model(prometheus: &Prometheus, client: &Client) {
    let panels = panels(&read("grafana/usage.json"));
    let panel = panels.iter().find(|panel| panel.title == "Spend by model").unwrap();
    let found = prometheus.query(&substituted(&panel.queries[0].0), None);
    let rows = client.report_by("model");
    assert_eq!(found.len(), rows.len(), "{found:#?} {rows:#?}");
    for row in rows {
        let series = found.iter().find(|series| row["model"] == *series.labels["model"]).unwrap();
        assert!(same(series.samples[0].1, row["cost_usd"].as_f64().unwrap()), "{series:?} {row}");
    }
}

/// The sum of the last values.
pub fn sum(found: &[Series]) -> f64 {
    found.iter().map(|series| series.samples.last().unwrap().1).sum()
}
