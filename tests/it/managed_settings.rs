//! Managed settings for administrators: a file that is the same on every machine, or an error that says why that is
//! impossible.

use serde_json::{Value, json};

use crate::support::sandbox::{Sandbox, text};

const ENDPOINT: &str = "[destination.own]\nendpoint = \"https://otlp.example.com\"\n";

/// The printed file and the notes on stderr, or the error.
fn printed(profile: &str, options: &[&str]) -> Result<(Value, String), String> {
    let sandbox = Sandbox::new();
    sandbox.profile("team", profile);
    let output = sandbox.run([&["managed-settings", "-p", "team"], options].concat());
    if !output.status.success() {
        assert!(output.stdout.is_empty());
        return Err(text(&output.stderr));
    }
    Ok((serde_json::from_slice(&output.stdout).unwrap(), text(&output.stderr)))
}

#[test]
fn stdout_has_only_the_file_and_stderr_says_where_it_belongs() {
    let profile = format!("{ENDPOINT}headers.x-key = \"public\"\n[env]\nMODEL = \"m\"\n[settings]\nmodel = \"opus\"\n");
    let (file, said) = printed(&profile, &[]).unwrap();
    let env = &file["env"];
    assert_eq!(env["OTEL_EXPORTER_OTLP_ENDPOINT"], "https://otlp.example.com");
    assert_eq!(env["OTEL_EXPORTER_OTLP_HEADERS"], "x-key=public");
    assert_eq!((&env["MODEL"], &env["OTEL_LOG_USER_PROMPTS"]), (&json!("m"), &json!("0")));
    assert_eq!((&file["model"], &file["otelHeadersHelper"]), (&json!("opus"), &Value::Null));
    for place in ["/etc/claude-code/", "/Library/Application Support/ClaudeCode/", "C:\\Program Files\\ClaudeCode\\"] {
        assert!(said.contains(&format!("{place}managed-settings.json")), "{said}");
    }
}

#[test]
fn secrets_are_fetched_and_never_written() {
    let profile = format!(
        "vars.who = \"x\"\n{ENDPOINT}headers.authorization = {{ keyring = \"team/key\" }}\nheaders.x-key = \"public\"\n"
    );
    let (file, _) = printed(&profile, &["--var", "who=it's us", "--ccrun", "/opt/c c/ccrun"]).unwrap();
    assert_eq!(file["otelHeadersHelper"], "'/opt/c c/ccrun' headers -p team --var 'who=it'\\''s us'");
    assert_eq!(file["env"]["OTEL_EXPORTER_OTLP_HEADERS"], Value::Null);
}

#[test]
fn what_a_file_cannot_express_is_an_error() {
    let secret = "headers.x-key = { env = \"KEY\" }\n";
    let cases = [
        (format!("{ENDPOINT}protocol = \"grpc\"\n{secret}"), "uses gRPC, for which Claude Code calls no header helper"),
        (format!("{ENDPOINT}[env]\nKEY = {{ keyring = \"k\" }}\n"), "`env.KEY` is fetched at each launch"),
        (
            format!("{ENDPOINT}[resource]\n\"enduser.id\" = {{ env = \"USER\" }}\n"),
            "cannot fetch `resource.enduser.id` on each machine",
        ),
        (format!("{ENDPOINT}[redact]\ndrop = [\"x\"]\n"), "without a collector, nothing is redacted"),
        (format!("{ENDPOINT}[destination.b]\nendpoint = \"https://b\"\n"), "`b`, `own`"),
        ("description = \"nothing\"\n".to_owned(), "has no destination"),
    ];
    for (profile, expected) in cases {
        let said = printed(&profile, &[]).unwrap_err();
        assert!(said.contains(expected) && said.lines().count() == 1, "{expected}: {said}");
        assert!(printed(&profile, &["--with-launcher"]).is_ok(), "a launcher can express it: {expected}");
    }
    assert!(printed(ENDPOINT, &["--ccrun", "ccrun"]).unwrap_err().contains("an absolute path"));
}

#[test]
fn with_a_launcher_there_is_no_endpoint() {
    let (file, said) = printed(ENDPOINT, &["--with-launcher"]).unwrap();
    assert_eq!(file["env"], Value::Null);
    let rules = file["permissions"]["deny"].as_array().unwrap();
    for rule in ["Bash(ccrun secret:*)", "Bash(/usr/local/bin/ccrun env --reveal:*)", "Bash(ccrun queue purge:*)"] {
        assert!(rules.contains(&json!(rule)), "{rule}: {rules:?}");
    }
    assert!(said.contains("\"claudeCode.claudeProcessWrapper\": \"/usr/local/bin/ccrun-wrap\""), "{said}");
}
