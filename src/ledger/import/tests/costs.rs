//! Costs of sessions: whole, forked and killed ones, and those with requests that have no row.

use super::*;

#[test]
fn a_session_is_imported_once_and_costs_what_the_client_says() {
    let fixture = Fixture::new();
    let mut written = simple(1);
    written.cost(-500, &[(OPUS, 0.082_087_6, times(2))]);
    fixture.write(&written);
    let imported = fixture.import();
    // Two requests, a prompt, a tool run and its decision.
    assert_eq!((imported.sessions, imported.facts, imported.faults), (1, 5, Faults::default()));
    assert_eq!((fixture.requests(), fixture.cost()), (2, 82_087_600));
    let failed: i64 = fixture.ask("SELECT count(*) FROM tool_call WHERE succeeded = 0");
    let prompt: i64 = fixture.ask("SELECT count(DISTINCT prompt) FROM request");
    assert_eq!((failed, prompt), (1, 1));
    assert_eq!(fixture.import().unchanged, 1);
    // The session continues, and is read again.
    written.prompt(10_000, "later", "words").answer(11_000, Some("req_later"), TOKENS);
    fixture.write(&written);
    assert_eq!((fixture.import().facts, fixture.requests()), (2, 3));
    assert_eq!(fixture.cost(), 82_087_600, "usage after the last cost has no cost");
    written.cost(-500, &[(OPUS, 0.123_175_2, times(3))]);
    fixture.write(&written);
    assert_eq!((fixture.import().facts, fixture.cost()), (0, 123_175_200));
    let [before, after] = fixture.sums();
    assert_eq!(before, after);
}

#[test]
fn requests_without_a_row_make_the_session_exact() {
    let fixture = Fixture::new();
    let mut written = simple(1);
    written.cost(-500, &[(OPUS, 0.08, times(3)), ("claude-haiku-5", 0.001, [500, 10, 0, 0, 0])]);
    fixture.write(&written);
    fixture.import();
    assert_eq!((fixture.requests(), fixture.cost()), (2, 81_000_000));
    let tokens: i64 = fixture.ask("SELECT sum(input) FROM request");
    assert_eq!(tokens, 3 * 1000 + 500);
    // The event of a title, which has no row.
    let title = api_request("claude-haiku-5", [500, 10, 0, 0], 0.001);
    let title = (Signal::Logs, logs(vec![event(&id(1), 9, 1500, "api_request", title)]));
    take(&fixture.ledger(), &origin("one"), &[title]);
    assert_eq!((fixture.requests(), fixture.cost()), (3, 81_000_000));
    take(&fixture.ledger(), &origin("one"), &[asked(&id(1), 10, 1600, TOKENS, 0.03, &[("request_id", "req_3")])]);
    assert_eq!((fixture.requests(), fixture.cost()), (4, 81_000_000));
    assert_eq!(fixture.ask::<i64>("SELECT count(*) FROM request WHERE outcome = 4"), 0);
    let [before, after] = fixture.sums();
    assert_eq!(before, after);
}

#[test]
fn a_forks_copies_belong_to_its_parent() {
    let mut parent = simple(1);
    parent.cost(-500, &[(OPUS, 0.08, times(2))]);
    let mut fork = parent.fork(2, "prompt-2");
    fork.prompt(60_000, "prompt-2", "words").answer(61_000, Some("req_fork"), TOKENS);
    fork.cost(-500, &[(OPUS, 0.12, times(3))]);
    // `/branch` starts counting at zero.
    let mut branch = parent.fork(3, "prompt-3");
    branch.prompt(70_000, "prompt-3", "words").answer(71_000, Some("req_branch"), TOKENS);
    branch.cost(69_000, &[(OPUS, 0.05, TOKENS)]);
    let fixture = Fixture::new();
    for written in [&branch, &fork] {
        fixture.write(written);
    }
    fixture.import();
    assert_eq!(fixture.requests(), 4);
    assert_eq!((fixture.cost_of(&fork.session), fixture.cost_of(&branch.session)), (40_000_000, 50_000_000));
    let inexact = "SELECT count(*) FROM transcript WHERE is_inexact = 1";
    assert_eq!(fixture.ask::<i64>(inexact), 1, "the parent is still unknown");
    parent.prompt(80_000, "prompt-4", "words").answer(81_000, Some("req_after"), TOKENS);
    parent.cost(-500, &[(OPUS, 0.121, times(3))]);
    fixture.write(&parent);
    fixture.import();
    assert_eq!(fixture.requests(), 5);
    assert_eq!((fixture.cost_of(&fork.session), fixture.cost_of(&parent.session)), (40_000_000, 121_000_000));
    let prompts: i64 = fixture.ask("SELECT count(*) FROM submission");
    let tools: i64 = fixture.ask("SELECT count(*) FROM tool_call");
    assert_eq!((prompts, tools), (4, 1));
    let [before, after] = fixture.sums();
    assert_eq!(before, after);
}

#[test]
fn a_killed_session_has_no_cost_unless_prices_are_given() {
    let fixture = Fixture::new();
    fixture.write(&simple(1));
    fixture.import();
    assert_eq!((fixture.requests(), fixture.cost()), (2, 0));
    let prices = json!({"claude-opus-5-5": {"input_cost_per_token": 1e-6, "output_cost_per_token": 5e-6,
        "cache_read_input_token_cost": 1e-7, "cache_creation_input_token_cost": 1.25e-6}});
    let prices = Prices::read(prices.to_string().as_bytes()).unwrap();
    let options = Options { prices: Some(&prices), ..Options::default() };
    let one = 1_000_000 + 1_000_000 + 5_000_000 + 3_750_000 + 2_000_000;
    assert_eq!((fixture.with(&options).priced, fixture.cost()), (2, 2 * one));
    assert_eq!(fixture.with(&options).priced, 0);
    // An event, and the client's total at the end, are better.
    take(&fixture.ledger(), &origin("one"), &[asked(&id(1), 1, 1200, TOKENS, 0.04, &[("request_id", "req_1_1")])]);
    assert_eq!((fixture.requests(), fixture.cost()), (2, 40_000_000 + one));
    let mut whole = simple(1);
    whole.cost(-500, &[(OPUS, 0.09, times(2))]);
    fixture.write(&whole);
    fixture.import();
    assert_eq!((fixture.requests(), fixture.cost()), (2, 90_000_000));
    let [before, after] = fixture.sums();
    assert_eq!(before, after);
}

#[test]
fn subagents_failures_and_old_costs_count() {
    let fixture = Fixture::new();
    let mut written = simple(1);
    written.row(
        5000,
        json!({"type": "assistant", "uuid": "f", "isApiErrorMessage": true, "apiErrorStatus": 529,
        "message": {"id": "x", "model": "<synthetic>", "content": [], "usage": {"input_tokens": 0}}}),
    );
    written.row(
        6000,
        json!({"type": "assistant", "uuid": "o", "requestId": "req_old", "costUSD": 0.5,
        "message": {"id": "y", "model": OPUS, "content": [], "usage": {"input_tokens": 1}}}),
    );
    fixture.write(&written);
    let mut agent = Written::new(1);
    agent.row(1500, json!({"type": "assistant", "uuid": "a", "requestId": "req_agent", "isSidechain": true,
        "attributionAgent": "general-purpose", "message": {"id": "z", "model": OPUS, "content": [], "usage": {"input_tokens": 7}}}));
    let path = fixture.0.path().join(format!("projects/-projects-a/{}/subagents/agent-1.jsonl", id(1)));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, &agent.lines[0]).unwrap();
    fixture.import();
    assert_eq!((fixture.requests(), fixture.cost()), (4, 500_000_000));
    assert_eq!(fixture.ask::<i64>("SELECT status FROM request WHERE outcome = 1"), 529);
    let of_agent: i64 = fixture.ask(
        "SELECT input FROM request r JOIN kind k ON k.id = r.kind JOIN text t ON t.id = k.agent WHERE t.text = 'general-purpose'",
    );
    assert_eq!(of_agent, 7);
}
