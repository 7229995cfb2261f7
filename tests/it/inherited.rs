//! Telemetry that was configured before `ccrun` was installed keeps working.

use serde_json::json;

use crate::support::backend::Backend;
use crate::support::emitter::ids;
use crate::support::sandbox::{DEADLINE, Sandbox, text};
use crate::support::session::Session;

const NOTICE: &str = "as the profile `inherited`";

/// A sandbox in which telemetry is configured manually.
fn set_up(backend: &Backend) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("CLAUDE_CODE_ENABLE_TELEMETRY", "1").set("OTEL_LOGS_EXPORTER", "otlp");
    sandbox.set("OTEL_EXPORTER_OTLP_ENDPOINT", backend.endpoint());
    sandbox.set("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    sandbox.set("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20sk-1,x-tenant=t");
    sandbox
}

#[test]
fn existing_telemetry_keeps_working_and_is_noted_once() {
    let backend = Backend::start();
    let sandbox = set_up(&backend);
    let said = text(&sandbox.run(["true"]).stderr);
    assert!(said.contains(NOTICE) && said.lines().count() == 1 && !said.contains("sk-1"), "{said}");
    let session = Session::start(&sandbox, &[]);
    session.client().export(&ids("record", 1));
    let received = backend.wait_for(|received| !received.is_empty(), DEADLINE);
    assert_eq!((received[0].header("authorization"), received[0].header("x-tenant")), ("Bearer%20sk-1", "t"));
    assert_eq!(received[0].path, "/v1/logs");
    let environment = text(&std::fs::read(format!("/proc/{}/environ", session.pid())).unwrap());
    assert!(!environment.contains("sk-1"), "only the collector has the headers");
    // The note is not repeated.
    session.end();
    let shown = text(&sandbox.run(["profile", "show"]).stdout);
    assert!(shown.contains("OTEL_EXPORTER_OTLP_HEADERS in the environment") && !shown.contains("sk-1"), "{shown}");
    let list = text(&sandbox.run(["profile", "list"]).stdout);
    assert!(
        list.lines()
            .any(|line| line.contains("*  inherited") && line.contains("found") && line.contains("already configured")),
        "{list}"
    );
}

#[test]
fn user_settings_win_and_a_repositorys_are_ignored() {
    let (backend, elsewhere) = (Backend::start(), Backend::start());
    let sandbox = set_up(&elsewhere);
    let settings = |backend: &Backend| json!({"env": {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint()}}).to_string();
    sandbox.write("home/.claude/settings.json", settings(&backend));
    sandbox.write("project/.claude/settings.json", settings(&elsewhere));
    let said = text(&sandbox.run(["true"]).stderr);
    assert!(said.contains("~/.claude/settings.json"), "{said}");
    let session = Session::start(&sandbox, &[]);
    session.client().export(&ids("record", 1));
    backend.wait_for(|received| !received.is_empty(), DEADLINE);
    session.end();
    sandbox.wait_for_end();
    assert!(elsewhere.received().is_empty());
}

#[test]
fn any_chosen_profile_takes_precedence_and_ccruns_own_variables_do_not_count() {
    let backend = Backend::start();
    let mut sandbox = set_up(&backend);
    let chosen = |sandbox: &Sandbox, options: &[&str]| {
        let output = sandbox.run(options.iter().copied().chain(["true"]));
        assert_eq!(text(&output.stderr), "");
    };
    chosen(&sandbox, &["-p", "local"]);
    sandbox.set("CCRUN_PROFILE", "local");
    chosen(&sandbox, &[]);
    sandbox.set("CCRUN_PROFILE", "");
    sandbox.write("home/.config/ccrun/config.toml", "profile = \"local\"\n");
    chosen(&sandbox, &[]);
    let sandbox = Sandbox::new();
    let output = sandbox.run(["sh", "-c", "ccrun profile list"]);
    assert!(!text(&output.stdout).contains("inherited"), "{}", text(&output.stdout));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_dead_sessions_data_is_delivered_by_a_session_with_the_same_settings() {
    let mut backend = Backend::start();
    let mut sandbox = set_up(&backend);
    sandbox.run(["true"]);
    backend.stop();
    let mut session = Session::start(&sandbox, &[]);
    session.client().export(&ids("record", 1));
    session.kill_both();
    drop(session);
    backend.restart();
    sandbox.set("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=another");
    sandbox.run(["queue", "flush"]);
    assert!(backend.received().is_empty(), "data is not delivered with another account's key");
    assert_eq!(sandbox.queue()[0]["state"], "orphaned");
    sandbox.set("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20sk-1,x-tenant=t");
    sandbox.run(["queue", "flush"]);
    backend.wait_for(|received| !received.is_empty(), DEADLINE);
}

#[test]
fn existing_telemetry_can_be_saved_as_a_profile() {
    let backend = Backend::start();
    let mut sandbox = set_up(&backend);
    let output = sandbox.run(["profile", "new", "mine", "--from-env"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("the file contains the headers"), "{}", text(&output.stderr));
    let path = sandbox.home().join(".config/ccrun/profiles/mine.toml");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    sandbox.set("CLAUDE_CODE_ENABLE_TELEMETRY", "");
    let session = Session::start(&sandbox, &["-p", "mine"]);
    session.client().export(&ids("record", 1));
    let received = backend.wait_for(|received| !received.is_empty(), DEADLINE);
    assert_eq!(received[0].header("authorization"), "Bearer%20sk-1");
    session.end();
    let output = sandbox.run(["profile", "new", "none", "--from-env"]);
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("no telemetry is configured"));
    sandbox.set("CLAUDECODE", "1");
    assert_eq!(sandbox.run(["profile", "new", "other"]).status.code(), Some(1));
}

#[test]
fn exporters_that_a_profile_cannot_express_are_explained() {
    let mut sandbox = Sandbox::new();
    sandbox.set("CLAUDE_CODE_ENABLE_TELEMETRY", "1").set("OTEL_METRICS_EXPORTER", "prometheus,console");
    let said = text(&sandbox.run(["true"]).stderr);
    assert!(said.contains("9464") && said.contains("screen") && said.lines().count() == 1, "{said}");
    assert_eq!(text(&sandbox.run(["true"]).stderr), "");
}
