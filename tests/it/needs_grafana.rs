//! Grafana's own SDK reads the boards where it is strict.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::sandbox::{Sandbox, text};

#[test]
#[ignore = "needs TEST_GRAFANA_SDK; scripts/test.sh runs it"]
fn the_strict_reader_accepts_the_boards_and_no_unknown_field() {
    let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards/grafana");
    for name in ["usage.json", "events.json"] {
        let read = read(&boards.join(name));
        assert!(read.status.success(), "{}", text(&read.stderr));
    }
    let sandbox = Sandbox::new();
    let board = std::fs::read_to_string(boards.join("usage.json")).unwrap();
    let read = read(&sandbox.write("wrong.json", board.replace("\"gridPos\"", "\"gridPlace\"")));
    assert!(!read.status.success() && text(&read.stderr).contains("gridPlace"), "{}", text(&read.stderr));
}

fn read(board: &Path) -> Output {
    let program = std::env::var("TEST_GRAFANA_SDK").expect("TEST_GRAFANA_SDK is the path of the program");
    Command::new(program).arg(board).output().unwrap()
}
