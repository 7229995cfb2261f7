//! Tables in which a pipeline has rewritten names and types: underscores, numbers as strings, attributes as JSON. They
//! give the same report.

use super::midnight::{filled, midnight};
use super::sources::{report, rows};
use crate::support::chdb::{Chdb, PASSWORD, Schema, USER};
use crate::support::crafted::Temporality;

/// A map with underscores instead of dots in its names.
const UNDERSCORED: &str = "mapApply((name, value) -> (replaceAll(name, '.', '_'), value), {})";

/// A map as JSON, in which what reads as a number or a truth is one.
const TYPED: &str =
    r#"CAST(replaceRegexpAll(toJSONString({}), '":"(-?[0-9]+(\\.[0-9]+)?|true|false)"', '":\\1') AS JSON)"#;

/// The breakdowns that are compared.
const BREAKDOWNS: [&str; 12] = [
    "hour",
    "session",
    "person",
    "team",
    "model",
    "tool",
    "source",
    "status",
    "automation",
    "version",
    "profile",
    "prompt",
];

/// A database with tables of another one whose columns are rewritten. `logs` and `sums` are parts of `SELECT`s.
fn rewrite(chdb: &Chdb, database: &str, kind: &str, logs: &str, sums: &str) {
    chdb.run(&format!("CREATE DATABASE {database}"));
    for (table, select) in [("otel_logs", logs), ("otel_metrics_sum", sums)] {
        chdb.run(&format!("CREATE TABLE {database}.{table} AS otel.{table} ENGINE = MergeTree ORDER BY tuple()"));
        for column in ["LogAttributes", "Attributes", "ResourceAttributes"] {
            let has = format!(
                "SELECT count() FROM system.columns WHERE database = '{database}' AND table = '{table}' AND name = '{column}'"
            );
            if !kind.is_empty() && chdb.run(&has).trim() == "1" {
                chdb.run(&format!("ALTER TABLE {database}.{table} DROP COLUMN {column}"));
                chdb.run(&format!("ALTER TABLE {database}.{table} ADD COLUMN {column} {kind}"));
            }
        }
        let names = chdb.run(&format!("SELECT name FROM system.columns WHERE database = 'otel' AND table = '{table}'"));
        let names = names.lines().collect::<Vec<_>>().join(", ");
        chdb.run(&format!(
            "INSERT INTO {database}.{table} ({names}) SELECT {names} FROM (SELECT {select} FROM otel.{table})"
        ));
    }
}

/// Replaces these columns by an expression with `{}` in place of the column.
fn replacing(columns: &[&str], expression: &str, more: &str) -> String {
    let each = columns.iter().map(|column| format!("{} AS {column}", expression.replace("{}", column)));
    format!("* REPLACE ({}{more})", each.collect::<Vec<_>>().join(", "))
}

#[test]
#[ignore = "needs TEST_CHDB and TEST_OTELCOL; scripts/test.sh runs it"]
fn rewritten_names_and_types_tell_what_the_ledger_tells() {
    let chdb = Chdb::start(&Schema::ALL);
    let sandbox = filled(&chdb, midnight(), Temporality::Cumulative);
    let (of_logs, of_sums) = (["LogAttributes", "ResourceAttributes"], ["Attributes", "ResourceAttributes"]);
    let prometheus = ", concat(replaceAll(MetricName, '.', '_'), '_total') AS MetricName";
    let sums = replacing(&of_sums, UNDERSCORED, prometheus);
    rewrite(&chdb, "underscores", "", &replacing(&of_logs, UNDERSCORED, ""), &sums);
    // Of an event's own attributes alone, and with a body that does not name the event.
    rewrite(&chdb, "own", "", &replacing(&of_logs[..1], UNDERSCORED, ", '' AS Body"), &sums);
    // Of half of the events, as after a change of the pipeline.
    let half = format!("if(sipHash64(toString(LogAttributes)) % 2 = 0, {UNDERSCORED}, {{}})");
    rewrite(&chdb, "half", "", &replacing(&of_logs, &half, ""), &sums);
    rewrite(&chdb, "json", "JSON", &replacing(&of_logs, TYPED, ""), &replacing(&of_sums, TYPED, ""));
    // Numbers and truths of SigNoz' as strings.
    chdb.run("CREATE DATABASE strings");
    chdb.run("CREATE TABLE strings.logs_v2 AS signoz_logs.logs_v2");
    chdb.run(
        "INSERT INTO strings.logs_v2 SELECT * REPLACE (mapConcat(attributes_string, mapApply((name, value) -> \
         (toLowCardinality(name), toString(value)), attributes_number), mapApply((name, value) -> (toLowCardinality(name), \
         toString(value)), attributes_bool)) AS attributes_string, CAST(map(), 'Map(LowCardinality(String), Float64)') AS \
         attributes_number, CAST(map(), 'Map(LowCardinality(String), Bool)') AS attributes_bool) FROM signoz_logs.logs_v2",
    );
    let databases = ["underscores", "own", "half", "json", "strings"];
    let source = |database: &str| {
        let address = chdb.address();
        format!(
            "[source.{database}]\nurl = \"clickhouse://{address}/{database}\"\nuser = \"{USER}\"\npassword = \"{PASSWORD}\"\n"
        )
    };
    sandbox.write("home/.config/ccrun/config.toml", databases.map(source).concat());
    for by in BREAKDOWNS {
        let of_ledger = report(&sandbox, &["--by", by]);
        for database in databases {
            let of_store = report(&sandbox, &["--from", database, "--by", by]);
            assert_eq!(rows(&of_store, by), rows(&of_ledger, by), "{database} by {by}");
            assert_eq!(of_store["total"], of_ledger["total"], "{database} by {by}");
        }
    }
}
