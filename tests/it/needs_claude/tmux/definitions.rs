//! Conversations on a terminal in the ledger.

use serde_json::json;

use crate::support::claude::{Client, USAGE};
use crate::support::sandbox::wait_until;
use crate::support::terminal::Terminal;
use ccrun::doctor::live::model::Script;

/// `/clear` starts a new session of Claude Code, `/compact` is not a prompt, and nothing is lost or counted twice.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn clear_starts_a_new_session_and_compact_does_not() {
    let client = Client::new(Script::text("the answer is here").usage(USAGE));
    client.settle_in();
    let terminal = Terminal::start(&client, "ccrun claude");
    terminal.wait_for("❯");
    let answers = || terminal.screen().matches("the answer is here").count();
    let ask = |question: &str| {
        let before = answers();
        terminal.enter(question);
        wait_until("the answer", || answers() > before);
    };
    ask("the first question");
    terminal.enter("/clear");
    wait_until("the screen to be cleared", || answers() == 0);
    ask("the second question");
    let before = client.questions();
    terminal.enter("/compact");
    terminal.wait_for("Compacted");
    assert!(client.questions() > before);
    ask("the third question");
    terminal.enter("/exit");
    assert_eq!(terminal.end(), 0);
    client.wait_for_end();

    let total = client.report()["total"].clone();
    assert_eq!((&total["sessions"], &total["prompts"]), (&json!(2), &json!(3)));
    assert_eq!(total["requests"], client.questions());
    let prompts: Vec<_> = client.report_by("session").iter().map(|row| row["prompts"].clone()).collect();
    assert!(prompts == [1, 2] || prompts == [2, 1], "{prompts:?}");
    let sources = client.report_by("source");
    assert!(sources.iter().any(|row| row["source"] == "compact"), "{sources:?}");
}
