//! Content leaves the machine only if `[content]` allows it, even if the client is configured otherwise.

use serde_json::{Map, json};

use super::profile;
use crate::privacy::is_stored;
use crate::support::backend::{Backend, Received};
use crate::support::claude::{Client, USAGE, can_be_managed, finish};
use crate::support::sandbox::{DEADLINE, text};
use crate::support::telemetry::{Kind, events, items};
use ccrun::doctor::live::model::Script;

/// Words in the prompt, the answer, a tool's input and its output.
const CANARIES: [&str; 4] = ["canary-prompt", "canary-answer", "canary-input", "canary-output"];

/// The tool call of the model. The word in its output is not in the command.
const COMMAND: &str = "true canary-input; printf 'canary-%s\\n' output";

const ALL_OFF: &str = "[content]\nuser_prompts = false\nassistant_responses = false\ntool_details = false\n\
                       tool_content = false\nraw_api_bodies = false\n";

/// Starts Claude Code in an environment that is changed after the launch, with all content switched on. An
/// administrator's settings, which override `ccrun`'s, could do the same.
const TOLD_OTHERWISE: &str = "export OTEL_LOG_USER_PROMPTS=1 OTEL_LOG_ASSISTANT_RESPONSES=1 OTEL_LOG_TOOL_DETAILS=1 \
    OTEL_LOG_TOOL_CONTENT=1 OTEL_LOG_RAW_API_BODIES=1; exec claude \"$@\"";

/// A client for a conversation with a prompt, a tool call and an answer.
fn client() -> Client {
    Client::new(Script::text("canary-answer").usage(USAGE).bash(COMMAND))
}

/// Asks a question in an environment with all content switched on.
fn ask_told_otherwise(client: &Client) {
    let mut command = client.ccrun(["-p", "team", "sh", "-c", TOLD_OTHERWISE, "claude"]);
    let output = finish(command.args(["-p", "canary-prompt", "--allowedTools", "Bash"]).spawn().unwrap());
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("canary-answer\n".to_owned(), String::new()));
}

/// Whether all signals of a session with a tool call have arrived.
fn is_complete(received: &[Received]) -> bool {
    let has_span = |name: &str| items(received).iter().any(|item| item.kind == Kind::Span && item.name == name);
    let has_point = items(received).iter().any(|item| matches!(item.kind, Kind::Point { .. }));
    has_span("interaction") && has_span("tool") && has_point && !events(received, "tool_result").is_empty()
}

/// The canary words in anything that arrived.
fn arrived(received: &[Received]) -> Vec<&'static str> {
    let is_in = |body: &[u8], word: &str| body.windows(word.len()).any(|window| window == word.as_bytes());
    CANARIES.into_iter().filter(|word| received.iter().any(|request| is_in(&request.body, word))).collect()
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn with_the_switches_off_no_content_is_stored_or_sent() {
    let (mut backend, client) = (Backend::start(), client());
    client.profile("team", format!("{}[signals]\ntraces = true\n{ALL_OFF}", profile(&backend, "http/protobuf")));
    backend.stop();
    ask_told_otherwise(&client);
    client.wait_for_end();
    assert!(is_stored(&client, "claude_code.tool_result"), "the undelivered data is in the store");
    for word in CANARIES {
        assert!(!is_stored(&client, word), "{word} is in the store");
    }
    backend.restart();
    let flushed = client.run(["queue", "flush"]);
    assert!(flushed.status.success(), "{}", text(&flushed.stderr));
    let received = backend.wait_for(is_complete, DEADLINE);
    assert_eq!(arrived(&received), [""; 0]);
    // The client did export content, and everything else arrived.
    assert!(!events(&received, "api_request_body").is_empty());
    let result = &events(&received, "tool_result")[0].attributes;
    assert_eq!((result["tool_name"].as_str(), result["success"].as_str()), ("Bash", "true"));
    assert_eq!(events(&received, "user_prompt")[0].attributes["prompt_length"], "13");
    assert_eq!(client.report_by("tool")[0]["tool_successes"], 1);
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn with_the_switches_on_content_arrives() {
    let (backend, client) = (Backend::start(), client());
    let on = ALL_OFF.replace("false", "true");
    client.profile("team", format!("{}[signals]\ntraces = true\n{on}", profile(&backend, "http/protobuf")));
    let command = client.claude(&["-p", "team"], ["-p", "canary-prompt", "--allowedTools", "Bash"]).spawn().unwrap();
    assert_eq!(text(&finish(command).stdout), "canary-answer\n");
    let received = backend.wait_for(is_complete, DEADLINE);
    assert_eq!(arrived(&received), CANARIES);
    let of = |name: &str, key: &str| events(&received, name)[0].attributes[key].clone();
    assert_eq!(of("user_prompt", "prompt"), "canary-prompt");
    assert!(
        events(&received, "assistant_response").iter().any(|event| event.attributes["response"] == "canary-answer")
    );
    assert!(of("tool_result", "tool_parameters").contains("canary-input"));
    assert!(of("api_request_body", "body").contains("canary-prompt"));
}

/// Each switch alone allows only its own content.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_switch_allows_only_its_own_content() {
    for (switch, expected) in [
        ("user_prompts", &CANARIES[..1]),
        ("assistant_responses", &CANARIES[1..2]),
        ("tool_details", &CANARIES[2..3]),
        ("tool_content", &CANARIES[3..]),
    ] {
        let (backend, client) = (Backend::start(), client());
        let content = ALL_OFF.replace(&format!("{switch} = false"), &format!("{switch} = true"));
        client.profile("team", format!("{}[signals]\ntraces = true\n{content}", profile(&backend, "http/protobuf")));
        ask_told_otherwise(&client);
        client.wait_for_end();
        let received = backend.wait_for(is_complete, DEADLINE);
        assert_eq!(arrived(&received), expected, "{switch}");
    }
}

/// An administrator's settings override all others, including `ccrun`'s. The command sees a private `/etc` in a mount
/// namespace that ends with its last process.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn the_switches_hold_against_managed_settings() {
    if !can_be_managed() {
        return;
    }
    let (backend, client) = (Backend::start(), client());
    client.profile("team", format!("{}[signals]\ntraces = true\n{ALL_OFF}", profile(&backend, "http/protobuf")));
    let names = ["USER_PROMPTS", "ASSISTANT_RESPONSES", "TOOL_DETAILS", "TOOL_CONTENT", "RAW_API_BODIES"];
    let variables: Map<_, _> = names.map(|name| (format!("OTEL_LOG_{name}"), json!("1"))).into_iter().collect();
    let files = [("managed-settings.json", json!({ "env": variables }))];
    let mut command = client.managed(&files, &["ccrun", "-p", "team", "claude", "-p", "canary-prompt"]);
    let output = finish(command.args(["--allowedTools", "Bash"]).spawn().unwrap());
    assert_eq!(text(&output.stdout), "canary-answer\n", "{}", text(&output.stderr));
    let received = backend.wait_for(is_complete, DEADLINE);
    client.wait_for_end();
    assert_eq!(arrived(&received), [""; 0]);
    assert!(!events(&received, "api_request_body").is_empty(), "the client exported content");
}
