//! A wired editor: each window has its own session with its project's profile, whether or not `ccrun` started the
//! editor, and regardless of the user's shell.

use std::process::Command;

use super::{BASHRC, assert_nothing_is_left, client, distinct, profile, turns};
use crate::support::backend::Backend;
use crate::support::claude::Client;
use crate::support::sandbox::{DEADLINE, text, wait_until};
use crate::support::telemetry::items;
use crate::support::vscode::{Editor, answers, bashrc, folder};

#[test]
#[ignore = "needs TEST_VSCODE and TEST_CLAUDE; scripts/test.sh runs it"]
fn in_an_editor_that_was_started_without_ccrun() {
    assert_each_window_is_its_projects(|client| client.command("code"), 0);
}

#[test]
#[ignore = "needs TEST_VSCODE and TEST_CLAUDE; scripts/test.sh runs it"]
fn in_an_editor_that_was_launched_by_ccrun() {
    assert_each_window_is_its_projects(|client| client.ccrun(["-p", "team", "code"]), 2);
}

/// Checks every window. The editor's own collector consists of the processes `own`.
#[track_caller]
fn assert_each_window_is_its_projects(command: impl Fn(&Client) -> Command, own: usize) {
    let [team, elsewhere] = [Backend::start(), Backend::start()];
    let backends = [Backend::start(), Backend::start()];
    let client = client(&team);
    bashrc(&client, &format!("{BASHRC}{}\n", elsewhere.endpoint()));
    let projects = ["one", "two"].map(|name| folder(&client, name, None));
    for (project, backend) in projects.iter().zip(&backends) {
        let name = project.file_name().unwrap().to_str().unwrap();
        client.write(project.join(".ccrun.toml"), profile(backend, name));
        run(&client, &["trust", "--yes", project.to_str().unwrap()]);
    }
    let settings = client.home().join(".local/share/code-server/User/settings.json");
    let before = std::fs::read_to_string(&settings).unwrap();
    run(&client, &["wire", "code"]);

    let mut editor = Editor::start(&client, command(&client));
    for project in &projects {
        editor.open(project);
    }
    editor.reload(&projects[0]);
    let both = || backends.iter().map(|backend| turns(&backend.received()));
    wait_until("all records to arrive", || {
        let (prompts, requests): (Vec<_>, Vec<_>) = both().unzip();
        prompts == [2, 1] && requests.iter().sum::<usize>() == client.questions()
    });
    for project in &projects {
        editor.close(project);
    }
    // The server is still running. A window's session ends with the window.
    wait_until("the windows' sessions to end", || client.collectors().len() == own);
    editor.end();
    run(&client, &["unwire", "code"]);
    assert_eq!(std::fs::read_to_string(&settings).unwrap(), before);
    assert!(!client.state().join("wired/ccrun-wrap").is_symlink());
    assert_nothing_is_left(&client);

    for ((name, backend), sessions) in ["one", "two"].iter().zip(&backends).zip([2, 1]) {
        let received = backend.received();
        assert!(items(&received).iter().all(|item| item.resource["team.id"] == *name));
        assert_eq!(distinct(&received, "ccrun.session").len(), sessions, "a reloaded window starts a new session");
        assert!(answers(&client, name).iter().all(|line| line["type"] != "stderr"));
    }
    for backend in [&team, &elsewhere] {
        backend.wait_for(|received| items(received).is_empty(), DEADLINE);
    }
}

#[track_caller]
fn run(client: &Client, words: &[&str]) {
    let output = client.run(words);
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
}
