//! Budgets on a terminal: the message, the prompt that returns, and the tool that is denied.

use serde_json::json;

use super::super::budgets::{STOPS, delayed, settings, spend, was_told_why};
use crate::support::claude::Client;
use crate::support::sandbox::wait_until;
use crate::support::terminal::Terminal;
use ccrun::doctor::live::model::Script;

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn in_a_terminal_a_budget_is_told_and_stops_prompts_until_it_is_lifted() {
    let client = Client::new(Script::text("the answer is here"));
    client.profile("team", STOPS);
    client.settle_in();
    let terminal = Terminal::start(&client, "ccrun -p team claude");
    terminal.wait_for("❯");
    spend(&client, 1, "6");
    // On a busy machine the hook may answer too late, and the prompt is sent: a budget makes no prompt wait.
    let answers = || terminal.screen().matches("the answer is here").count();
    for number in 1..6 {
        terminal.enter(&format!("question {number}"));
        wait_until("an answer", || answers() == number);
        if terminal.screen().contains("ccrun: 50 % of the daily budget of $10.00 per profile is spent") {
            break;
        }
    }
    terminal.wait_for("ccrun: 50 % of the daily budget of $10.00 per profile is spent");
    spend(&client, 2, "5");
    let is_stopped = || terminal.screen().contains("ccrun: the daily budget of $10.00 per profile is spent");
    let question = (1..6).map(|number| format!("more, number {number}")).find(|question| {
        let before = answers();
        terminal.enter(question);
        wait_until("an answer or the reason", || answers() > before || is_stopped());
        is_stopped()
    });
    let question = question.expect("the budget to stop a prompt");
    let is_asked = || client.prompts().iter().any(|prompt| prompt.contains(&question));
    let in_the_box = || terminal.screen().rsplit('❯').next().is_some_and(|rest| rest.contains(&*question));
    wait_until("the prompt to return to the box", in_the_box);
    assert!(!is_asked());
    assert!(client.run(["budget", "lift", "1h", "-p", "team"]).status.success());
    terminal.press("Enter");
    wait_until("the prompt to be sent", is_asked);
    terminal.enter("/exit");
    assert_eq!(terminal.end(), 0);
    client.wait_for_end();
    assert_eq!(settings(&client), json!({"env": {"CLAUDE_CODE_ENABLE_TELEMETRY": "0"}}));
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn in_a_terminal_a_tool_is_denied_and_the_turn_ends() {
    let client = delayed(&json!({}));
    let terminal = Terminal::start(&client, "ccrun -p team claude --allowedTools Bash");
    terminal.wait_for("❯");
    terminal.enter("a question");
    wait_until("the first attempt", || client.questions() > 0);
    spend(&client, 1, "11");
    terminal.wait_for("ccrun: the daily budget of $10.00 per profile is spent");
    terminal.wait_for("stopped Claude");
    assert!(!terminal.screen().contains("the answer is here"));
    assert!(!was_told_why(&client), "there was no further request");
    terminal.enter("/exit");
    assert_eq!(terminal.end(), 0);
}
