//! The same sessions give the same report from the ledger and from the tables of each schema, which a real collector
//! filled. The tables are of our own statements: that proves the reader, not the vendors' schemas.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::support::chdb::{Chdb, LOCKED, PASSWORD, Schema, USER};
use crate::support::claude::Client;
use crate::support::sandbox::{Sandbox, text, wait_until};
use crate::support::work::{client, work};

/// The breakdowns that are compared.
const BREAKDOWNS: [&str; 15] = [
    "person",
    "model",
    "team",
    "day",
    "session",
    "repository",
    "branch",
    "day,model",
    "tool",
    "source",
    "status",
    "automation",
    "version",
    "profile",
    "prompt",
];

/// The name of the source of a schema.
pub(super) fn name(schema: Schema) -> &'static str {
    match schema {
        Schema::Contrib => "contrib",
        Schema::ClickStack => "clickstack",
        Schema::SigNoz => "signoz",
    }
}

/// Sources of all schemas, in `config.toml`.
pub(super) fn sources(sandbox: &Sandbox, chdb: &Chdb, user: &str) {
    let source = |schema: Schema| {
        let (name, url) = (name(schema), chdb.url(schema));
        format!("[source.{name}]\nurl = \"{url}\"\nuser = \"{user}\"\npassword = \"{PASSWORD}\"\n")
    };
    sandbox.write("home/.config/ccrun/config.toml", Schema::ALL.map(source).concat());
}

/// A report in JSON, without its notes.
#[track_caller]
pub(super) fn report(sandbox: &Sandbox, arguments: &[&str]) -> Map<String, Value> {
    let output = sandbox.run([&["report", "--json"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    let Value::Object(mut report) = serde_json::from_slice(&output.stdout).unwrap() else { panic!("no object") };
    for key in ["notes", "coverage", "range"] {
        report.remove(key);
    }
    report
}

/// Rows by their keys, so that rows of the same weight may come in any order.
pub(super) fn rows(report: &Map<String, Value>, by: &str) -> BTreeMap<String, Value> {
    let key = |row: &Value| by.split(',').map(|dimension| row[dimension].to_string()).collect::<Vec<_>>().join(" ");
    report["rows"].as_array().unwrap().iter().map(|row| (key(row), row.clone())).collect()
}

/// Checks that all stores tell what the ledger tells.
fn agree(client: &Client) {
    let ledger: Vec<_> = BREAKDOWNS.iter().map(|by| (by, report(client, &["--by", by]))).collect();
    assert!(ledger[0].1["total"]["commits"].as_f64() > Some(0.0), "{:?}", ledger[0].1["total"]);
    for schema in Schema::ALL {
        let from = name(schema);
        for (by, of_ledger) in &ledger {
            let of_store = report(client, &["--from", from, "--by", by]);
            assert_eq!(of_store["total"], of_ledger["total"], "the total of {from} by {by}");
            assert_eq!(rows(&of_store, by), rows(of_ledger, by), "{from} by {by}");
        }
        for filter in ["model=haiku", "tool=Bash", "person~example", "team=none", "status=400", "automation=yes"] {
            let by = if filter.starts_with("tool") { "tool" } else { "day" };
            let [of_ledger, of_store] = [&[][..], &["--from", from]]
                .map(|source| report(client, &[source, &["--by", by, "--where", filter]].concat()));
            assert_eq!(of_store, of_ledger, "{from} where {filter}");
        }
        let top = report(client, &["--from", from, "--by", "session", "--top", "2"]);
        assert_eq!(top["rows"].as_array().unwrap().len(), 2, "{from}");
        let week = client.run(["report", "week", "--from", from]);
        assert!(week.status.success(), "{from}: {}", text(&week.stderr));
    }
}

#[test]
#[ignore = "needs TEST_CHDB, TEST_OTELCOL and the real Claude Code; scripts/test.sh runs it"]
fn every_schema_tells_what_the_ledger_tells() {
    let (chdb, client) = (Chdb::start(&Schema::ALL), client());
    let mut collector = chdb.collector();
    client.profile(
        "team",
        format!(
            "[team]\nid = \"platform\"\n[cardinality]\nrepository = true\nversion = true\n[destination.team]\n\
             endpoint = \"{}\"\nbatch = \"1ms\"\n",
            collector.http
        ),
    );
    sources(&client, &chdb, USER);
    // A store without an event answers with nothing.
    for schema in Schema::ALL {
        assert_eq!(report(&client, &["--from", name(schema), "--by", "day"])["total"]["requests"], 0);
    }
    work(&client, &["-p", "team"]);
    client.wait_for_end();
    wait_until("all data to be delivered", || client.run(["queue", "flush"]).status.success());
    agree(&client);

    // After an outage, and with a resumed session. A user that may not change settings reads the same.
    collector.stop();
    work(&client, &["-p", "team"]);
    client.wait_for_end();
    collector.restart();
    wait_until("all data to be delivered", || client.run(["queue", "flush"]).status.success());
    sources(&client, &chdb, LOCKED);
    agree(&client);
    story(&client);
}

/// Checks a session and a prompt step by step.
fn story(client: &Client) {
    for what in ["session", "prompt"] {
        let rows = report(client, &["--by", what]);
        let id = rows["rows"][0][what].as_str().unwrap().to_owned();
        let told = |from: &[&str]| {
            let output = client.run([&["report", what, &id[..8], "--json"], from].concat());
            assert!(output.status.success(), "{from:?}: {}", text(&output.stderr));
            let story: Value = serde_json::from_slice(&output.stdout).unwrap();
            let steps: Vec<_> = story["steps"].as_array().unwrap().iter().map(|step| step["what"].clone()).collect();
            (story["total"].clone(), steps)
        };
        let of_ledger = told(&[]);
        for schema in Schema::ALL {
            assert_eq!(told(&["--from", name(schema)]), of_ledger, "{what} {id} from {}", name(schema));
        }
    }
}
