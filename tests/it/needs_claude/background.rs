//! Background sessions, which continue after the launched process has ended.

use std::collections::BTreeSet;
use std::process::Output;

use serde_json::json;

use super::{complete, profile};
use crate::support::backend::{Backend, Received};
use crate::support::claude::{Client, USAGE, finish};
use crate::support::sandbox::{DEADLINE, text, wait_until};
use crate::support::telemetry::{events, items};
use crate::support::terminal::Terminal;
use ccrun::doctor::live::model::Script;

// The background service makes requests of its own to the model, about the state and the title of a job. They are in no
// telemetry, so a job counts only its conversation.

/// A client with permission to start background sessions. Their turns hang after one tool call.
fn client() -> Client {
    let client = Client::new(Script::text("the answer").usage(USAGE).bash("true").stalling());
    client.settle_in();
    client
}

/// Starts a background session with a question, waits until its turn hangs, and returns its id.
fn background(client: &Client, profile: &str) -> String {
    let before = client.model.stalled();
    let output =
        finish(client.claude(&["-p", profile], ["--bg", "--allowedTools=Bash", "a question"]).spawn().unwrap());
    assert!(output.status.success(), "{output:?}");
    wait_until("the background session to be in the middle of a turn", || client.model.stalled() > before);
    job(&output)
}

/// The id of the job that a launch with `--bg` started.
pub(super) fn job(output: &Output) -> String {
    let stdout = text(&output.stdout);
    let (_, rest) = stdout.split_once("claude stop ").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

/// Waits until a session that was launched later and is idle has been checked and has ended. Earlier sessions must
/// survive that.
fn outlive_a_later_session(client: &Client) {
    let before: BTreeSet<_> = client.collectors().into_iter().collect();
    assert!(finish(client.claude(&[], ["--version"]).spawn().unwrap()).status.success());
    wait_until("the later session to end", || client.collectors().into_iter().all(|pid| before.contains(&pid)));
    assert_eq!(client.collectors().into_iter().collect::<BTreeSet<_>>(), before);
}

pub(super) fn stop(client: &Client, job: &str) {
    let output = finish(client.claude(&["-p", "local"], ["stop", job]).spawn().unwrap());
    assert!(output.status.success(), "{output:?}");
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_background_session_keeps_its_collector_until_it_is_stopped() {
    let (backend, client) = (Backend::start(), client());
    client.profile("team", profile(&backend, "http/protobuf"));
    let job = background(&client, "team");
    assert_eq!(client.collectors().len(), 2);
    outlive_a_later_session(&client);
    client.model.release();
    let received = backend.wait_for(|received| complete(received, 2), DEADLINE);
    assert!(items(&received).iter().all(|item| item.resource["team.id"] == "platform"));

    stop(&client, &job);
    client.wait_for_end();
    let off = json!({"env": {"CLAUDE_CODE_ENABLE_TELEMETRY": "0"}});
    for file in client.settings() {
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&std::fs::read(&file).unwrap()).unwrap(), off);
    }
    assert!(client.queue().is_empty());
    wait_until("the background service to exit", || client.processes().is_empty());
}

/// All jobs run under one service, which has the environment of the process that started it. Only the service's roster
/// shows that the second job is running, because it exports nothing until its end.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn background_sessions_of_two_profiles_each_deliver_their_own() {
    let client = client();
    let backends = [Backend::start(), Backend::start()];
    let names = ["red", "blue"];
    let intervals = "[signals]\nmetric_interval = \"10m\"\nlog_interval = \"10m\"\n";
    for (name, backend) in names.iter().zip(&backends) {
        let profile = profile(backend, "http/protobuf").replace("platform", &format!("team {name}"));
        client.profile(name, profile + intervals);
    }
    let jobs = names.map(|name| background(&client, name));
    assert_eq!(client.collectors().len(), 4);
    outlive_a_later_session(&client);
    assert!(backends.iter().all(|backend| backend.received().is_empty()));
    for job in jobs {
        stop(&client, &job);
    }
    for (name, backend) in names.iter().zip(&backends) {
        let received = backend.wait_for(|received| complete(received, 1), DEADLINE);
        for item in items(&received) {
            assert_eq!(item.resource["ccrun.profile"], *name);
            assert_eq!(item.resource["team.id"], format!("team {name}"));
        }
    }
    client.wait_for_end();
    assert_eq!(client.report()["total"]["requests"], 2);
    let rows = client.report_by("profile,session");
    for name in names {
        let of: Vec<_> = rows.iter().filter(|row| row["profile"] == name).collect();
        assert!(of.len() == 1 && of[0]["requests"] == 1 && of[0]["prompts"] == 1, "{rows:?}");
    }
}

/// Two profiles with `--bg`. In one of them, ← moves a conversation in the middle of a turn to a worker of the same
/// service, under a new `session.id`. Then the launched process ends.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_conversation_moved_to_the_background_keeps_its_destination() {
    let client = client();
    let [red, blue] = [Backend::start(), Backend::start()];
    for (name, backend) in [("red", &red), ("blue", &blue)] {
        client.profile(name, profile(backend, "http/protobuf").replace("platform", &format!("team {name}")));
    }
    background(&client, "red");
    background(&client, "blue");
    let terminal = Terminal::start(&client, "ccrun -p blue claude --allowedTools=Bash");
    terminal.wait_for("❯");
    let before = client.model.stalled();
    terminal.enter("a question");
    wait_until("the conversation to be in the middle of a turn", || client.model.stalled() > before);
    terminal.press("Left");
    terminal.wait_for("moved to the background");
    wait_until("the worker to be in the middle of a turn", || client.model.stalled() > before + 1);
    wait_until("two interrupts to end the client", || {
        terminal.press("C-c");
        terminal.exit_code().is_some()
    });
    assert_eq!(client.collectors().len(), 2 * 3);
    outlive_a_later_session(&client);
    client.model.release();
    let conversations = |received: &[Received]| -> BTreeSet<_> {
        let requests = events(received, "api_request").into_iter();
        requests.map(|event| event.attributes["session.id"].clone()).collect()
    };
    // The job, and the conversation before and after it was moved.
    blue.wait_for(|received| conversations(received).len() == 3, DEADLINE);
    let output = finish(client.claude(&["-p", "local"], ["daemon", "stop", "--any"]).spawn().unwrap());
    assert!(output.status.success(), "{output:?}");
    client.wait_for_end();
    assert_eq!(conversations(&red.received()).len(), 1);
    for (name, backend) in [("red", &red), ("blue", &blue)] {
        assert!(items(&backend.received()).iter().all(|item| item.resource["team.id"] == format!("team {name}")));
    }
    let sessions = |backend: &Backend| -> BTreeSet<_> {
        items(&backend.received()).into_iter().map(|item| item.resource["ccrun.session"].clone()).collect()
    };
    assert_eq!((sessions(&red).len(), sessions(&blue).len()), (1, 2), "the worker belongs to the moved session");
    assert_eq!(client.report()["total"]["sessions"], 4, "three conversation ids, two of them for one conversation");
    assert!(client.queue().is_empty());
}

/// A restarted job finds its settings file, with telemetry off and the user's part unchanged.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_job_that_starts_again_after_its_session_finds_its_settings() {
    let (backend, client) = (Backend::start(), client());
    client.profile("team", profile(&backend, "http/protobuf"));
    let hook = json!([{"hooks": [{"type": "command", "command": "echo x >> \"$HOME/hooked\""}]}]);
    let own = json!({"env": {"MINE": "1"}, "hooks": {"SessionStart": hook}}).to_string();
    let words = ["--settings", &own, "--bg", "--allowedTools=Bash", "a question"];
    let output = finish(client.claude(&["-p", "team"], words).spawn().unwrap());
    assert!(output.status.success(), "{output:?}");
    wait_until("the background session to be in the middle of a turn", || client.model.stalled() > 0);
    let job = job(&output);
    client.model.release();
    stop(&client, &job);
    client.wait_for_end();
    let file = client.settings().into_iter().find(|file| std::fs::read_to_string(file).unwrap().contains("MINE"));
    let ended: serde_json::Value = serde_json::from_slice(&std::fs::read(file.unwrap()).unwrap()).unwrap();
    assert_eq!(ended["env"], json!({"MINE": "1", "CLAUDE_CODE_ENABLE_TELEMETRY": "0"}));
    let hooked = || std::fs::read_to_string(client.home().join("hooked")).unwrap_or_default().lines().count();
    let before = hooked();
    assert!(before > 0);
    let output = finish(client.claude(&["-p", "local"], ["respawn", &job]).spawn().unwrap());
    assert!(output.status.success(), "{output:?}");
    wait_until("its hook to run again", || hooked() > before);
    stop(&client, &job);
    client.wait_for_end();
}
