//! `ccrun top` without a terminal. `needs_claude::tmux::top` has what it shows on one.

use crate::support::sandbox::{Sandbox, text};

#[test]
fn without_a_terminal_it_names_the_report() {
    let output = Sandbox::new().run(["top"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("ccrun report") && output.stdout.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn a_program_of_that_name_is_run() {
    let sandbox = Sandbox::new();
    sandbox.program("top", "#!/bin/sh\necho \"the other one: $*\"\n");
    let output = sandbox.run(["run", "top", "-b"]);
    assert_eq!(text(&output.stdout), "the other one: -b\n", "{}", text(&output.stderr));
}
