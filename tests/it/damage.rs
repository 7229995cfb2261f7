//! Databases that are damaged before or while sessions run. Nothing acknowledged is lost, readable data stays in use,
//! and the user is told.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde_json::Value;

use crate::doctor_destination::examine;
use crate::support::backend::Backend;
use crate::support::emitter::{ids, ids_of};
use crate::support::sandbox::{Sandbox, text, wait_until};
use crate::support::series;
use crate::support::session::Session;

/// Phrases from `SQLite`'s messages, which mean nothing to a user.
const RAW: [&str; 5] = ["malformed", "disk image", "not a database", "SQLite", "no such table"];

type Damage = fn(&Path);

/// The kinds of damage, by name.
const DAMAGES: [(&str, Damage); 5] = [
    ("cut in half", |path| cut(path, 2)),
    ("cut to a page and a half", |path| OpenOptions::new().write(true).open(path).unwrap().set_len(6000).unwrap()),
    ("a bad header", |path| overwrite(path, 0, 100)),
    ("a bad page", |path| {
        // The tables begin on the third page. The second is a pointer map.
        let pages = fs::metadata(path).unwrap().len() / 4096;
        (2..pages.min(40)).step_by(7).for_each(|page| overwrite(path, page * 4096, 4096));
    }),
    ("bad from end to end", |path| overwrite(path, 0, usize::try_from(fs::metadata(path).unwrap().len()).unwrap())),
];

fn overwrite(path: &Path, offset: u64, length: usize) {
    let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at * 37 % 251).unwrap()).collect();
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(&bytes, offset).unwrap();
}

fn cut(path: &Path, into: u64) {
    let length = fs::metadata(path).unwrap().len();
    OpenOptions::new().write(true).open(path).unwrap().set_len(length / into).unwrap();
}

fn databases(sandbox: &Sandbox) -> [std::path::PathBuf; 2] {
    ["store-2.db", "ledger-1.db"].map(|name| sandbox.state().join(name))
}

fn logs(sandbox: &Sandbox) -> [std::path::PathBuf; 2] {
    ["store-2.db-wal", "ledger-1.db-wal"].map(|name| sandbox.state().join(name))
}

/// Merges the write-ahead logs into the databases. A collector that exits leaves that to the next one.
fn settle(sandbox: &Sandbox) {
    for path in databases(sandbox) {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    }
}

/// Checks that a verb succeeds and shows no raw message. Returns its stderr.
#[track_caller]
fn works(sandbox: &Sandbox, words: &[&str], what: &str) -> String {
    let output = sandbox.run(words);
    let said = text(&output.stderr);
    let all = format!("{}{said}", text(&output.stdout));
    assert!(output.status.success(), "{what}: {words:?} failed: {all}");
    assert!(!RAW.iter().any(|raw| all.contains(raw)), "{what}: {words:?} shows a raw message: {all}");
    said
}

/// How often each record was delivered.
fn delivered(backend: &Backend) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for id in ids_of(&backend.received()) {
        *counts.entry(id).or_default() += 1;
    }
    counts
}

fn findings(sandbox: &Sandbox, id: &str) -> Vec<Value> {
    let found = examine(sandbox, &["-p", "local", "--timeout", "1m"]);
    found.into_iter().filter(|found| found["id"] == id && found["level"] != "ok").collect()
}

#[test]
fn a_running_session_survives_damage_to_both_databases() {
    // In parallel, because most of the time is spent waiting for sessions to end.
    std::thread::scope(|scope| {
        for (what, damage) in DAMAGES {
            scope.spawn(move || goes_on(what, damage));
        }
    });
}

fn goes_on(what: &str, damage: Damage) {
    let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
    let all = ids("record", 6);
    let first = Session::to(&sandbox, &backend.endpoint());
    series::export(&mut first.client(), &[("claude-opus-5-5", 200)], 1);
    first.client().export(&all[..1]);
    first.end();
    sandbox.wait_for_end();
    settle(&sandbox);
    let session = Session::to(&sandbox, &backend.endpoint());
    let mut client = session.client();
    client.export(&all[1..2]);
    wait_until("the delivery", || sandbox.queue().is_empty());
    // These records are acknowledged but undelivered when the damage happens.
    backend.stop();
    client.export(&all[2..4]);
    for path in databases(&sandbox) {
        damage(&path);
    }
    client.export(&all[4..5]);
    let mut said = String::new();
    for words in
        [&["sessions"][..], &["queue", "status"], &["queue", "status", "--json"], &["report"], &["report", "--json"]]
    {
        said += &works(&sandbox, words, what);
    }
    assert!(sandbox.run(["sessions"]).stdout.windows(7).any(|word| word == b"running"), "{what}");
    backend.restart();
    client.export(&all[5..]);
    drop(client);
    session.end();
    sandbox.wait_for_end();
    said += &works(&sandbox, &["queue", "flush"], what);
    said += &text(&sandbox.run(["-p", "local", "true"]).stderr);
    sandbox.wait_for_end();
    let delivered = delivered(&backend);
    assert_eq!(delivered.keys().cloned().collect::<Vec<_>>(), all, "{what}: acknowledged records were lost");
    assert!(delivered.values().all(|times| *times <= 2), "{what}: {delivered:?}");
    assert!(sandbox.queue().is_empty(), "{what}");
    if said.contains("damaged") {
        assert!(said.contains("was damaged and was replaced"), "{what}: {said}");
        let found = findings(&sandbox, "store.aside");
        assert!(!found.is_empty() && found.iter().all(|one| one["level"] == "warning"), "{what}: {found:?}");
    }
    assert_eq!(findings(&sandbox, "store.database"), [Value::Null; 0], "{what}");
}

#[test]
fn a_damaged_header_loses_neither_usage_nor_sessions() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let session = Session::to(&sandbox, &backend.endpoint());
    series::export(&mut session.client(), &[("claude-opus-5-5", 200), ("claude-haiku-5", 50)], 1);
    let id = session.id.clone();
    session.end();
    sandbox.wait_for_end();
    let before = sandbox.report_by("model");
    let known = works(&sandbox, &["sessions", "--json"], "before") + &text(&sandbox.run(["sessions", "--json"]).stdout);
    settle(&sandbox);
    for path in databases(&sandbox) {
        overwrite(&path, 0, 4096);
    }
    for file in ["store-2.db", "ledger-1.db"] {
        let found = findings(&sandbox, "store.database");
        let says = |one: &Value| one["summary"].as_str().unwrap().contains(&format!("{file}` is damaged"));
        assert!(found.iter().any(says), "{found:?}");
    }
    let said = works(&sandbox, &["sessions"], "a bad page");
    assert!(
        said.contains("the store was damaged and was replaced: ") && said.contains("rows were carried over"),
        "{said}"
    );
    assert_eq!(text(&sandbox.run(["sessions", "--json"]).stdout), known);
    assert!(known.contains(&id));
    assert_eq!(sandbox.report_by("model"), before);
    assert_eq!(findings(&sandbox, "store.aside").len(), 2);
}

/// The write-ahead log is in use when it is damaged, and only the log has the last commits.
#[test]
fn a_damaged_log_loses_no_acknowledged_record() {
    let damages: [(&str, Damage); 3] = [
        ("garbage", |path| overwrite(path, 0, usize::try_from(fs::metadata(path).unwrap().len()).unwrap())),
        ("cut in half", |path| cut(path, 2)),
        ("gone", |path| fs::remove_file(path).unwrap()),
    ];
    for (what, damage) in damages {
        let (sandbox, backend) = (Sandbox::new(), Backend::start());
        let session = Session::to(&sandbox, &backend.endpoint());
        let mut client = session.client();
        let all = ids("record", 20);
        all[..10].iter().for_each(|id| assert_eq!(client.export(std::slice::from_ref(id)), 0));
        wait_until("the deliveries", || sandbox.queue().is_empty());
        wait_until("both logs", || logs(&sandbox).iter().all(|path| path.exists()));
        for path in logs(&sandbox) {
            damage(&path);
        }
        all[10..].iter().for_each(|id| assert_eq!(client.export(std::slice::from_ref(id)), 0));
        for words in [&["sessions"][..], &["queue", "status"], &["report"]] {
            works(&sandbox, words, what);
        }
        drop(client);
        session.end();
        sandbox.wait_for_end();
        works(&sandbox, &["queue", "flush"], what);
        let delivered = delivered(&backend);
        assert_eq!(delivered.len(), all.len(), "{what}: acknowledged records were lost: {delivered:?}");
        assert!(delivered.values().all(|times| *times <= 2), "{what}: {delivered:?}");
    }
}
