//! `ccrun tail` with running sessions of the real client.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc::channel;

use ccrun::doctor::live::model::Script;
use serde_json::Value;

use crate::support::claude::{Client, USAGE, finish};
use crate::support::sandbox::{DEADLINE, text};

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn tail_shows_a_running_session_and_agrees_with_its_report() {
    let client = Client::new(Script::text("the answer").bash("true").usage(USAGE));
    let mut tail = client.ccrun(["tail", "--json", "--content"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let (sender, receiver) = channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let child = client.claude(&[], ["-p", "a question that stays here", "--allowedTools", "Bash"]).spawn().unwrap();
    let output = finish(child);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = client.report();
    let requests = report["total"]["requests"].as_u64().unwrap();
    let mut events: Vec<Value> = Vec::new();
    let count = |events: &[Value], name: &str| events.iter().filter(|event| event["event"] == name).count();
    while count(&events, "api_request") < usize::try_from(requests).unwrap() || count(&events, "tool_result") < 1 {
        let line = receiver.recv_timeout(DEADLINE);
        let line = line.unwrap_or_else(|error| panic!("{error}: {requests} requests, {events:?}"));
        events.push(serde_json::from_str(&line).unwrap());
    }
    tail.kill().unwrap();
    tail.wait().unwrap();
    let cost: f64 = events.iter().filter_map(|event| event["cost_usd"].as_f64()).sum();
    let reported = report["total"]["cost_usd"].as_f64().unwrap();
    assert!((cost - reported).abs() < 1e-9, "{cost} {reported}");
    assert_eq!(count(&events, "user_prompt"), 1);
    let tool = events.iter().find(|event| event["event"] == "tool_result").unwrap();
    assert_eq!((tool["tool"].as_str(), tool["success"].as_bool()), (Some("Bash"), Some(true)));
    assert!(
        !events.iter().any(|event| event.to_string().contains("a question that stays")),
        "the profile does not export prompts"
    );
    let session = &report_session(&client);
    assert!(events.iter().all(|event| event["claude_session"] == *session), "{events:?}");
}

fn report_session(client: &Client) -> Value {
    client.report_by("session")[0]["session"].clone()
}
