//! Hooks through which budgets speak: their answers, their refusals, and what stays private.

mod notify;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use ccrun::otlp::Signal;
use serde_json::{Value, json};

use crate::support::backend::Backend;
use crate::support::sandbox::{DEADLINE, Sandbox, text, wait_until};
use crate::support::session::Session;
use crate::support::telemetry::{Item, items};
use crate::tail::event;

/// A stand-in for Claude Code, which gets its settings before the words that a session adds.
const CLAUDE: &str = "#!/bin/sh\nshift 2\nexec \"$@\"\n";

/// Words that must not be found anywhere.
const CANARIES: [&str; 2] = ["canary-of-the-prompt", "canary-of-the-tool"];

/// A sandbox with the profile `team`.
pub fn sandbox(profile: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.profile("team", profile);
    sandbox.program("claude", CLAUDE);
    sandbox
}

/// A session of it.
pub fn start(sandbox: &Sandbox) -> Session {
    Session::start_by(sandbox.ccrun(["-p", "team", "claude"]))
}

/// The `--settings` file of the only session.
fn settings(sandbox: &Sandbox) -> Value {
    let files = sandbox.settings();
    assert_eq!(files.len(), 1, "{files:?}");
    serde_json::from_slice(&std::fs::read(&files[0]).unwrap()).unwrap()
}

/// The hook that the session's settings have for an event.
fn hook(sandbox: &Sandbox, event: &str) -> Value {
    settings(sandbox)["hooks"][event][0]["hooks"][0].clone()
}

/// The token of its hooks.
pub fn token(sandbox: &Sandbox) -> String {
    hook(sandbox, "PreToolUse")["headers"]["x-ccrun-hook"].as_str().unwrap().to_owned()
}

/// Spends so many dollars in a session.
fn spend(session: &Session, number: u64, dollars: &str) {
    let request = event("api_request", number, &[("model", "claude-opus-5-5"), ("cost_usd", dollars)]);
    assert_eq!(session.client().post(Signal::Logs, &request).unwrap().status, 200);
}

/// Sends a request and reads the status and the body.
fn send(session: &Session, head: &str, body: &[u8]) -> (u16, String) {
    let host = session.endpoint.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let head = format!("{head}\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n", body.len());
    // A rejected request may not be read to its end.
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)));
    let mut stream = BufReader::new(stream);
    let (head, body) = read_message(&mut stream);
    (head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default(), body)
}

/// Reads the head and the body of a request or an answer. Both are empty if the connection ends.
fn read_message(stream: &mut BufReader<TcpStream>) -> (String, String) {
    let (mut head, mut length) = (String::new(), 0);
    while stream.read_line(&mut head).is_ok_and(|length| length > 2) {
        let line = head.lines().last().unwrap().to_ascii_lowercase();
        length = line.strip_prefix("content-length: ").map_or(length, |length| length.parse().unwrap());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (head, text(&body))
}

fn input(event: &str) -> Value {
    json!({
        "session_id": "client-session",
        "hook_event_name": event,
        "prompt": CANARIES[0],
        "tool_name": "Bash",
        "tool_input": {"command": format!("echo {}", CANARIES[1])},
    })
}

/// Asks as Claude Code does.
fn ask(session: &Session, token: &str, event: &str) -> Value {
    let head = format!("POST /hook HTTP/1.1\r\nx-ccrun-hook: {token}\r\ncontent-type: application/json");
    let (status, body) = send(session, &head, input(event).to_string().as_bytes());
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Asks until an answer has a value at a place, which it returns. On a busy machine the spend may be unknown at first.
#[track_caller]
fn answered(session: &Session, token: &str, event: &str, place: &str) -> String {
    let mut found = None;
    wait_until(&format!("an answer with {place}"), || {
        found = ask(session, token, event).pointer(place).and_then(Value::as_str).map(str::to_owned);
        found.is_some()
    });
    found.unwrap()
}

/// Places in answers.
const MESSAGE: &str = "/systemMessage";
const BLOCK: &str = "/reason";
const DENIAL: &str = "/hookSpecificOutput/permissionDecisionReason";

#[test]
fn each_percentage_is_told_once_and_a_spent_budget_stops_until_it_is_lifted() {
    let sandbox = sandbox("[budget]\ndaily = 10\nstop = true\nwarn = [50, 100]\n");
    let session = start(&sandbox);
    let token = token(&sandbox);
    assert_eq!(ask(&session, &token, "UserPromptSubmit"), json!({}));
    spend(&session, 1, "6");
    let told = answered(&session, &token, "PreToolUse", MESSAGE);
    assert!(told.starts_with("ccrun: 50 % of the daily budget of $10.00 is spent: $6.00"), "{told}");
    for event in ["UserPromptSubmit", "PreToolUse", "Stop"] {
        assert_eq!(ask(&session, &token, event), json!({}), "{event}");
    }
    spend(&session, 2, "5");
    let reason = answered(&session, &token, "UserPromptSubmit", BLOCK);
    assert!(reason.starts_with("ccrun: the daily budget of $10.00 is spent"), "{reason}");
    assert_eq!(answered(&session, &token, "PreToolUse", DENIAL), reason);
    assert!(sandbox.run(["budget", "lift", "1h", "-p", "team"]).status.success());
    let told = answered(&session, &token, "UserPromptSubmit", MESSAGE);
    assert!(told.contains("100 %") && told.contains("lifted until"), "{told}");
    assert_eq!(ask(&session, &token, "PreToolUse"), json!({}));
    session.end();
    sandbox.wait_for_end();
}

#[test]
fn another_request_is_refused() {
    let sandbox = sandbox("[budget]\ndaily = 1\nstop = true\n");
    let session = start(&sandbox);
    spend(&session, 1, "2");
    let token = token(&sandbox);
    let hook = |token: &str, more: &str| format!("POST /hook HTTP/1.1\r\nx-ccrun-hook: {token}\r\n{more}");
    let json_type = "content-type: application/json";
    let body = input("UserPromptSubmit").to_string();
    let status = |head: &str, body: &[u8]| send(&session, head, body).0;
    assert_eq!(status(&hook(&token, json_type), body.as_bytes()), 200);
    assert_eq!(status(&hook(&token[1..], json_type), body.as_bytes()), 401);
    assert_eq!(status(&hook(&sandbox.token(), json_type), body.as_bytes()), 401, "the exporter's token");
    assert_eq!(status(&format!("POST /hook HTTP/1.1\r\n{json_type}"), body.as_bytes()), 401);
    assert_eq!(status(&hook(&token, json_type).replace("POST", "GET"), b""), 405);
    assert_eq!(status(&hook(&token, "content-type: text/plain"), body.as_bytes()), 415);
    assert_eq!(status(&hook(&token, &format!("{json_type}\r\ncontent-encoding: gzip")), body.as_bytes()), 415);
    for malformed in ["", "[]", "{", "{\"hook_event_name\":\"PreToolUse\"} x"] {
        assert_eq!(status(&hook(&token, json_type), malformed.as_bytes()), 400, "{malformed}");
    }
    let large = format!("{{\"prompt\":\"{}\"}}", "x".repeat(65 << 20));
    assert_eq!(status(&hook(&token, json_type), large.as_bytes()), 413);
    // The token opens nothing else.
    for path in [format!("/{token}/v1/logs"), "/v1/logs".to_owned()] {
        let head = format!("POST {path} HTTP/1.1\r\nx-ccrun-hook: {token}\r\ncontent-type: application/x-protobuf");
        assert_eq!(status(&head, b""), 401, "{path}");
    }
    session.end();
}

#[test]
fn without_a_known_spend_nothing_is_blocked() {
    let sandbox = sandbox("[budget]\ndaily = 1\nstop = true\n");
    let session = start(&sandbox);
    let token = token(&sandbox);
    spend(&session, 1, "2");
    answered(&session, &token, "UserPromptSubmit", BLOCK);
    let ledger = sandbox.state().join("ledger-1.db");
    wait_until("the ledger", || ledger.exists());
    // A pipe without a writer: opening it hangs.
    let away = ledger.with_extension("away");
    let pipe = ledger.with_extension("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::rename(&ledger, &away).unwrap();
    std::fs::rename(&pipe, &ledger).unwrap();
    for event in ["UserPromptSubmit", "PreToolUse"] {
        assert_eq!(ask(&session, &token, event), json!({}), "{event}");
    }
    std::fs::rename(&ledger, &pipe).unwrap();
    std::fs::rename(&away, &ledger).unwrap();
    // What hangs gets to the end.
    drop(std::fs::OpenOptions::new().write(true).open(&pipe).unwrap());
    std::fs::remove_file(&pipe).unwrap();
    answered(&session, &token, "UserPromptSubmit", BLOCK);
    session.end();
}

#[test]
fn spend_counts_before_the_ledger_has_it() {
    let sandbox = sandbox("[budget]\ndaily = 1\nstop = true\n");
    let session = start(&sandbox);
    let token = token(&sandbox);
    spend(&session, 1, "0.1");
    let ledger = sandbox.state().join("ledger-1.db");
    wait_until("the ledger to have the first request", || sandbox.report()["total"]["requests"] == 1);
    let writing = rusqlite::Connection::open(&ledger).unwrap();
    writing.busy_timeout(DEADLINE).unwrap();
    writing.execute_batch("BEGIN IMMEDIATE").unwrap();
    spend(&session, 2, "2");
    answered(&session, &token, "PreToolUse", DENIAL);
    writing.execute_batch("ROLLBACK").unwrap();
    session.end();
}

#[test]
fn prompts_tools_and_the_token_are_in_no_file_and_reach_no_destination() {
    let backend = Backend::start();
    let destination = format!("[destination.backend]\nbatch = \"1ms\"\nendpoint = \"{}\"\n", backend.endpoint());
    let sandbox = sandbox(&format!("[budget]\ndaily = 1\n{destination}"));
    let session = start(&sandbox);
    let token = token(&sandbox);
    for event in ["UserPromptSubmit", "PreToolUse", "Other"] {
        ask(&session, &token, event);
    }
    let about = |event: &'static str, hooks: &'static str| [("hook_event", event), ("num_hooks", hooks)];
    for (number, (name, more)) in [
        ("hook_execution_start", about("PreToolUse", "1")),
        ("hook_execution_complete", about("UserPromptSubmit", "1")),
        ("hook_execution_complete", about("PreToolUse", "2")),
        ("hook_execution_complete", about("Stop", "1")),
    ]
    .into_iter()
    .enumerate()
    {
        let request = event(name, number as u64 + 1, &more);
        assert_eq!(session.client().post(Signal::Logs, &request).unwrap().status, 200);
    }
    let registered = |event: &'static str, kind: &'static str| {
        [("hook_event", event), ("hook_type", kind), ("hook_source", "flagSettings")]
    };
    for (number, more) in [registered("PreToolUse", "http"), registered("PreToolUse", "command")].iter().enumerate() {
        let request = event("hook_registered", number as u64 + 10, more);
        assert_eq!(session.client().post(Signal::Logs, &request).unwrap().status, 200);
    }
    spend(&session, 20, "0.01");
    let attribute = |item: &Item, key: &str| item.attributes.get(key).cloned().unwrap_or_default();
    let is_last = |item: &Item| attribute(item, "event.name") == "api_request";
    let received = backend.wait_for(|received| items(received).iter().any(is_last), DEADLINE);
    let about_hooks = |item: &Item| attribute(item, "event.name").starts_with("hook_");
    let shown = |item: Item| {
        let [event, count, kind] = ["hook_event", "num_hooks", "hook_type"].map(|key| attribute(&item, key));
        format!("{event} {count}{kind}")
    };
    let mut hooks: Vec<_> = items(&received).into_iter().filter(about_hooks).map(shown).collect();
    hooks.sort();
    assert_eq!(hooks, ["PreToolUse 2", "PreToolUse command", "Stop 1"], "only those of others");
    session.end();
    sandbox.wait_for_end();
    let secrets = [CANARIES[0], CANARIES[1], &token];
    let found = found(&sandbox.home(), &secrets.map(str::as_bytes));
    assert!(found.is_empty(), "{found:?}");
    assert!(!format!("{received:?}").contains("canary-of"));
}

/// The files below a directory that contain one of these texts.
pub fn found(directory: &Path, texts: &[&[u8]]) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(found(&path, texts));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        let has = |text: &&[u8]| bytes.windows(text.len()).any(|window| window == *text);
        files.extend(texts.iter().any(has).then(|| path.display().to_string()));
    }
    files
}

#[test]
fn settings_have_the_hooks_only_where_a_budget_applies_and_lose_them_at_the_end() {
    let sandbox = sandbox("[budget]\nweekly = 5\n");
    sandbox.profile("free", "");
    let own = json!({"matcher": "Bash", "hooks": [{"type": "command", "command": "true"}]});
    let given = json!({"env": {"NO_PROXY": "corp"}, "hooks": {"PreToolUse": [own]}}).to_string();
    sandbox.write("home/.claude/settings.json", "{\"env\": {\"no_proxy\": \"internal\"}}");
    sandbox.program("claude", "#!/bin/sh\nshift 2\nexec \"$@\"\n");
    let session = Session::start_by(sandbox.ccrun(["-p", "team", "claude", "--settings", &given]));
    let content = settings(&sandbox);
    let hook = &content["hooks"]["UserPromptSubmit"][0]["hooks"][0];
    let port = session.endpoint.strip_prefix("http://127.0.0.1:").unwrap().split('/').next().unwrap();
    assert_eq!(hook["url"], format!("http://127.0.0.1:{port}/hook"));
    assert_eq!((&hook["type"], &hook["timeout"]), (&json!("http"), &json!(1)));
    assert_eq!(content["hooks"]["PreToolUse"][0], own, "the user's own come first");
    assert_eq!(&content["hooks"]["PreToolUse"][1]["hooks"][0], hook);
    assert_eq!(content["env"]["NO_PROXY"], "corp,127.0.0.1,localhost,::1");
    assert_eq!(content["env"]["no_proxy"], "internal,127.0.0.1,localhost,::1");
    let path = sandbox.settings().remove(0);
    session.end();
    sandbox.wait_for_end();
    let content: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(content["hooks"], json!({"PreToolUse": [own]}));
    assert_eq!(content["env"], json!({"NO_PROXY": "corp", "CLAUDE_CODE_ENABLE_TELEMETRY": "0"}));
    std::fs::remove_file(path).unwrap();
    let session = Session::start_by(sandbox.ccrun(["-p", "free", "claude"]));
    let content = settings(&sandbox);
    assert!(content.get("hooks").is_none() && content["env"].get("NO_PROXY").is_none(), "{content}");
    session.end();
}

#[test]
fn the_verb_asks_where_requests_are_not_allowed() {
    let sandbox = sandbox("[budget]\ndaily = 1\nstop = true\n");
    sandbox.write("home/.claude/settings.json", "{\"allowedHttpHookUrls\": [\"https://corp/*\"]}");
    let session = start(&sandbox);
    spend(&session, 1, "2");
    let hook = hook(&sandbox, "UserPromptSubmit");
    assert_eq!(hook["type"], "command");
    let words: Vec<_> = hook["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let ask = |input: &str| {
        let mut command = sandbox.command(hook["command"].as_str().unwrap());
        let mut child = command.args(&words).stdin(std::process::Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        text(&output.stdout)
    };
    wait_until("a block", || ask(&input("UserPromptSubmit").to_string()).contains("\"decision\":\"block\""));
    assert_eq!(ask("garbage"), "");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(words[1]).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    session.end();
    sandbox.wait_for_end();
    assert_eq!(ask(&input("UserPromptSubmit").to_string()), "", "nothing answers");
    assert!(!Path::new(words[1]).exists());
}

#[test]
fn a_launch_says_why_budgets_do_not_speak() {
    let sandbox = sandbox("[budget]\ndaily = 1\nstop = true\n");
    sandbox.program("claude", "#!/bin/sh\n");
    let said = |words: &[&str]| text(&sandbox.run([&["-p", "team"], words].concat()).stderr);
    let line = |reason: &str| format!("ccrun: budgets give no warning and stop no work in this session: {reason}\n");
    assert_eq!(said(&["claude"]), "");
    assert_eq!(said(&["claude", "--bare"]), line("`--bare` turns hooks off"));
    assert_eq!(said(&["claude", "--safe-mode"]), line("`--safe-mode` turns hooks off"));
    assert_eq!(
        said(&["claude", "--settings", "{\"disableAllHooks\": true}"]),
        line("`disableAllHooks` in the settings given to Claude Code turns hooks off")
    );
    sandbox.program("code", "#!/bin/sh\n");
    assert_eq!(said(&["code"]), line("an editor's Claude Code has no hooks without `ccrun wire code`"));
    sandbox.write("home/.config/Code/User/settings.json", "{\"claudeCode.claudeProcessWrapper\": \"/x\"}");
    assert_eq!(said(&["code"]), "");
    assert_eq!(said(&["sh", "-c", "true"]), "", "not Claude Code");
}

#[test]
fn a_hook_is_answered_after_the_collector_has_given_up() {
    let sandbox = sandbox("[budget]\ndaily = 1\nstop = true\n");
    let mut session = start(&sandbox);
    let token = token(&sandbox);
    spend(&session, 1, "2");
    answered(&session, &token, "UserPromptSubmit", BLOCK);
    for _ in 0..6 {
        session.end_worker(nix::sys::signal::Signal::SIGKILL);
    }
    let head = format!("POST /hook HTTP/1.1\r\nx-ccrun-hook: {token}\r\ncontent-type: application/json");
    let body = input("UserPromptSubmit").to_string();
    wait_until("the keeper to answer", || send(&session, &head, body.as_bytes()) == (200, "{}".to_owned()));
    let export = format!("POST /{}/v1/logs HTTP/1.1\r\ncontent-type: application/x-protobuf", sandbox.token());
    assert_eq!(send(&session, &export, b"").0, 500);
    assert!(session.keeper.lives());
    session.end();
    sandbox.wait_for_end();
}
