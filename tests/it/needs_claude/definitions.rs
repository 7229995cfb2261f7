//! The ledger in cases that are easy to get wrong, with the real client.

use serde_json::{Value, json};

use crate::support::claude::{Client, USAGE, finish};
use crate::support::sandbox::text;
use ccrun::doctor::live::model::Script;

fn client(script: Script) -> Client {
    Client::new(script.usage(USAGE))
}

/// Asks with these additional arguments of Claude Code, and returns its output.
fn ask(client: &Client, options: &[&str], arguments: &[&str]) -> String {
    let output = finish(client.claude(options, [&["-p"], arguments].concat()).spawn().unwrap());
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn total(client: &Client, measure: &str) -> Value {
    client.report()["total"][measure].clone()
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn subagents_belong_to_their_prompt() {
    let input = |in_background: bool| {
        json!({"description": "looks", "prompt": "look", "subagent_type": "general-purpose",
               "run_in_background": in_background})
    };
    for in_background in [false, true] {
        let client = client(Script::text("done").tool("Agent", input(in_background)));
        ask(&client, &[], &["a question", "--allowedTools", "Agent"]);
        let rows = client.report_by("prompt,source");
        let of = |source: &str| {
            let rows = rows.iter().filter(|row| row["source"] == source);
            rows.map(|row| row["prompt"].clone()).collect::<Vec<_>>()
        };
        let (agents, own) = (of("agent:builtin:general-purpose"), of("sdk"));
        assert!(!agents.is_empty() && agents.iter().all(|prompt| own.contains(prompt)), "{rows:?}");
        assert_eq!((total(&client, "requests"), total(&client, "sessions")), (json!(client.questions()), json!(1)));
        // The client reports the end of a background subagent to the model, and counts that as a prompt.
        let prompts = total(&client, "prompts").as_u64().unwrap();
        assert!(if in_background { prompts > 1 } else { prompts == 1 }, "{rows:?}");
    }
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn an_error_with_a_successful_retry_is_not_counted() {
    let client = client(Script::text("the answer").failing(429, 1));
    ask(&client, &[], &["a question"]);
    let report = client.report();
    assert_eq!((&report["total"]["errors"], &report["total"]["prompts"]), (&json!(0), &json!(1)));
    assert_eq!(report["total"]["requests"], client.questions() - 1);
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_permanent_error_counts_once_with_its_status_and_no_cost() {
    let client = client(Script::text("the answer").failing(400, usize::MAX));
    let output = client.ask(&[], "a question");
    assert!(!output.status.success(), "{output:?}");
    let rows = client.report_by("status");
    let failed: Vec<_> = rows.iter().filter(|row| row["status"] == "400").collect();
    let [failed] = failed[..] else { panic!("exactly one status: {rows:?}") };
    assert_eq!((&failed["errors"], &failed["requests"], &failed["cost_usd"]), (&json!(1), &json!(0), &json!(0.0)));
    assert_eq!((total(&client, "errors"), total(&client, "sessions")), (json!(1), json!(1)));
}

/// Telemetry does not mark guessed costs, so the ledger can only repeat the client's number.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn the_cost_of_an_unknown_model_is_the_clients_guess() {
    let client = client(Script::text("the answer"));
    let said = ask(&client, &[], &["a question", "--model", "claude-of-tomorrow-9", "--output-format", "json"]);
    let said: Value = serde_json::from_str(said.trim()).unwrap();
    let rows = client.report_by("model");
    let row = rows.iter().find(|row| row["model"] == "claude-of-tomorrow-9");
    let row = row.unwrap_or_else(|| panic!("no row for the model: {rows:?}"));
    assert_eq!(row["input_tokens"], USAGE.input);
    let (cost, told) = (total(&client, "cost_usd").as_f64().unwrap(), said["total_cost_usd"].as_f64().unwrap());
    assert!(cost > 0.0 && (cost - told).abs() < 1e-6, "{cost} {told}");
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn concurrent_sessions_are_counted_separately() {
    let client = client(Script::text("done").bash("true"));
    let start = |question| client.claude(&[], ["-p", question, "--allowedTools", "Bash"]).spawn().unwrap();
    for child in [start("one"), start("two")] {
        assert!(finish(child).status.success());
    }
    let rows = client.report_by("session");
    assert_eq!(rows.len(), 2);
    for row in &rows {
        assert_eq!((&row["prompts"], &row["tool_successes"]), (&json!(1), &json!(1)), "{rows:?}");
    }
    assert_eq!(total(&client, "requests"), client.questions());
}

/// Without `session.id`, the id of the launch replaces it, and events and metrics are still counted once.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn without_a_session_id_the_launch_counts_as_the_session() {
    let client = client(Script::text("the answer"));
    client.profile("nameless", "[cardinality]\nsession_id = false\n");
    for question in ["one", "two"] {
        ask(&client, &["-p", "nameless"], &[question]);
    }
    let report = client.report();
    assert_eq!((&report["total"]["sessions"], &report["total"]["prompts"]), (&json!(2), &json!(2)), "{report}");
    assert_eq!(report["total"]["requests"], client.questions());
    let tokens = USAGE.input * u64::try_from(client.questions()).unwrap();
    assert_eq!(report["total"]["input_tokens"], tokens, "{report}");
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_custom_command_is_a_prompt() {
    let client = client(Script::text("the answer"));
    client.write("project/.claude/commands/greet.md", "Say hello.\n");
    ask(&client, &[], &["/greet"]);
    ask(&client, &[], &["/cost", "--continue"]);
    assert_eq!((total(&client, "prompts"), total(&client, "sessions")), (json!(1), json!(1)));
}

/// The usage that the client prints at the end equals the ledger's.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn the_ledger_agrees_with_the_client_to_the_micro_dollar() {
    let client = client(Script::text("done").bash("true"));
    let said = ask(&client, &[], &["a question", "--allowedTools", "Bash", "--output-format", "json"]);
    let said: Value = serde_json::from_str(said.trim()).unwrap();
    let cost = total(&client, "cost_usd").as_f64().unwrap();
    assert!((cost - said["total_cost_usd"].as_f64().unwrap()).abs() < 1e-6, "{cost}: {said}");
    assert_eq!(client.report_by("session")[0]["session"], said["session_id"]);
}
