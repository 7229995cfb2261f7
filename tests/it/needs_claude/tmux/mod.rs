//! The interactive client on a terminal.

mod budgets;
mod definitions;
mod statusline;
mod top;

use super::{complete, profile};
use crate::parent::{sees_the_size_of_its_window, stops_and_goes_on};
use crate::support::backend::{Backend, Received};
use crate::support::claude::{Client, USAGE};
use crate::support::sandbox::{DEADLINE, wait_until};
use crate::support::telemetry::{events, items};
use crate::support::terminal::Terminal;
use ccrun::doctor::live::model::Script;

/// Whether everything from one question has arrived. Background requests may still be running at the end.
fn arrived(received: &[Received]) -> bool {
    let answered =
        events(received, "api_request").iter().any(|event| event.attributes["query_source"].contains("main"));
    answered && complete(received, events(received, "api_request").len()) && !events(received, "user_prompt").is_empty()
}

/// Asks a question on a terminal, waits for the answer, and leaves. Checks that all usage has arrived.
fn converses(options: &str, leave: impl FnOnce(&Terminal)) {
    let (backend, client) = (Backend::start(), Client::new(Script::text("the answer is here").usage(USAGE)));
    client.profile("team", profile(&backend, "http/protobuf"));
    client.settle_in();
    let terminal = Terminal::start(&client, &format!("ccrun -p team claude {options}"));
    terminal.wait_for("❯");
    terminal.enter("a question");
    terminal.wait_for("the answer is here");
    leave(&terminal);
    let received = backend.wait_for(arrived, DEADLINE);
    assert!(items(&received).iter().all(|item| item.resource["team.id"] == "platform"));
    wait_until("all usage to be counted", || {
        client.report()["total"]["requests"] == events(&backend.received(), "api_request").len()
    });
    client.wait_for_end();
    assert!(client.queue().is_empty());
}

/// Checks that the terminal shows no message of `ccrun`, and that the resume command of claude has no settings file.
fn shows_nothing_of_ours(terminal: &Terminal, resume: &str) {
    terminal.wait_for(resume);
    assert!(!terminal.screen().contains("ccrun:"), "{}", terminal.screen());
    assert!(!terminal.screen().contains("--settings"), "{}", terminal.screen());
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn leaving_with_exit_loses_nothing_and_shows_nothing_of_ccrun() {
    converses("", |terminal| {
        terminal.enter("/exit");
        assert_eq!(terminal.end(), 0);
        shows_nothing_of_ours(terminal, "claude --resume ");
    });
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn leaving_with_interrupts_loses_nothing_and_shows_nothing_of_ccrun() {
    converses("--model sonnet", |terminal| {
        wait_until("two interrupts to end the client", || {
            terminal.press("C-c");
            terminal.exit_code().is_some()
        });
        assert_eq!(terminal.end(), 0);
        shows_nothing_of_ours(terminal, "claude --model sonnet --resume ");
    });
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn closing_the_terminal_loses_nothing() {
    converses("", |terminal| {
        terminal.close();
    });
}

/// Ctrl-Z, `fg` and the exit code, with and without a launcher that stays.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_job_on_a_terminal_can_be_suspended_and_resumed() {
    for options in ["", "--wait"] {
        stops_and_goes_on(&crate::support::sandbox::Sandbox::new(), options);
    }
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn the_program_sees_a_resized_window() {
    for options in ["", "--wait"] {
        sees_the_size_of_its_window(&crate::support::sandbox::Sandbox::new(), options);
    }
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn claude_can_be_suspended_and_resumed() {
    for options in ["", "--wait"] {
        let client = Client::new(Script::text("the answer is here").usage(USAGE));
        client.settle_in();
        let terminal = Terminal::start(&client, "PS1='ready> ' bash --norc -i");
        terminal.wait_for("ready>");
        terminal.enter(&format!("ccrun {options} claude"));
        terminal.wait_for("❯");
        terminal.press("C-z");
        terminal.wait_for("Stopped");
        terminal.enter("fg");
        wait_until("claude to be resumed", || {
            terminal.press("x");
            terminal.screen().rsplit("fg").next().is_some_and(|rest| rest.contains('❯'))
        });
        terminal.press("C-u");
        terminal.enter("a question");
        terminal.wait_for("the answer is here");
        terminal.enter("/exit");
        terminal.wait_for("claude --resume ");
        // Until claude is suspended, it would read the input.
        wait_until("the shell", || {
            terminal.screen().rsplit("claude --resume ").next().is_some_and(|rest| rest.contains("ready>"))
        });
        terminal.enter("echo code $?; exit");
        terminal.wait_for("code 0");
        terminal.end();
    }
}
