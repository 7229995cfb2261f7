mod claims;
mod spend;

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::*;
use crate::profile::{Period, Scope};

/// A billionth of a dollar, and a dollar.
const DOLLAR: i64 = 1_000_000_000;

fn budget(period: Period, per: Scope, dollars: i64) -> Budget {
    Budget {
        period,
        limit: dollars * DOLLAR,
        per,
        warn: BTreeSet::from([50, 75, 90, 100]),
        stop: false,
        notify: Vec::new(),
        origin: "a.toml:1:1".to_owned(),
    }
}

fn daily(dollars: i64) -> Budget {
    budget(Period::Daily, Scope::Person, dollars)
}

fn stopping(budget: Budget) -> Budget {
    Budget { stop: true, ..budget }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn standing(budget: Budget, cents: i64) -> Standing {
    Standing {
        budget,
        of: Some("me".to_owned()),
        spend: cents * DOLLAR / 100,
        forecast: Some(2410 * DOLLAR / 100),
        since: at("2026-11-30T00:00:00Z"),
        until: at("2026-12-01T00:00:00Z"),
        lifted_until: None,
    }
}

fn limits(budgets: &[Budget]) -> Vec<(&str, &str, i64, bool)> {
    let limit = |budget: &Budget| (budget.period.name(), budget.per.name(), budget.limit / DOLLAR, budget.stop);
    strictest(budgets).iter().map(limit).collect()
}

#[test]
fn the_strictest_budget_for_a_period_and_scope_counts() {
    assert_eq!(limits(&[daily(20), daily(30), daily(25)]), [("daily", "person", 20, false)]);
    let weekly = budget(Period::Weekly, Scope::Person, 10);
    let of_project = budget(Period::Daily, Scope::Project, 40);
    assert_eq!(
        limits(&[daily(20), weekly, of_project]),
        [("daily", "person", 20, false), ("weekly", "person", 10, false), ("daily", "project", 40, false)]
    );
}

#[test]
fn a_budget_that_stops_is_not_replaced_by_a_lower_one_that_does_not() {
    let both = [("daily", "person", 20, false), ("daily", "person", 30, true)];
    assert_eq!(limits(&[stopping(daily(30)), daily(20), stopping(daily(40))]), both);
    assert_eq!(limits(&[daily(30), stopping(daily(20))]), [("daily", "person", 20, true)]);
    assert_eq!(limits(&[daily(20), stopping(daily(20))]), [("daily", "person", 20, true)]);
}

#[test]
fn equal_budgets_tell_everyone_that_each_tells() {
    let command = |name: &str| {
        Notify::Command(crate::secret::Command {
            argv: vec![name.to_owned()],
            ttl: None,
            timeout: std::time::Duration::from_secs(1),
            interactive: false,
        })
    };
    let one = Budget { notify: vec![command("a")], warn: [80].into(), ..daily(20) };
    let other = Budget { notify: vec![command("a"), command("b")], warn: [90].into(), ..daily(20) };
    let counting = strictest(&[one, other]);
    assert_eq!(counting.len(), 1);
    assert_eq!((counting[0].notify.len(), counting[0].warn.iter().copied().collect::<Vec<_>>()), (2, vec![80, 90]));
}

#[test]
fn messages_say_what_is_spent_and_what_happens() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let over = Standing { budget: stopping(daily(20)), ..standing(daily(20), 1602) };
    assert_eq!(
        reached(&over, 75, &zone),
        "75 % of the daily budget of $20.00 is spent: $16.02 by Claude Code's estimate; forecast for today: $24.10"
    );
    let lifted = Standing { lifted_until: Some(at("2026-11-30T14:00:00Z")), forecast: None, ..over.clone() };
    assert!(reached(&lifted, 75, &zone).ends_with("estimate; lifted until Mon 2026-11-30 15:00"));
    let project = Standing { budget: budget(Period::Weekly, Scope::Project, 80), ..over };
    assert_eq!(
        stopped(&project, &zone),
        "the weekly budget of $80.00 per project is spent: $16.02 by Claude Code's estimate. Work stops until Tue \
         2026-12-01 01:00. To continue, run `ccrun budget lift 1h` in a terminal of your own"
    );
}

#[test]
fn a_budget_stops_from_its_limit_on_unless_it_is_lifted() {
    let stops = |cents, lifted_until| Standing { lifted_until, ..standing(stopping(daily(20)), cents) }.stops();
    assert!(!stops(1999, None) && stops(2000, None) && stops(9999, None));
    assert!(!stops(2000, Some(at("2026-11-30T10:00:00Z"))));
    assert!(!standing(daily(20), 9999).stops());
    let both =
        [standing(stopping(daily(20)), 2500), standing(stopping(budget(Period::Weekly, Scope::Person, 25)), 2500)];
    let weekly = Standing { until: at("2026-12-07T00:00:00Z"), ..both[1].clone() };
    let reason = stop(&[both[0].clone(), weekly], &TimeZone::UTC).unwrap();
    assert!(reason.contains("weekly"), "the one that stops longer is named: {reason}");
}

#[test]
fn percentages_are_rounded_down() {
    let tier = |cents| standing(daily(20), cents).tier();
    assert_eq!(
        [0, 999, 1000, 1499, 1500, 1999, 2000, 99_999].map(tier),
        [None, None, Some(50), Some(50), Some(75), Some(90), Some(100), Some(100)]
    );
    let absurd = Standing { spend: i64::MAX, budget: Budget { limit: 1, ..daily(1) }, ..standing(daily(1), 0) };
    assert_eq!(absurd.percent(), i64::MAX);
    assert_eq!(Standing { spend: -5, ..absurd }.percent(), 0);
}

#[test]
fn lifts_end_by_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let lifts = Lifts::new(&crate::state::Places::below(directory.path()));
    let now = at("2026-11-30T10:00:00Z");
    assert_eq!(lifts.until("team", now), None);
    lifts.lift("team", at("2026-11-30T12:00:00Z")).unwrap();
    assert_eq!(lifts.until("team", now), Some(at("2026-11-30T12:00:00Z")));
    assert_eq!((lifts.until("other", now), lifts.until("team", at("2026-11-30T12:00:00Z"))), (None, None));
    lifts.lift("team", at("2026-11-30T11:00:00Z")).unwrap();
    assert_eq!(lifts.until("team", now), Some(at("2026-11-30T11:00:00Z")));
    assert!(lifts.end("team").unwrap() && !lifts.end("team").unwrap());
    assert_eq!(lifts.until("team", now), None);
    // A note that is damaged, or from a clock that was ahead, lifts nothing.
    for text in ["", "soon", "2028-01-01T00:00:00Z", &"x".repeat(100)] {
        std::fs::write(directory.path().join("state/budgets/lift-team"), text).unwrap();
        assert_eq!(lifts.until("team", now), None, "{text}");
    }
}
