//! The board for `SigNoz` on the engine that `SigNoz` uses.

use serde_json::Value;

use crate::support::boards::{Widget, widgets};
use crate::support::chdb::{Chdb, Schema};
use crate::support::claude::Client;
use crate::support::prometheus::same;
use crate::support::sandbox::wait_until;
use crate::support::work::{client, work};

#[test]
#[ignore = "needs TEST_CHDB, TEST_OTELCOL and the real Claude Code; scripts/test.sh runs it"]
fn the_board_of_signoz_shows_what_the_ledger_has() {
    let (chdb, client) = (Chdb::start(&[Schema::SigNoz]), client());
    let mut collector = chdb.collector();
    client.profile(
        "team",
        format!(
            "[team]\nid = \"platform\"\n[cardinality]\nrepository = true\n\
             [destination.signoz]\nendpoint = \"{}\"\nbatch = \"1ms\"\n",
            collector.http
        ),
    );
    // Before the first session, every query has an answer.
    for widget in widgets() {
        chdb.rows(&substituted(&widget.query));
    }
    work(&client, &["-p", "team"]);
    client.wait_for_end();
    agrees(&chdb, &client);

    // After an outage of the collector, and with data that was held meanwhile.
    collector.stop();
    work(&client, &["-p", "team"]);
    client.wait_for_end();
    assert!(!client.queue().is_empty());
    collector.restart();
    wait_until("all data to be delivered", || client.run(["queue", "flush"]).status.success());
    agrees(&chdb, &client);
}

/// Checks every panel against the ledger.
fn agrees(chdb: &Chdb, client: &Client) {
    assert!(client.queue().is_empty(), "{:?} {}", client.queue(), chdb.said());
    let report = client.report();
    let total = |names: &[&str]| names.iter().map(|name| report["total"][name].as_f64().unwrap()).sum::<f64>();
    let rows = client.report_by("session");
    let answered: Vec<_> = rows.iter().filter(|row| row["requests"].as_u64() > Some(0)).collect();
    let (cost, output) = (total(&["cost_usd"]), total(&["output_tokens"]));
    let sent = total(&["input_tokens", "cache_read_tokens", "cache_creation_tokens"]);
    let calls = total(&["tool_successes", "tool_failures"]);
    assert!(total(&["errors"]) > 0.0 && total(&["tool_failures"]) > 0.0, "{report}");
    let expected = [
        ("Spend", cost),
        ("Tokens", sent + output),
        ("Sessions", f64::from(u32::try_from(answered.len()).unwrap())),
        ("Active people", 1.0),
        ("Cache reuse", total(&["cache_read_tokens"]) / sent),
        ("Failed requests", total(&["errors"]) / total(&["requests", "errors"])),
        ("Spend by model", cost),
        ("Spend by team", cost),
        ("Spend by person", cost),
        ("Spend by project", cost),
        ("Output tokens by model", output),
        ("Output tokens by person", output),
        ("Active people by day", 1.0),
        ("Errors", total(&["errors"])),
        ("Tool calls", calls),
        ("Failed tool calls", total(&["tool_failures"])),
        ("Asked share", 0.0),
        ("Sessions through ccrun", 1.0),
        ("Top sessions", cost),
    ];
    // Print mode asks no person, so that nothing is divided by nothing.
    let without = ["Accepted when asked", "Time to first token"];
    for widget in widgets() {
        let found = chdb.rows(&substituted(&widget.query));
        match expected.iter().find(|(title, _)| *title == widget.title) {
            Some((_, expected)) => {
                let sum = sum(&widget, &found);
                // A table rounds.
                let is_near = widget.kind == "table" && (sum - expected).abs() < 1e-4 * f64::from(20);
                assert!(is_near || same(sum, *expected), "{}: {sum}, expected {expected}: {found:#?}", widget.title);
            }
            None => assert!(without.contains(&&*widget.title), "{} is not compared", widget.title),
        }
    }
    is_labelled(chdb, client);
    // The board that SigNoz publishes adds these attributes up over every log that has them.
    let theirs = [("cost_usd", cost), ("input_tokens", total(&["input_tokens"])), ("output_tokens", output)];
    for (attribute, expected) in theirs {
        let table = "signoz_logs.distributed_logs_v2";
        let held = format!("attributes_number['{attribute}']");
        let query =
            format!("SELECT sum({held}) AS sum FROM {table} WHERE mapContains(attributes_number, '{attribute}')");
        let sum = chdb.rows(&query)[0]["sum"].as_f64().unwrap();
        assert!(same(sum, expected), "their {attribute}: {sum}, expected {expected}");
    }
}

/// The sum of all values of a panel.
fn sum(widget: &Widget, found: &[Value]) -> f64 {
    let column = if widget.kind == "table" { "cost" } else { "value" };
    assert!(!found.is_empty(), "{} is empty", widget.title);
    found.iter().map(|row| row[column].as_f64().unwrap()).sum()
}

/// Checks the labels that a person reads, and the numbers of each of them.
fn is_labelled(chdb: &Chdb, client: &Client) {
    let labels = |title: &str| {
        let rows = chdb.rows(&substituted(&widgets().iter().find(|widget| widget.title == title).unwrap().query));
        let label = |row: &Value| (row["label"].as_str().unwrap().to_owned(), row["value"].as_f64().unwrap());
        rows.iter().map(label).collect::<Vec<_>>()
    };
    for (title, dimension, measure) in [
        ("Spend by model", "model", "cost_usd"),
        ("Output tokens by model", "model", "output_tokens"),
        ("Spend by team", "team", "cost_usd"),
        ("Spend by project", "repository", "cost_usd"),
    ] {
        for row in client.report_by(dimension) {
            let name = row[dimension].as_str().unwrap();
            let of = labels(title).into_iter().filter(|(label, _)| label == name);
            let sum: f64 = of.map(|(_, value)| value).sum();
            assert!(same(sum, row[measure].as_f64().unwrap()), "{title}: {row} {:?}", labels(title));
        }
    }
}

/// A query with `SigNoz`' variables for the last hour.
fn substituted(query: &str) -> String {
    let now = jiff::Timestamp::now().as_second();
    let nanoseconds = |second: i64| format!("{second}000000000");
    query
        .replace("$start_timestamp_nano", &nanoseconds(now - 3600))
        .replace("$end_timestamp_nano", &nanoseconds(now + 1))
        .replace("$start_timestamp", &(now - 3600).to_string())
        .replace("$end_timestamp", &(now + 1).to_string())
}
