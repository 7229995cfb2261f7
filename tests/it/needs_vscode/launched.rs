//! An editor launched by `ccrun`, whose windows share its session.

use super::{BASHRC, assert_nothing_is_left, client, distinct, turns};
use crate::needs_python::EMIT;
use crate::support::backend::Backend;
use crate::support::sandbox::{DEADLINE, wait_until};
use crate::support::telemetry::items;
use crate::support::vscode::{Editor, bashrc, folder};

#[test]
#[ignore = "needs TEST_VSCODE, TEST_CLAUDE and TEST_PYTHON; scripts/test.sh runs it"]
fn all_windows_deliver_in_one_session_and_other_programs_are_rejected() {
    let team = Backend::start();
    let client = client(&team);
    client.write("emit.py", EMIT);
    let python = std::env::var("TEST_PYTHON").unwrap();
    let emit = format!("{python} ../emit.py http/protobuf 300; echo $? > ~/emitted");
    let [one, two] = [folder(&client, "one", Some(&emit)), folder(&client, "two", None)];
    let mut editor = Editor::start(&client, client.ccrun(["-p", "team", "code"]));
    editor.open(&one);
    editor.open(&two);
    editor.reload(&two);
    let emitted = || std::fs::read_to_string(client.home().join("emitted")).unwrap_or_default();
    wait_until("the terminal's program to exit", || emitted().ends_with('\n'));
    assert_eq!(emitted(), "0\n");
    editor.close(&one);
    editor.close(&two);
    let received = team.wait_for(|received| turns(received) == (3, client.questions()), DEADLINE);
    assert_eq!(client.collectors().len(), 2, "the server keeps the session, because it may open more windows");
    editor.end();
    assert_nothing_is_left(&client);
    assert_eq!(distinct(&received, "ccrun.session").len(), 1);
    assert_eq!(distinct(&team.received(), "service.name"), ["claude-code".to_owned()].into());
    assert!(items(&received).iter().all(|item| item.resource["team.id"] == "the team"));
    let sessions = client.run(["sessions", "--all", "--json"]);
    let sessions: serde_json::Value = serde_json::from_slice(&sessions.stdout).unwrap();
    // The same number of spans, log records and points of a counter.
    assert_eq!(
        (sessions.as_array().unwrap().len(), &sessions[0]["refused"]),
        (1, &serde_json::json!(900)),
        "{sessions}"
    );
}

/// `OTEL_*` variables in the user's shell profile override the launch. Then only the wrapper helps.
#[test]
#[ignore = "needs TEST_VSCODE and TEST_CLAUDE; scripts/test.sh runs it"]
fn a_users_login_shell_overrides_the_launch() {
    let [team, elsewhere] = [Backend::start(), Backend::start()];
    let client = client(&team);
    bashrc(&client, &format!("{BASHRC}{}\n", elsewhere.endpoint()));
    let one = folder(&client, "one", None);
    let mut editor = Editor::start(&client, client.ccrun(["-p", "team", "code"]));
    editor.open(&one);
    editor.close(&one);
    elsewhere.wait_for(|received| turns(received) == (1, client.questions()), DEADLINE);
    editor.end();
    assert_nothing_is_left(&client);
    assert!(items(&team.received()).is_empty());
}
