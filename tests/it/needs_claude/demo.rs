//! The README's first command, as a newcomer runs it.

use std::process::Command;

use crate::support::sandbox::{Sandbox, text};

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn the_demo_shows_a_session_and_its_report() {
    let sandbox = Sandbox::new();
    sandbox.link("claude", std::env::var("TEST_CLAUDE").expect("TEST_CLAUDE names the real Claude Code"));
    // It builds with whatever cargo finds around the tests; everything else runs in directories of its own.
    let path = format!("{}:{}", sandbox.home().with_file_name("bin").display(), std::env::var("PATH").unwrap());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/demo.sh");
    let output = Command::new("bash").arg(script).env("PATH", path).output().unwrap();
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}");
    for part in ["$ ccrun claude -p \"say hi\"", "a stand-in for the model", "$ ccrun report", "1,200 input, 40 output"]
    {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(said.contains("stand-ins: the model") && said.contains("real: ccrun, its collector, and Claude Code"));
}
