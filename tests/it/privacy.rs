//! Private data is rejected, removed or hashed before anything is stored, regardless of the program that sends it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};

use ccrun::otlp::{ExportResponse, HashKey, PartialSuccess};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::support::backend::Backend;
use crate::support::sandbox::{DEADLINE, Sandbox, text, wait_until};
use crate::support::session::Session;
use crate::support::telemetry::{Item, items};

/// A value that must appear only where it is allowed.
const CANARY: &str = "canary-5827@example.com";

/// A profile with one destination and these settings.
fn profile(backend: &Backend, more: &str) -> String {
    format!("[destination.backend]\nendpoint = \"{}\"\n{more}", backend.endpoint())
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    }
}

/// A log record of a service, with these attributes on the record and on its resource.
fn log(service: &str, attributes: &[(&str, &str)]) -> ResourceLogs {
    let own: Vec<_> = attributes.iter().map(|(key, value)| attribute(key, value)).collect();
    let record = LogRecord { attributes: own.clone(), ..LogRecord::default() };
    let resource =
        Resource { attributes: [vec![attribute("service.name", service)], own].concat(), ..Resource::default() };
    let name = if service.starts_with("claude-code") { "com.anthropic.claude_code.events" } else { "a.scope" };
    let scope = InstrumentationScope { name: name.to_owned(), ..InstrumentationScope::default() };
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records: vec![record], ..ScopeLogs::default() }];
    ResourceLogs { resource: Some(resource), scope_logs, ..ResourceLogs::default() }
}

/// Exports log records and returns the collector's response.
fn export(endpoint: &str, resource_logs: Vec<ResourceLogs>) -> ExportResponse {
    let (host, token) = endpoint.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let body = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
    let head = format!(
        "POST /{token}/v1/logs HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         content-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    ExportResponse::decode(&answer[end..]).unwrap()
}

/// The items that arrived, once there are any.
fn arrived(backend: &Backend) -> Vec<Item> {
    items(&backend.wait_for(|received| !received.is_empty(), DEADLINE))
}

/// Whether a text is in any stored request.
pub fn is_stored(sandbox: &Sandbox, text: &str) -> bool {
    let files =
        |directory: &Path| std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_database = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("store-") || name.starts_with("ledger-")
    };
    let segments = files(&sandbox.state().join("spool")).flat_map(|session| files(&session).collect::<Vec<_>>());
    let kept = files(&sandbox.state()).filter(is_database).chain(segments);
    let contents: Vec<_> = kept.map(|path| std::fs::read(path).unwrap_or_default()).collect();
    assert!(contents.iter().any(|content| !content.is_empty()));
    contents.iter().any(|content| content.windows(text.len()).any(|window| window == text.as_bytes()))
}

fn refused(sandbox: &Sandbox, session: &str) -> u64 {
    let output = sandbox.run(["sessions", session, "--json"]);
    let session: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    session["refused"].as_u64().unwrap()
}

#[test]
fn telemetry_of_other_services_is_rejected_and_counted() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.profile("team", profile(&backend, "[collector]\naccept = [\"mine*\", \"another\"]\n"));
    let session = Session::start(&sandbox, &["-p", "team"]);
    let requests = vec![log("mine-too", &[]), log("theirs", &[("user.email", CANARY)]), log("theirs", &[])];
    let error_message =
        "this ccrun session only accepts telemetry of `service.name` mine*, another: see `[collector] accept`"
            .to_owned();
    let partial_success = Some(PartialSuccess { rejected: 2, error_message });
    assert_eq!(export(&session.endpoint, requests), ExportResponse { partial_success });
    assert_eq!(export(&session.endpoint, vec![log("another", &[])]), ExportResponse::default());
    assert_eq!(export(&session.endpoint, vec![log("theirs", &[])]).partial_success.unwrap().rejected, 1);

    let arrived = items(&backend.wait_for(|received| items(received).len() == 2, DEADLINE));
    let services: Vec<_> = arrived.iter().map(|item| item.resource["service.name"].as_str()).collect();
    assert_eq!(services, ["mine-too", "another"]);
    assert_eq!(refused(&sandbox, &session.id), 3);
    assert!(!is_stored(&sandbox, CANARY));
}

/// The services whose telemetry is accepted in a session of this program.
fn heard(sandbox: &Sandbox, backend: &Backend, program: &str) -> Vec<&'static str> {
    sandbox.program(program, "#!/bin/sh\nexec \"$@\"\n");
    let session = Session::start(sandbox, &["-p", "team", program]);
    let services = ["claude-code", "claude-code-desktop", "ours", "dev-server"];
    let heard = services.into_iter().filter(|service| {
        let refused = export(&session.endpoint, vec![log(service, &[])]).partial_success;
        backend.clear();
        refused.is_none()
    });
    heard.collect()
}

#[test]
fn an_editors_session_accepts_only_claude_code() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.profile("team", profile(&backend, ""));
    let all = ["claude-code", "claude-code-desktop", "ours", "dev-server"];
    assert_eq!(heard(&sandbox, &backend, "code"), all[..2]);
    assert_eq!(heard(&sandbox, &backend, "not-an-editor"), all);
    // Claude Code may have another service name, set by the profile.
    sandbox.profile("team", profile(&backend, "[resource]\n\"service.name\" = \"ours\"\n"));
    assert_eq!(heard(&sandbox, &backend, "cursor"), all[..3]);
    sandbox.profile("team", profile(&backend, "[collector]\naccept = [\"*\"]\n"));
    assert_eq!(heard(&sandbox, &backend, "zed"), all);
    sandbox.profile("team", profile(&backend, ""));
    sandbox.write("home/.config/ccrun/config.toml", "editors = [\"not-an-editor\"]\n");
    assert_eq!(heard(&sandbox, &backend, "not-an-editor"), all[..2]);
    assert_eq!(heard(&sandbox, &backend, "codium"), all);
}

#[test]
fn redacted_data_is_neither_stored_nor_sent() {
    let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
    let redact = "[redact]\ndrop = [\"host.*\"]\nhash = [\"user.email\", \"user.id\"]\n";
    sandbox.profile("team", profile(&backend, redact));
    backend.stop();
    let user = format!("user.id={CANARY}");
    let session = Session::start(&sandbox, &["-p", "team", "-r", &user, "-e", &format!("MINE={CANARY}")]);
    let attributes = [("user.email", CANARY), ("host.name", CANARY), ("kept", "kept")];
    assert_eq!(export(&session.endpoint, vec![log("any", &attributes)]), ExportResponse::default());
    assert!(is_stored(&sandbox, "kept") && !is_stored(&sandbox, CANARY));
    drop(session);

    // Another session exports the same and delivers what the first one left. The hashes are the same within an
    // installation.
    backend.restart();
    let session = Session::start(&sandbox, &["-p", "team", "-r", &user]);
    export(&session.endpoint, vec![log("any", &attributes)]);
    let arrived = items(&backend.wait_for(|received| items(received).len() == 2, DEADLINE));
    let hash = &arrived[0].attributes["user.email"];
    assert!(hash.len() == 16 && hash.bytes().all(|digit| digit.is_ascii_hexdigit()), "{hash}");
    for item in &arrived {
        for attributes in [&item.attributes, &item.resource] {
            assert_eq!((&attributes["user.email"], attributes["kept"].as_str()), (hash, "kept"));
            assert!(!attributes.contains_key("host.name"));
        }
    }
    assert!(
        arrived.iter().all(|item| item.resource.get("user.id") == Some(hash)),
        "attributes from the profile are redacted too"
    );
    assert!(!is_stored(&sandbox, CANARY));
}

#[test]
fn the_ledger_counts_hashed_values() {
    let sandbox = Sandbox::new();
    sandbox.profile("mine", "[redact]\nhash = [\"session.id\"]\n");
    let session = Session::start(&sandbox, &["-p", "mine"]);
    let prompt = |client, sequence| {
        log("claude-code", &[("event.name", "user_prompt"), ("session.id", client), ("event.sequence", sequence)])
    };
    let another = format!("{CANARY}-2");
    for requests in
        [vec![prompt(CANARY, "1"), prompt(CANARY, "2")], vec![prompt(&another, "1")], vec![prompt(CANARY, "2")]]
    {
        export(&session.endpoint, requests);
    }
    let report = sandbox.report();
    assert_eq!(
        (&report["total"]["sessions"], &report["total"]["prompts"]),
        (&2.into(), &3.into()),
        "a repeated value is not counted again"
    );
    assert!(!is_stored(&sandbox, CANARY));
}

#[test]
fn a_team_hashes_with_its_own_key() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.set("TEAM_KEY", "a secret of the team's");
    sandbox.profile("team", profile(&backend, "[redact]\nhash = [\"user.email\"]\nkey = { env = \"TEAM_KEY\" }\n"));
    let session = Session::start(&sandbox, &["-p", "team"]);
    export(&session.endpoint, vec![log("any", &[("user.email", CANARY)])]);
    let expected = HashKey::of_secret("a secret of the team's").hash(CANARY.as_bytes());
    assert_eq!(arrived(&backend)[0].attributes["user.email"], expected);
    // The program does not get the key.
    let output = sandbox.run(["-p", "team", "sh", "-c", "echo ${TEAM_KEY-gone}"]);
    assert_eq!(text(&output.stdout), "gone\n");
}

#[test]
fn requests_wait_for_a_key_that_takes_time() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let helper = sandbox.program(
        "slow-key",
        "#!/bin/sh\ntouch \"$HOME/asked\"\nuntil test -e \"$HOME/go\"; do sleep 0.02; done\necho the key\n",
    );
    let key =
        format!("[redact]\nhash = [\"user.email\"]\nkey = {{ command = [{:?}] }}\n", helper.display().to_string());
    sandbox.profile("team", profile(&backend, &key));
    let session = Session::start(&sandbox, &["-p", "team"]);
    let endpoint = session.endpoint.clone();
    let exporting = std::thread::spawn(move || export(&endpoint, vec![log("any", &[("user.email", CANARY)])]));
    wait_until("the helper to start", || sandbox.home().join("asked").exists());
    assert!(!exporting.is_finished());
    sandbox.write("home/go", "");
    assert_eq!(exporting.join().unwrap(), ExportResponse::default());
    let expected = HashKey::of_secret("the key").hash(CANARY.as_bytes());
    assert_eq!(arrived(&backend)[0].attributes["user.email"], expected);
}

#[test]
fn without_a_key_values_to_hash_are_dropped() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.profile("team", profile(&backend, "[redact]\nhash = [\"user.email\"]\nkey = { env = \"UNSET\" }\n"));
    let session = Session::start(&sandbox, &["-p", "team"]);
    export(&session.endpoint, vec![log("any", &[("user.email", CANARY), ("kept", "kept")])]);
    let arrived = arrived(&backend);
    assert_eq!((arrived[0].attributes.get("user.email"), arrived[0].attributes["kept"].as_str()), (None, "kept"));
    assert!(is_stored(&sandbox, "is unavailable: the variable UNSET is not set"));
    assert!(!is_stored(&sandbox, CANARY));
}

#[test]
fn repository_and_branch_are_sent_only_if_the_profile_allows_it() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.write("project/.git/HEAD", "ref: refs/heads/feature/x\n");
    for (more, expected) in [
        ("", [None, None]),
        ("[cardinality]\nrepository = true\n", [Some("project".to_owned()), Some("feature/x".to_owned())]),
    ] {
        sandbox.profile("team", profile(&backend, more));
        backend.clear();
        let session = Session::start(&sandbox, &["-p", "team"]);
        export(&session.endpoint, vec![log("any", &[])]);
        let resource = &arrived(&backend)[0].resource;
        assert_eq!(["vcs.repository.name", "vcs.ref.head.name"].map(|key| resource.get(key).cloned()), expected);
    }
    // An existing attribute is kept.
    let session = Session::start(&sandbox, &["-p", "team"]);
    backend.clear();
    export(&session.endpoint, vec![log("any", &[("vcs.repository.name", "theirs")])]);
    assert_eq!(arrived(&backend)[0].resource["vcs.repository.name"], "theirs");
}
