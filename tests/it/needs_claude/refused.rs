//! Claude Code skips a settings file with invalid values. The file of `ccrun` is always accepted.

use serde_json::{Map, Value, json};

use super::{complete, profile};
use crate::support::backend::Backend;
use crate::support::claude::{Client, USAGE, finish};
use crate::support::sandbox::{DEADLINE, text};
use ccrun::doctor::live::model::Script;

/// A word in the prompt, which no profile here allows.
const CANARY: &str = "canary-1846";

/// A client whose user exports telemetry with prompts, and a profile that overrides that.
fn with_telemetry_of_its_own(backend: &Backend, elsewhere: &Backend) -> Client {
    let client = Client::new(Script::text("the answer").usage(USAGE));
    client.profile("team", profile(backend, "http/protobuf"));
    let own = json!({"env": {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": elsewhere.endpoint(),
        "OTEL_LOG_USER_PROMPTS": "1",
    }});
    client.write("home/.claude/settings.json", own.to_string());
    client
}

/// Asks with these arguments, and checks that everything went to the profile's backend. Returns stderr.
fn asked(client: &Client, backend: &Backend, elsewhere: &Backend, words: &[&str]) -> String {
    let before = client.questions();
    backend.clear();
    let question = ["-p", &format!("what is {CANARY}?")];
    let output = finish(client.claude(&["-p", "team"], question).args(words).spawn().unwrap());
    let said = text(&output.stderr);
    assert_eq!(text(&output.stdout), "the answer\n", "{said}");
    let received = backend.wait_for(|received| complete(received, client.questions() - before), DEADLINE);
    assert!(!received.iter().any(|request| text(&request.body).contains(CANARY)));
    assert!(elsewhere.received().is_empty(), "{words:?}");
    said
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_wrong_type_in_the_users_settings_does_not_disable_ccruns() {
    let (backend, elsewhere) = (Backend::start(), Backend::start());
    let client = with_telemetry_of_its_own(&backend, &elsewhere);
    for (settings, key) in [
        (json!({"cleanupPeriodDays": "30"}), "cleanupPeriodDays"),
        (json!({"permissions": {"allow": "Bash"}}), "permissions.allow"),
        (json!({"hooks": {"PreToolUse": [{"matcher": 1, "hooks": []}]}}), "hooks.PreToolUse[0].matcher"),
        (json!({"PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "x"}]}]}), "PreToolUse"),
    ] {
        let said = asked(&client, &backend, &elsewhere, &["--settings", &settings.to_string()]);
        let begins = format!("ccrun: --settings: `{key}` ");
        assert!(said.starts_with(&begins) && said.lines().count() == 1, "{said}");
    }
    let comma = client.write("project/comma.json", "{\"model\": \"x\",}");
    let said = asked(&client, &backend, &elsewhere, &["--settings", comma.to_str().unwrap()]);
    assert!(said.starts_with("ccrun: --settings is not valid JSON: line 1, ") && said.lines().count() == 1, "{said}");
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_wrong_type_in_the_profiles_settings_does_not_disable_ccruns() {
    let (backend, elsewhere) = (Backend::start(), Backend::start());
    let client = with_telemetry_of_its_own(&backend, &elsewhere);
    let file = client.profile("team", profile(&backend, "http/protobuf") + "[settings]\nstatusLine = \"x\"\n");
    let said = asked(&client, &backend, &elsewhere, &["--settings", "{\"verbose\": false}"]);
    let begins = "ccrun: `[settings]` of the profile `team`: `statusLine` must be an object, not a string; ";
    assert!(said.starts_with(begins) && said.lines().count() == 1, "{said}");
    for name in ["team", file.to_str().unwrap()] {
        let output = client.run(["profile", "check", name]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2));
        assert!(said.contains("team.toml:8:") && said.contains("`statusLine` must be an object"), "{said}");
    }
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn settings_that_the_client_can_parse_are_accepted() {
    let (backend, elsewhere) = (Backend::start(), Backend::start());
    let client = with_telemetry_of_its_own(&backend, &elsewhere);
    let marked = client.write("project/marked.json", "\u{feff}{\"env\": {\"MINE\": \"1\"}}");
    let empty = client.write("project/empty.json", "");
    for given in [marked.to_str().unwrap(), empty.to_str().unwrap(), ""] {
        assert_eq!(asked(&client, &backend, &elsewhere, &["--settings", given]), "");
    }
}

/// Checks the table against the client, for every kind of value. The settings also contain a hook, which runs only if
/// the client accepts them.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn the_client_accepts_and_rejects_values_as_in_the_table() {
    let client = Client::new(Script::text("the answer").usage(USAGE));
    let documents = [
        json!({"cleanupPeriodDays": 30}),
        json!({"cleanupPeriodDays": 0}),
        json!({"model": null}),
        json!({"includeCoAuthoredBy": "yes"}),
        json!({"statusLine": {"type": "command", "command": "true", "padding": "1"}}),
        json!({"enabledPlugins": {"a@b": "yes"}}),
        json!({"outputStyle": ["x"]}),
        json!({"permissions": {"defaultMode": "manual"}}),
        json!({"permissions": {"defaultMode": "sometimes"}}),
        json!({"permissions": {"deny": [1, "Bash("]}}),
        json!({"quietHours": {"start": "8 o'clock"}}),
        json!({"env": {"A": 1, "B": null}}),
        json!({"env": ["A"]}),
        json!({"extraKnownMarketplaces": {"x": 1}}),
        json!({"extraKnownMarketplaces": {"x": {"source": {"source": "nowhere"}}}}),
        json!({"hooks": {"Stop": 1}}),
        json!({"hooks": {"PermissionRequest": [{"hooks": [{"type": "http", "url": "nothing"}]}]}}),
        json!({"aKeyOfTomorrow": {"x": [1, null]}}),
    ];
    for mut document in documents {
        let expected = ccrun::claude::settings_schema::fault(document.as_object().unwrap());
        let hooks = document.as_object_mut().unwrap().entry("hooks").or_insert_with(|| Value::Object(Map::new()));
        let hook = json!([{"hooks": [{"type": "command", "command": "touch \"$HOME/taken\""}]}]);
        hooks.as_object_mut().unwrap().insert("UserPromptSubmit".to_owned(), hook);
        let settings = document.to_string();
        drop(std::fs::remove_file(client.home().join("taken")));
        let output = client.command("claude").args(["-p", "a question", "--settings", &settings]).output().unwrap();
        assert_eq!(text(&output.stdout), "the answer\n", "{}", text(&output.stderr));
        assert_eq!(client.home().join("taken").exists(), expected.is_none(), "{settings}: {expected:?}");
    }
}
