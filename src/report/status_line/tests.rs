use std::collections::BTreeSet;

use insta::assert_snapshot;

use super::*;
use crate::claude::status_line::{Cache, Limits};
use crate::profile::{Budget, Scope};

/// As Claude Code 2.1.332 prints it after an answer.
fn reading() -> Reading {
    Reading::of(include_bytes!("../../claude/status_line/answer.json"))
}

fn look() -> Look {
    Look { colour: false, width: None, zone: TimeZone::UTC }
}

/// A daily budget of $20.00 with this spend, in billionths of a US dollar.
fn daily(spend: i64) -> Standing {
    let budget = Budget {
        period: Period::Daily,
        limit: 20_000_000_000,
        per: Scope::Person,
        warn: BTreeSet::new(),
        stop: false,
        notify: Vec::new(),
        origin: String::new(),
    };
    let [since, until] = [Timestamp::UNIX_EPOCH; 2];
    Standing { budget, of: None, spend, forecast: None, since, until, lifted_until: None }
}

fn shown(format: &str, reading: &Reading) -> String {
    let known =
        Known { today: Some(3_210_000_000), branch: Some("main".to_owned()), budgets: vec![daily(12_800_000_000)] };
    status_line(&format.parse().unwrap(), reading, &known, &look())
}

const EVERYTHING: &str = "{model} {effort} · {cost} · {today} · {context} · {tokens} · {limits} · {cache} · {misses} \
                          · {duration} · {lines} · {project} · {branch} · {worktree} · {pr} · {session}";

#[test]
fn the_clients_json_is_shown_in_any_format() {
    let default = crate::profile::DEFAULT_FORMAT;
    assert_snapshot!(shown(default, &reading()), @"$0.04 · today $3.21 · budget 64% of $20.00 a day · context 6% · 5h 23%, 7d 42%");
    assert_snapshot!(
        shown(EVERYTHING, &reading()),
        @"Opus 5.5 medium · $0.04 · $3.21 · 6% · 55k · 5h 23%, 7d 42% · 91% · 1 miss · 9s · api · main"
    );
    let more = Reading {
        lines: [Some(12), Some(3)],
        pull_request: Some(7),
        worktree: "fix".to_owned(),
        name: "a\u{1b}[31mname".to_owned(),
        cache: None,
        ..reading()
    };
    assert_snapshot!(
        shown("{lines} | {worktree} | {pr} | {session} | {misses}\n{cache}\n{cost}", &more),
        @r"
    +12 −3 | fix | #7 | a\u{1b}[31mname
    $0.04
    ");
}

#[test]
fn what_is_empty_vanishes_with_its_separator() {
    let empty = Reading::default();
    let known = Known::default();
    let shown = |format: &str| status_line(&format.parse().unwrap(), &empty, &known, &look());
    assert_eq!(shown("{cost} · today {today} · {limits}"), "");
    assert_eq!(shown("{cost} · mine · {limits}"), "mine\n");
    assert_eq!(shown(EVERYTHING), "");
    let partly = Reading { cost: Some(0), model: "Opus".to_owned(), ..Reading::default() };
    let shown = |format: &str| status_line(&format.parse().unwrap(), &partly, &known, &look());
    assert_eq!(shown("[{model} {effort} {cost}] x"), "[Opus ] x\n");
    assert_eq!(shown("{effort} {model} {cost}"), "Opus\n");
    assert_eq!(shown("{cost} | {model}"), "Opus\n");
}

#[test]
fn limits_that_are_nearly_reached_stand_out_and_say_when_they_are_reset() {
    let limit = |used| Some(Limit { used, resets_at: 1_796_019_749 });
    let limits = Limits { five_hour: limit(9120), seven_day: limit(9999), spend: None };
    let near = Reading { limits, ..reading() };
    assert_snapshot!(shown("{limits}", &near), @"5h 91% until 06:22, 7d 99.9% until Mon 06:22");
    let spend = |used, amounts| Some(Spend { limit: Limit { used, resets_at: 0 }, amounts });
    let spending = |spend| Reading { limits: Limits { spend, ..Limits::default() }, ..reading() };
    let amounts = Some([4_200_000_000, 20_000_000_000]);
    assert_snapshot!(shown("{limits}", &spending(spend(2100, amounts))), @"spend $4.20 of $20.00");
    assert_snapshot!(shown("{limits}", &spending(spend(10_550, None))), @"spend 106%");
    let coloured = Look { colour: true, ..look() };
    let full = Reading { context: crate::claude::status_line::Context { used: Some(8000), ..near.context }, ..near };
    let shown = status_line(&"{context} · {limits}".parse().unwrap(), &full, &Known::default(), &coloured);
    assert_eq!(
        shown,
        "\u{1b}[33m80%\u{1b}[0m · \u{1b}[31m5h 91% until 06:22\u{1b}[0m, \u{1b}[31m7d 99.9% until Mon 06:22\u{1b}[0m\n"
    );
}

#[test]
fn a_narrow_terminal_shows_the_first_parts() {
    let format: Format = crate::profile::DEFAULT_FORMAT.parse().unwrap();
    let at = |width| {
        let look = Look { width: Some(width), ..look() };
        status_line(&format, &reading(), &Known::default(), &look)
    };
    assert_eq!(at(80), "$0.04 · context 6% · 5h 23%, 7d 42%\n");
    assert_eq!(at(30), "$0.04 · context 6%\n");
    assert_eq!((at(10), at(0)), ("$0.04\n".to_owned(), "$0.04\n".to_owned()));
}

#[test]
fn the_budget_nearest_to_its_limit_is_shown() {
    let of = |budgets: Vec<Standing>| {
        let coloured = Look { colour: true, ..look() };
        let known = Known { budgets, ..Known::default() };
        status_line(&"{budget}".parse().unwrap(), &Reading::default(), &known, &coloured)
    };
    let monthly = |spend| {
        let standing = daily(spend);
        Standing { budget: Budget { period: Period::Monthly, limit: 100_000_000_000, ..standing.budget }, ..standing }
    };
    assert_eq!(of(Vec::new()), "");
    assert_eq!(of(vec![daily(0)]), "0% of $20.00 a day\n");
    assert_eq!(of(vec![daily(10_000_000_000), monthly(51_000_000_000)]), "51% of $100.00 a month\n");
    assert_eq!(of(vec![daily(15_000_000_000), monthly(1)]), "\u{1b}[33m75% of $20.00 a day\u{1b}[0m\n");
    assert_eq!(of(vec![daily(25_000_000_000)]), "\u{1b}[31m125% of $20.00 a day\u{1b}[0m\n");
}

#[test]
fn tokens_are_rounded() {
    assert_eq!([999, 55_031, 999_600, 1_234_567].map(rounded), ["999", "55k", "1.0M", "1.2M"]);
    let misses = Reading { cache: Some(Cache { misses: 2, ..Cache::default() }), ..Reading::default() };
    assert_eq!(shown("{misses}", &misses), "2 misses\n");
}
