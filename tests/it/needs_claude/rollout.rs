//! An administrator's managed settings, used by Claude Code.

use serde_json::Value;

use super::{complete, profile};
use crate::support::backend::Backend;
use crate::support::claude::{Client, USAGE, can_be_managed, finish};
use crate::support::sandbox::{DEADLINE, text};
use crate::support::telemetry::{events, items};
use ccrun::doctor::live::model::Script;

/// The file that `ccrun managed-settings` prints for the profile `team`.
fn file(client: &Client, options: &[&str]) -> Value {
    let program = client.home().with_file_name("bin").join("ccrun");
    let fixed = ["managed-settings", "-p", "team", "--ccrun", program.to_str().unwrap()];
    let output = client.run([&fixed, options].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn without_a_launcher_claude_exports_with_headers_from_the_profile() {
    if !can_be_managed() {
        return;
    }
    let (backend, mut client) = (Backend::start(), Client::new(Script::text("the answer").usage(USAGE)));
    client.set("TOKEN", "sk-1, sk-2");
    let headers =
        "headers.authorization = { env = \"TOKEN\", format = \"Bearer {}\" }\nheaders.x-scope = \"platform\"\n";
    client.profile("team", profile(&backend, "http/protobuf") + headers);
    let file = file(&client, &[]);
    assert!(!file.to_string().contains("sk-1"), "{file}");
    let mut command = client.managed(&[("managed-settings.json", file)], &["claude", "-p", "a question"]);
    let output = finish(command.spawn().unwrap());
    assert_eq!(text(&output.stdout), "the answer\n", "{}", text(&output.stderr));
    let received = backend.wait_for(|received| complete(received, client.questions()), DEADLINE);
    for (name, value) in [("authorization", "Bearer sk-1, sk-2"), ("x-scope", "platform")] {
        assert!(received.iter().all(|request| request.header(name) == value), "{name}: {received:?}");
    }
    assert!(items(&received).iter().all(|item| item.resource["team.id"] == "platform"));
    assert!(!received.iter().any(|request| text(&request.body).contains("a question")));
    assert!(!client.state().join("store-2.db").exists(), "no launcher was involved");
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn with_a_launcher_everything_arrives_and_claude_cannot_run_dangerous_verbs() {
    if !can_be_managed() {
        return;
    }
    let (backend, client) = (Backend::start(), Client::new(Script::text("the answer").bash("ccrun secret list")));
    client.profile("team", profile(&backend, "http/protobuf"));
    let file = file(&client, &["--with-launcher"]);
    let words = ["ccrun", "-p", "team", "claude", "-p", "a question", "--allowedTools", "Bash"];
    let mut command = client.managed(&[("managed-settings.json", file)], &words);
    let output = finish(command.spawn().unwrap());
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("the answer\n".to_owned(), String::new()));
    let received = backend.wait_for(|received| complete(received, client.questions()), DEADLINE);
    let decisions = events(&received, "tool_decision");
    assert!(
        !decisions.is_empty() && decisions.iter().all(|one| one.attributes["decision"] == "reject"),
        "{decisions:?}"
    );
    assert!(client.prompts().iter().any(|prompt| prompt.contains("a question")));
}
