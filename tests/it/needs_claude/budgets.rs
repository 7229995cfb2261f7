//! Budgets that speak through the hooks of the real Claude Code.

use std::path::Path;

use serde_json::{Value, json};

use ccrun::doctor::live::model::Script;
use ccrun::otlp::Signal;

use super::background::{job, stop};
use super::wrap::{Conversation, wrapper};
use crate::hooks::found;
use crate::support::claude::{Client, can_be_managed, finish};
use crate::support::emitter::Emitter;
use crate::support::sandbox::{text, wait_until};
use crate::tail::event;

/// A budget that stops at ten dollars.
pub(super) const STOPS: &str = "[budget]\ndaily = 10\nper = \"profile\"\nstop = true\nwarn = [50]\n";

/// The content of the session's settings file.
pub(super) fn settings(client: &Client) -> Value {
    wait_until("the settings", || client.settings().len() == 1);
    serde_json::from_slice(&std::fs::read(&client.settings()[0]).unwrap()).unwrap()
}

/// Spends so many dollars in the running session, besides what its client reports.
pub(super) fn spend(client: &Client, number: u64, dollars: &str) {
    let endpoint = settings(client)["env"]["OTEL_EXPORTER_OTLP_ENDPOINT"].as_str().unwrap().to_owned();
    let request = event("api_request", number, &[("model", "claude-opus-5-5"), ("cost_usd", dollars)]);
    assert_eq!(Emitter::new(&endpoint).post(Signal::Logs, &request).unwrap().status, 200);
}

/// A client whose first request to the model fails a few times, which leaves time to spend something in between.
pub(super) fn delayed(sandbox_settings: &Value) -> Client {
    let client = Client::new(Script::text("the answer is here").bash("echo ran").failing(500, 3));
    client.profile("team", STOPS);
    client.settle_in();
    client.write("home/.claude/settings.json", sandbox_settings.to_string());
    client
}

/// Whether the model was told that the tool was denied.
pub(super) fn was_told_why(client: &Client) -> bool {
    client
        .model
        .requests()
        .iter()
        .any(|request| request.body.to_string().contains("the daily budget of $10.00 per profile is spent"))
}

/// With a proxy in the user's settings that leads nowhere, the user's own hook, and a debug log.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn in_print_mode_a_tool_is_denied_and_nothing_of_the_hook_is_written() {
    let own = json!({"matcher": "Bash", "hooks": [{"type": "command", "command": "touch $HOME/own-hook-ran"}]});
    let client = delayed(&json!({"env": {"HTTP_PROXY": "http://127.0.0.1:9"}, "hooks": {"PreToolUse": [own]}}));
    let words = ["-p", "canary-of-the-prompt", "--allowedTools", "Bash", "--debug"];
    let child = client.claude(&["-p", "team"], words).spawn().unwrap();
    wait_until("the first attempt", || client.questions() > 0);
    let content = settings(&client);
    let token = content["hooks"]["PreToolUse"][0]["hooks"][0]["headers"]["x-ccrun-hook"].as_str().unwrap().to_owned();
    spend(&client, 1, "11");
    let output = finish(child);
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("the answer is here"), "{output:?}");
    assert!(was_told_why(&client));
    assert!(client.home().join("own-hook-ran").exists());
    client.wait_for_end();
    assert_eq!(found(&client.home(), &[token.as_bytes()]), Vec::<String>::new());
    let state = client.state();
    assert_eq!(found(&state, &[b"canary-of-the-prompt"]), Vec::<String>::new());
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn managed_settings_that_restrict_hooks_are_obeyed() {
    if !can_be_managed() {
        return;
    }
    let run = |managed: Value| {
        let client = delayed(&json!({}));
        let files = [("managed-settings.json", managed)];
        let words = ["ccrun", "-p", "team", "claude", "-p", "a question", "--allowedTools", "Bash"];
        let child = client.managed(&files, &words).spawn().unwrap();
        wait_until("the first attempt", || client.questions() > 0);
        spend(&client, 1, "11");
        let output = finish(child);
        assert!(output.status.success(), "{output:?}");
        (was_told_why(&client), text(&output.stderr))
    };
    let (is_denied, said) = run(json!({"allowedHttpHookUrls": ["https://corp/*"]}));
    assert!(is_denied && !said.contains("budgets give"), "the verb asks: {said}");
    let (is_denied, said) = run(json!({"allowManagedHooksOnly": true}));
    assert!(!is_denied && said.contains("`allowManagedHooksOnly` in"), "{said}");
    assert!(said.contains(Path::new("/etc/claude-code/managed-settings.json").to_str().unwrap()), "{said}");
}

/// The user's own hook holds the subagent back until the budget is spent.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_subagents_tool_is_denied() {
    let agent = json!({"description": "looks", "prompt": "look", "subagent_type": "general-purpose"});
    let client = Client::new(Script::text("the answer").tool("Agent", agent).bash("touch \"$HOME/ran\""));
    client.profile("team", STOPS);
    let waits = "touch \"$HOME/begun\"; until [ -e \"$HOME/spent\" ]; do sleep 0.05; done";
    let own = json!({"hooks": {"SubagentStart": [{"hooks": [{"type": "command", "command": waits}]}]}});
    client.write("home/.claude/settings.json", own.to_string());
    let child = client.claude(&["-p", "team"], ["-p", "a question", "--allowedTools", "Bash,Agent"]).spawn().unwrap();
    wait_until("the subagent", || client.home().join("begun").exists());
    spend(&client, 1, "11");
    client.write("home/spent", "");
    let output = finish(child);
    assert!(output.status.success(), "{output:?}");
    assert!(was_told_why(&client) && !client.home().join("ran").exists());
    client.wait_for_end();
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn in_a_background_session_a_tool_is_denied_and_the_turn_ends() {
    let client = delayed(&json!({}));
    let words = ["--bg", "--allowedTools=Bash", "a question"];
    let output = finish(client.claude(&["-p", "team"], words).spawn().unwrap());
    assert!(output.status.success(), "{output:?}");
    wait_until("the first attempt", || client.questions() > 0);
    spend(&client, 1, "11");
    let files = client.home().join(".claude");
    let reason: &[u8] = b"the daily budget of $10.00 per profile is spent";
    wait_until("the reason in the transcript", || !found(&files, &[reason]).is_empty());
    stop(&client, &job(&output));
    client.wait_for_end();
    assert!(!was_told_why(&client), "there was no further request");
}

/// An extension's Claude Code, which reads prompts as JSON on its standard input.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn an_extension_is_told_why_a_prompt_is_blocked() {
    let client = Client::new(Script::text("the answer"));
    client.profile("team", STOPS);
    client.write("home/.config/ccrun/config.toml", "profile = \"team\"\n");
    let mut conversation = Conversation::start(client.command(wrapper(&client)), &client);
    assert_eq!(conversation.ask("a question"), "the answer");
    spend(&client, 1, "11");
    // On a busy machine a prompt is not kept waiting for the spend.
    let mut number = 0;
    let is_told = |said: Vec<String>| said.iter().any(|line| line.contains("budget of $10.00 per profile is spent"));
    wait_until("a prompt to be blocked", || {
        number += 1;
        is_told(conversation.messages(&format!("question {number}")))
    });
    let last = format!("question {number}");
    assert!(!client.prompts().iter().any(|prompt| prompt.contains(&last)));
    conversation.end();
    client.wait_for_end();
}
