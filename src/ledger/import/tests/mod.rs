mod costs;
mod events;
mod lines;
mod real;
mod written;

use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::claude::transcript::find;
use crate::ledger::cost;
use crate::ledger::sums::Sums;
use crate::ledger::tests::{Request, origin, take};
use crate::ledger::{Forget, forget, rebuild};
use crate::otlp::Signal;
use crate::usage::samples::{api_request, event, int, logs, morning, text};
use written::{OPUS, Written, id};

/// Claude Code's directory, and a ledger.
struct Fixture(TempDir);

impl Fixture {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, written: &Written) {
        written.write(self.0.path());
    }

    fn with(&self, options: &Options<'_>) -> Imported {
        let found = find(&[self.0.path().join("projects")]);
        let directory = |name: &str| Directory { project: name.to_owned(), ..Directory::default() };
        let done = import(&self.0.path().join("ledger-1.db"), &found.transcripts, options, directory, |_| {}).unwrap();
        self.is_settled();
        done
    }

    /// Sharing the costs of all sessions again changes nothing: those of a new session are shared before it is stored.
    fn is_settled(&self) {
        let ledger = self.ledger();
        let again = ledger.unchecked_transaction().unwrap();
        let before = rows(&again, "request");
        let mut sessions = again.prepare("SELECT session FROM transcript").unwrap();
        for session in sessions.query_map([], |row| row.get(0)).unwrap() {
            cost::settle(&again, &mut Sums::default(), session.unwrap()).unwrap();
        }
        assert_eq!(rows(&again, "request"), before);
    }

    fn import(&self) -> Imported {
        self.with(&Options { user: "me", persons: true, ..Options::default() })
    }

    fn ledger(&self) -> Connection {
        crate::store::open(&self.0.path().join("ledger-1.db")).unwrap()
    }

    fn ask<T: rusqlite::types::FromSql>(&self, select: &str) -> T {
        self.ledger().query_row(select, [], |row| row.get(0)).unwrap()
    }

    fn requests(&self) -> i64 {
        self.ask("SELECT count(*) FROM request WHERE outcome = 0")
    }

    /// The total cost, followed by the cost of one session, in billionths of a dollar.
    fn cost(&self) -> i64 {
        self.ask("SELECT coalesce(sum(cost), 0) FROM request")
    }

    fn cost_of(&self, session: &str) -> i64 {
        self.ask(&format!(
            "SELECT coalesce(sum(cost), 0) FROM request r JOIN context c ON c.id = r.context JOIN text t ON t.id = c.session
             WHERE t.text = '{session}'"
        ))
    }

    /// The sums, before and after they are rebuilt.
    fn sums(&self) -> [Vec<String>; 2] {
        let ledger = self.ledger();
        let before = sums(&ledger);
        let transaction = ledger.unchecked_transaction().unwrap();
        rebuild(&transaction).unwrap();
        let after = sums(&transaction);
        [before, after]
    }
}

/// All cached data.
fn sums(ledger: &Connection) -> Vec<String> {
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND (name LIKE '%sum' OR name = 'balance')";
    let mut tables = ledger.prepare(tables).unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut all = Vec::new();
    for table in tables {
        all.extend(rows(ledger, &table).into_iter().map(|row| format!("{table} {row}")));
    }
    all.sort();
    all
}

fn rows(ledger: &Connection, table: &str) -> Vec<String> {
    let mut statement = ledger.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let count = statement.column_count();
    let rows = statement.query_map([], |row| {
        (0..count).map(|index| Ok(format!("{:?}", row.get_ref(index)?))).collect::<rusqlite::Result<Vec<_>>>()
    });
    rows.unwrap().map(|row| row.unwrap().join(" ")).collect()
}

const TOKENS: [i64; 5] = [1000, 200, 50_000, 4000, 1000];

fn times(count: i64) -> [i64; 5] {
    TOKENS.map(|tokens| tokens * count)
}

/// A prompt with two requests and a tool run.
fn simple(number: u8) -> Written {
    let mut written = Written::new(number);
    let use_tool =
        json!([{"type": "tool_use", "id": format!("toolu_{number}"), "name": "Bash", "input": {"command": "words"}}]);
    let (one, two) = (format!("req_{number}_1"), format!("req_{number}_2"));
    written.prompt(0, &format!("prompt-{number}"), "words").answer(1000, Some(&one), TOKENS);
    written.block(1100, Some(&one), TOKENS, &use_tool).result(2000, &format!("toolu_{number}"), true);
    written.answer(3000, Some(&two), TOKENS);
    written
}

fn asked(session: &str, sequence: i64, after: u64, tokens: [i64; 5], cost: f64, more: &[(&str, &str)]) -> Request {
    let mut own = api_request(OPUS, [tokens[0], tokens[1], tokens[2], tokens[3]], cost);
    own.push(int("cache_creation_1h_tokens", tokens[4]));
    own.extend(more.iter().map(|(key, value)| text(key, value)));
    (Signal::Logs, logs(vec![event(session, sequence, after, "api_request", own)]))
}
