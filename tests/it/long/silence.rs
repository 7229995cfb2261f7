//! A Claude Code that works for a minute and exports nothing.

use std::time::Duration;

use serde_json::Value;

use crate::support::sandbox::{Sandbox, text, wait_within};

/// The silence is noticed after a minute. This limit only applies on failure.
const LIMIT: Duration = Duration::from_mins(3);

#[test]
#[ignore = "takes a minute; scripts/test.sh --all runs it"]
fn silence_is_reported_by_sessions_doctor_and_the_next_launch() {
    let sandbox = Sandbox::new();
    // A stand-in that records activity as Claude Code does, and exports nothing.
    sandbox.program(
        "claude",
        "#!/bin/sh\n[ \"$3\" != done ] || exit 0\nmkdir -p \"$HOME/.claude/sessions\"\n\
         echo \"{\\\"pid\\\": $$, \\\"status\\\": \\\"busy\\\"}\" > \"$HOME/.claude/sessions/$$.json\"\n\
         while [ ! -e \"$HOME/enough\" ]; do sleep 0.1; done\n",
    );
    let mut claude = sandbox.ccrun(["-p", "local", "claude"]).spawn().unwrap();
    let sessions =
        || -> Vec<Value> { serde_json::from_slice(&sandbox.run(["sessions", "--json"]).stdout).unwrap_or_default() };
    let missed = "has been working for 1 min, and none of its telemetry has arrived";
    wait_within(LIMIT, "the silence to be noticed", || sessions().iter().any(|session| session["message"] == missed));
    let found = text(&sandbox.run(["doctor", "-p", "local", "--json", "--timeout", "1m"]).stdout);
    assert!(
        found.contains("\"store.silent\"") && found.contains("nothing has arrived from a session of `claude`"),
        "{found}"
    );
    std::fs::write(sandbox.home().join("enough"), "").unwrap();
    assert!(claude.wait().unwrap().success());
    let said = text(&sandbox.run(["-p", "local", "claude", "done"]).stderr);
    assert!(said.contains(missed) && said.lines().count() == 1, "{said}");
    assert_eq!(text(&sandbox.run(["-p", "local", "claude", "done"]).stderr), "");
}
