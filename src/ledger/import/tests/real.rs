//! Transcripts that version 2.1.332 wrote, with a stand-in for the model. Their rows with usage are unchanged. The
//! client's events for the same sessions are stored beside them.

use std::path::{Path, PathBuf};

use super::*;

fn sessions(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/2.1.332").join(name)
}

fn imported(paths: &[PathBuf]) -> (Fixture, Imported) {
    let fixture = Fixture::new();
    let found = find(paths);
    let path = fixture.0.path().join("ledger-1.db");
    let imported = import(&path, &found.transcripts, &Options::default(), |_| Directory::default(), |_| {}).unwrap();
    let [before, after] = fixture.sums();
    assert_eq!(before, after);
    (fixture, imported)
}

/// Requests, cost and tokens of a session.
fn of(fixture: &Fixture, session: &str) -> (i64, i64, [i64; 4]) {
    let tokens = ["input", "output", "cache_read", "cache_creation"].map(|column| {
        fixture.ask(&format!(
            "SELECT coalesce(sum({column}), 0) FROM request r JOIN context c ON c.id = r.context
             JOIN text t ON t.id = c.session WHERE t.text LIKE '{session}%'"
        ))
    });
    let count = fixture.ask(&format!(
        "SELECT count(*) FROM request r JOIN context c ON c.id = r.context JOIN text t ON t.id = c.session
         WHERE t.text LIKE '{session}%' AND outcome = 0"
    ));
    let whole: String = fixture.ask(&format!("SELECT text FROM text WHERE text LIKE '{session}%'"));
    (count, fixture.cost_of(&whole), tokens)
}

#[test]
fn resumed_and_forked_sessions_and_subagents_are_counted() {
    let (fixture, imported) = imported(&[sessions("a")]);
    assert_eq!((imported.sessions, imported.faults), (3, Faults::default()));
    assert_eq!(of(&fixture, "b1d46c1a"), (3, 123_175_200, [3006, 606, 150_006, 12_006]));
    assert_eq!(of(&fixture, "a25bfc32"), (2, 82_262_800, [2009, 409, 100_009, 8009]));
    assert_eq!(of(&fixture, "042603dd"), (5, 206_168_000, [5040, 1040, 250_040, 20_040]));
    let counts = ["submission", "tool_call", "tool_call WHERE succeeded", "decision"];
    let counts = counts.map(|table| fixture.ask::<i64>(&format!("SELECT count(*) FROM {table}")));
    assert_eq!(counts, [5, 7, 4, 7]);
}

#[test]
fn requests_without_an_id_of_unknown_models_and_failed_ones_are_counted() {
    let (fixture, _) = imported(&[sessions("b")]);
    assert_eq!(of(&fixture, "68992b70"), (2, 82_087_600, [2003, 403, 100_003, 8003]));
    assert_eq!(of(&fixture, "87bfcb28"), (1, 41_087_600, [1003, 203, 50_003, 4003]));
    assert_eq!(fixture.ask::<i64>("SELECT count(*) FROM cost_state WHERE is_guessed = 1"), 1);
    assert_eq!(fixture.ask::<i64>("SELECT status FROM request WHERE outcome = 1"), 400);
}

#[test]
fn cleared_forked_killed_and_branched_sessions_are_counted() {
    let (fixture, _) = imported(&[sessions("t")]);
    assert_eq!(of(&fixture, "bf49c87f"), (1, 41_496_400, [1017, 217, 50_017, 4017]));
    assert_eq!(of(&fixture, "b684ed6a"), (2, 83_109_600, [2038, 438, 100_038, 8038]));
    assert_eq!(of(&fixture, "dcb4fd2d"), (1, 0, [1019, 219, 50_019, 4019]), "killed");
    assert_eq!(of(&fixture, "aa9136c1"), (1, 41_613_200, [1021, 221, 50_021, 4021]));
    assert_eq!(fixture.ask::<i64>("SELECT count(*) FROM transcript WHERE is_inexact = 1"), 0);
}

#[test]
fn prompts_that_were_typed_while_claude_worked_count() {
    let (fixture, _) = imported(&[sessions("q")]);
    assert_eq!(of(&fixture, "e760f678"), (3, 123_175_200, [3006, 606, 150_006, 12_006]));
    assert_eq!(fixture.ask::<i64>("SELECT count(*) FROM submission"), 4);
}

#[test]
fn copies_from_two_machines_count_once_in_any_order() {
    let all = ["a", "b", "t", "q"].map(sessions);
    let (one, _) = imported(&all);
    let reversed: Vec<_> = all.iter().rev().cloned().collect();
    let (other, _) = imported(&reversed);
    let (twice, _) = imported(&all);
    let copy = tempfile::tempdir().unwrap();
    for name in ["a", "t"] {
        let from = sessions(name).join("projects");
        let status = std::process::Command::new("cp").arg("-r").arg(from).arg(copy.path().join(name)).status();
        assert!(status.unwrap().success());
    }
    let found = find(&[copy.path().to_owned()]);
    let path = twice.0.path().join("ledger-1.db");
    let again = import(&path, &found.transcripts, &Options::default(), |_| Directory::default(), |_| {}).unwrap();
    assert_eq!((again.facts, again.unchanged), (0, 0));
    for fixture in [&other, &twice] {
        assert_eq!((fixture.requests(), fixture.cost()), (one.requests(), one.cost()));
    }
}
