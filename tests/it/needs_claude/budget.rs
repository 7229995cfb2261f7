//! Budgets and the real client.

use std::cell::Cell;

use ccrun::doctor::live::model::Script;

use crate::budget::refused;
use crate::support::claude::{Client, USAGE};
use crate::support::sandbox::text;

/// The first question is asked, and its cost is known right after it. So the second is not asked.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_question_after_the_one_that_spends_the_budget_is_not_asked() {
    let client = Client::new(Script::text("the answer").usage(USAGE));
    client.profile("team", "[budget]\nmonthly = 0.000001\nstop = true\n");
    let ask = |options: &[&str]| client.ask(&[&["-p", "team"], options].concat(), "hi");
    let first = ask(&["--wait"]);
    assert_eq!((first.status.code(), text(&first.stdout)), (Some(0), "the answer\n".to_owned()), "{first:?}");
    client.wait_for_end();
    let spent = client.run(["budget", "-p", "team", "--json"]);
    let spent: serde_json::Value = serde_json::from_slice(&spent.stdout).unwrap();
    assert_eq!(spent["budgets"][0]["stops"], true, "{spent}");
    assert_eq!(spent["budgets"][0]["spend_usd"], client.report()["total"]["cost_usd"], "{spent}");
    let asked = Cell::new(0);
    let second = refused(|| {
        asked.set(client.questions());
        ask(&[])
    });
    assert!(second.stdout.is_empty(), "{second:?}");
    assert!(text(&second.stderr).contains("the program was not started: the monthly budget of"), "{second:?}");
    assert_eq!(client.questions(), asked.get(), "the model was not asked");
    assert!(client.run(["budget", "lift", "5m", "-p", "team"]).status.success());
    assert_eq!(ask(&[]).status.code(), Some(0));
    client.wait_for_end();
}
