//! How sessions end: exit codes, signals, and what still arrives.

use std::os::unix::process::ExitStatusExt;

use super::profile;
use crate::support::backend::{Backend, Received};
use crate::support::claude::{Client, USAGE, finish, pid};
use crate::support::sandbox::{DEADLINE, is_collector, kill, parent, pids, text, wait_until};
use crate::support::telemetry::{events, has_metric, sums};
use ccrun::doctor::live::model::Script;

/// Whether everything that a client has counted before its turn hung after one tool call has arrived.
fn has_first_half(received: &[Received]) -> bool {
    let events =
        ["user_prompt", "api_request", "tool_decision", "tool_result"].map(|name| events(received, name).len());
    let metrics = ["session.count", "token.usage", "cost.usage"];
    events == [1; 4] && metrics.iter().all(|name| has_metric(received, name))
}

/// Ends a client in the middle of a turn. It exports by itself only every few minutes, so what arrives was exported
/// when it ended.
fn loses_nothing(signal: &str, code: i32) {
    let (backend, client) = (Backend::start(), Client::new(Script::text("never").usage(USAGE).bash("true").stalling()));
    let intervals = "[signals]\nmetric_interval = \"10m\"\nlog_interval = \"10m\"\n";
    client.profile("team", profile(&backend, "http/protobuf") + intervals);
    let child = client.stall(&["-p", "team"], "a question");
    assert_eq!(backend.received().len(), 0);
    kill(pid(&child), signal);
    let output = finish(child);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(text(&output.stderr), "");
    let received = backend.wait_for(has_first_half, DEADLINE);
    assert_eq!(sums(&received, "token.usage", "type")["cacheRead"].to_string(), USAGE.cache_read.to_string());
    assert_eq!(client.report()["total"]["input_tokens"], USAGE.input);
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn sigterm_during_a_turn_loses_nothing() {
    loses_nothing("TERM", 143);
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn sighup_during_a_turn_loses_nothing() {
    loses_nothing("HUP", 129);
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn sigint_during_a_turn_loses_nothing() {
    loses_nothing("INT", 0);
}

/// Data older than an interval arrives while the client is running, so killing it cannot lose that.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn sigkill_during_a_turn_loses_at_most_one_interval() {
    let (backend, client) = (Backend::start(), Client::new(Script::text("never").usage(USAGE).bash("true").stalling()));
    let intervals = "[signals]\nmetric_interval = \"1s\"\nlog_interval = \"1s\"\n";
    client.profile("team", profile(&backend, "http/protobuf") + intervals);
    let mut child = client.stall(&["-p", "team"], "a question");
    backend.wait_for(has_first_half, DEADLINE);
    assert!(child.try_wait().unwrap().is_none());
    kill(pid(&child), "KILL");
    assert_eq!(finish(child).status.signal(), Some(9));
    client.wait_for_end();
    assert!(client.queue().is_empty());
    let total = &client.report()["total"];
    assert_eq!((&total["input_tokens"], &total["prompts"]), (&USAGE.input.into(), &1.into()));
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn the_launched_process_is_claude_itself_without_children_of_ccrun() {
    let client = Client::new(Script::text("the answer").stalling());
    let child = client.stall(&[], "a question");
    let executable = std::fs::read_link(format!("/proc/{}/exe", child.id())).unwrap();
    assert_eq!(executable, std::fs::canonicalize(client.home().join("../bin/claude")).unwrap());
    let collectors = client.collectors();
    assert_eq!(collectors.len(), 2, "a keeper and a worker are running");
    let children: Vec<_> = pids().filter(|other| parent(*other) == pid(&child)).collect();
    assert!(!children.iter().any(|other| is_collector(*other) || collectors.contains(other)), "{children:?}");
    assert_eq!(parent(collectors[1]), collectors[0]);
    client.model.release();
    assert_eq!(text(&finish(child).stdout), "the answer\n");
    client.wait_for_end();
    wait_until("all processes to exit", || client.processes().is_empty());
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_failure_of_claude_looks_the_same_as_without_ccrun() {
    let client = Client::new(Script::text("never"));
    let direct = finish(client.command(client.home().join("../bin/claude")).arg("--no-such-option").spawn().unwrap());
    let launched = finish(client.claude(&[], ["--no-such-option"]).spawn().unwrap());
    assert!(!direct.status.success() && !direct.stderr.is_empty(), "{direct:?}");
    assert_eq!(launched, direct);
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_wrapper_script_keeps_its_exit_code_and_its_claude_is_recorded() {
    let (backend, client) = (Backend::start(), Client::new(Script::text("the answer").usage(USAGE)));
    client.profile("team", profile(&backend, "http/protobuf"));
    let wrapper = client.program("wrapper", "#!/bin/sh\nclaude -p \"$1\"\nexit 3\n");
    let output = finish(client.ccrun(["-p", "team", wrapper.to_str().unwrap(), "two  words"]).spawn().unwrap());
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(3), "the answer\n".to_owned()));
    backend.wait_for(|received| super::complete(received, client.questions()), DEADLINE);
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn arguments_reach_the_model_byte_for_byte() {
    let client = Client::new(Script::text("the answer"));
    let prompt = "two  spaces, \"double\" and 'single' quotes, $HOME `id` \\ %20 = * ? ;\nüñî 🚀\t--settings -- ";
    let rules = "rules with  \"quotes\" and 'more'";
    let output = finish(client.claude(&[], ["-p", prompt, "--append-system-prompt", rules]).spawn().unwrap());
    assert!(output.status.success(), "{output:?}");
    assert!(client.prompts().iter().any(|found| found == prompt), "{:?}", client.prompts());
    assert!(client.model.requests().iter().any(|request| {
        let system = request.body["system"].as_array().into_iter().flatten();
        system.filter_map(|block| block["text"].as_str()).any(|text| text.contains(rules))
    }));
}
