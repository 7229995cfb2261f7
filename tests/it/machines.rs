//! `ccrun ledger export`, `import` and `sync` between two machines.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::sandbox::{Sandbox, text};

/// A machine that has imported some sessions of the real client.
fn machine(sessions: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/2.1.332").join(sessions);
    let imported = sandbox.run(["import", from.to_str().unwrap()]);
    assert!(imported.status.success(), "{}", text(&imported.stderr));
    sandbox
}

fn total(sandbox: &Sandbox) -> (u64, i64, u64) {
    let output = sandbox.run(["report", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let total = &report["total"];
    #[expect(clippy::cast_possible_truncation, reason = "a few dollars")]
    let cost = (total["cost_usd"].as_f64().unwrap() * 1e6).round() as i64;
    (total["requests"].as_u64().unwrap(), cost, total["sessions"].as_u64().unwrap())
}

fn said(sandbox: &Sandbox, words: &[&str]) -> String {
    let output = sandbox.run(words);
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn importing_an_export_twice_counts_it_once() {
    let (one, other) = (machine("a"), machine("t"));
    let file: PathBuf = one.home().join("usage.ccrun-ledger");
    let path = file.to_str().unwrap();
    assert!(said(&one, &["ledger", "export", path]).starts_with("wrote "));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let (before, own) = (total(&other), total(&one));
    said(&other, &["ledger", "import", path]);
    let both = (before.0 + own.0, before.1 + own.1, before.2 + own.2);
    assert_eq!(total(&other), both);
    assert!(said(&other, &["ledger", "import", path]).contains(": 0 records added"));
    assert_eq!(total(&other), both);
    let output = other.run(["report", "--by", "machine", "--json"]);
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows["rows"].as_array().unwrap().len(), 2);
}

#[test]
fn machines_sync_through_a_shared_directory() {
    let (one, other) = (machine("a"), machine("t"));
    let shared = tempfile::tempdir().unwrap();
    let path = shared.path().to_str().unwrap();
    for _ in 0..2 {
        for machine in [&one, &other] {
            said(machine, &["ledger", "sync", path]);
        }
    }
    assert_eq!(total(&one), total(&other));
    assert_eq!(total(&one).2, 7);
    said(&one, &["ledger", "sync", path]);
    assert!(!said(&one, &["ledger", "sync", path]).contains("added"), "a second sync changes nothing");
    std::os::unix::fs::symlink("/dev/zero", shared.path().join("0000000000000000.ccrun-ledger")).unwrap();
    let output = one.run(["ledger", "sync", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("0000000000000000"), "{}", text(&output.stderr));
}

#[test]
fn invalid_files_and_directories_are_reported() {
    let sandbox = machine("q");
    sandbox.write("project/text", "text");
    let cases: [(&[&str], &str); 4] = [
        (&["ledger", "import", "text"], "not a ledger export"),
        (&["ledger", "import", "missing"], "cannot be read"),
        (&["ledger", "sync", "missing"], "there is no directory"),
        (&["ledger", "export", "missing/file"], "cannot write"),
    ];
    for (words, expected) in cases {
        let output = sandbox.run(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(text(&output.stderr).contains(expected), "{words:?}: {}", text(&output.stderr));
    }
    for verb in ["import", "sync"] {
        let inside = sandbox.ccrun(["ledger", verb, "."]).env("CLAUDECODE", "1").output().unwrap();
        assert!(text(&inside.stderr).contains("inside"), "{verb}: {}", text(&inside.stderr));
    }
}
