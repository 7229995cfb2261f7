//! The README's demo, as a newcomer runs it.

use std::process::Command;

use crate::support::sandbox::{Sandbox, text};

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn the_demo_shows_a_session_and_its_report() {
    let sandbox = Sandbox::new();
    sandbox.link("claude", std::env::var("TEST_CLAUDE").expect("TEST_CLAUDE is the path of the real Claude Code"));
    // It builds in the environment of the tests. Everything else runs in the demo's own directories.
    let path = format!("{}:{}", sandbox.home().with_file_name("bin").display(), std::env::var("PATH").unwrap());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/demo.sh");
    let output = Command::new("bash").arg(script).env("PATH", path).output().unwrap();
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}");
    for part in ["$ ccrun claude -p \"say hi\"", "a stand-in for the model", "$ ccrun report", "1,590"] {
        assert!(shown.contains(part), "{part} is missing from {shown}");
    }
    assert!(said.contains("stand-ins: the model") && said.contains("real: ccrun, its collector, and Claude Code"));
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn the_demo_uses_the_installers_build_unless_it_is_outdated() {
    let sandbox = Sandbox::new();
    sandbox.link("claude", std::env::var("TEST_CLAUDE").expect("TEST_CLAUDE is the path of the real Claude Code"));
    sandbox.program("cargo", "#!/bin/sh\necho 'cargo was asked' >&2\nexit 1\n");
    let target = sandbox.home().join("target");
    std::fs::create_dir_all(target.join("release")).unwrap();
    // A fresh copy is newer than the sources.
    std::fs::copy(env!("CARGO_BIN_EXE_ccrun"), target.join("release/ccrun")).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/demo.sh");
    let demo = || sandbox.command("bash").arg(script).env("CARGO_TARGET_DIR", &target).output().unwrap();
    let output = demo();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("$ ccrun report") && !text(&output.stderr).contains("cargo was asked"));
    // A build older than the sources would run outdated code.
    let old = std::fs::File::options().write(true).open(target.join("release/ccrun")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH).unwrap();
    let output = demo();
    assert!(!output.status.success() && text(&output.stderr).contains("cargo was asked"), "{}", text(&output.stderr));
}
