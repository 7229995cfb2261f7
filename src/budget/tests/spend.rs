//! The spend of budgets, from a ledger.

use jiff::Zoned;
use rusqlite::Connection;

use super::*;
use crate::ledger::tests::origin;
use crate::ledger::{Origin, empty, insert};
use crate::otlp::Signal;
use crate::usage::extract;
use crate::usage::samples::{api_request, event, logs, morning, text};

/// A request at a time, in dollars. The session's name tells whose it is.
fn request(ledger: &Connection, origin: &Origin<'_>, session: &str, time: &str, dollars: f64, person: &[(&str, &str)]) {
    let after = at(time).as_millisecond() - morning().as_millisecond();
    let mut own = api_request("claude-opus-5-5", [1, 1, 1, 1], dollars);
    own.extend(person.iter().map(|(key, value)| text(key, value)));
    own.push(text("request_id", &format!("{session} {time}")));
    let record = event(session, after % 1_000_000, u64::try_from(after).unwrap(), "api_request", own);
    let received = at(time).as_millisecond();
    insert(ledger, origin, &[extract(Signal::Logs, &logs(vec![record]), received)]).unwrap();
}

fn here(session: Option<&str>) -> Here {
    Here {
        claude_session: session.map(str::to_owned),
        project: Some("/projects/a".to_owned()),
        branch: Some("main".to_owned()),
        profile: Some("local".to_owned()),
        user: Some("me".to_owned()),
        has_persons: true,
        ..Here::default()
    }
}

/// The spend of budgets in cents.
fn cents(ledger: &Connection, budgets: &[Budget], here: &Here, now: &str) -> Vec<i64> {
    let now: Zoned = now.parse().unwrap();
    let standings = standings(ledger, budgets, here, None, &now).unwrap();
    standings.iter().map(|standing| standing.spend / (DOLLAR / 100)).collect()
}

#[test]
fn periods_begin_at_midnight_of_the_readers_time_zone() {
    let ledger = empty().unwrap();
    let ours = origin("one");
    // Sunday, Monday and the first of the month, around midnight in Berlin (+1) and in Los Angeles (-8).
    for (time, dollars) in [
        ("2026-11-29T22:59:00Z", 1.0),
        ("2026-11-29T23:00:00Z", 2.0),
        ("2026-11-30T07:59:00Z", 4.0),
        ("2026-11-30T08:00:00Z", 8.0),
        ("2026-11-30T22:59:59Z", 16.0),
        ("2026-11-30T23:00:00Z", 32.0),
        ("2026-12-01T08:00:00Z", 64.0),
    ] {
        request(&ledger, &ours, "s", time, dollars, &[]);
    }
    let all = [daily(1000), budget(Period::Weekly, Scope::Person, 1000), budget(Period::Monthly, Scope::Person, 1000)];
    let spent = |now| cents(&ledger, &all, &here(None), now).into_iter().map(|cents| cents / 100).collect::<Vec<_>>();
    assert_eq!(spent("2026-11-30T23:59[Europe/Berlin]"), [30, 126, 31], "the ledger also has what is to come");
    assert_eq!(spent("2026-12-01T00:00[Europe/Berlin]"), [96, 126, 96]);
    assert_eq!(spent("2026-11-29T23:59[America/Los_Angeles]"), [7, 7, 63]);
    assert_eq!(spent("2026-11-30T00:00[America/Los_Angeles]"), [56, 120, 63]);
    assert_eq!(spent("2026-12-01T00:00[America/Los_Angeles]"), [64, 120, 64]);
}

#[test]
fn a_day_is_as_long_as_the_clock_makes_it() {
    let ledger = empty().unwrap();
    let bounds = |now: &str| {
        let now: Zoned = now.parse().unwrap();
        let standing = standings(&ledger, &[daily(1)], &here(None), None, &now).unwrap().remove(0);
        (standing.until.as_second() - standing.since.as_second()) / 3600
    };
    assert_eq!(bounds("2026-03-29T12:00[Europe/Berlin]"), 23);
    assert_eq!(bounds("2026-10-25T12:00[Europe/Berlin]"), 25);
    assert_eq!(bounds("2026-03-28T12:00[Europe/Berlin]"), 24);
    assert_eq!(bounds("2026-03-08T12:00[America/Los_Angeles]"), 23);
    // In Beirut the clock skips midnight itself.
    assert_eq!(bounds("2026-03-29T12:00[Asia/Beirut]"), 23);
    let now: Zoned = "2026-03-29T12:00[Europe/Berlin]".parse().unwrap();
    let weekly = standings(&ledger, &[budget(Period::Weekly, Scope::Person, 1)], &here(None), None, &now).unwrap();
    assert_eq!(weekly[0].since, at("2026-03-22T23:00:00Z"));
    assert_eq!(weekly[0].until, at("2026-03-29T22:00:00Z"));
}

#[test]
fn each_scope_counts_what_is_current() {
    let ledger = empty().unwrap();
    let (time, me, other) = ("2026-11-30T10:00:00Z", [("user.email", "me@x.org")], [("user.email", "you@x.org")]);
    let one = Origin { team: "platform", ..origin("one") };
    request(&ledger, &one, "mine", time, 1.0, &me);
    request(&ledger, &Origin { branch: "new", ..one.clone() }, "mine", "2026-11-30T10:01:00Z", 2.0, &me);
    request(&ledger, &Origin { project: "/projects/b", ..origin("two") }, "second", time, 4.0, &me);
    request(&ledger, &Origin { profile: "other", ..one.clone() }, "third", time, 8.0, &me);
    request(&ledger, &one, "theirs", time, 16.0, &other);
    let each = Scope::ALL.map(|per| budget(Period::Daily, per, 1000));
    let spent = |here: &Here| {
        cents(&ledger, &each, here, "2026-11-30T12:00[UTC]").into_iter().map(|cents| cents / 100).collect::<Vec<_>>()
    };
    // Person, project, branch, team, profile, session.
    assert_eq!(spent(&here(Some("mine"))), [15, 27, 25, 27, 23, 3]);
    let here_now = Here { branch: Some("new".to_owned()), ..here(Some("theirs")) };
    assert_eq!(spent(&here_now), [16, 27, 2, 27, 23, 16]);
    // By our own id of the session.
    let ours = Here { session: Some("two".to_owned()), project: Some("/projects/b".to_owned()), ..here(None) };
    assert_eq!(spent(&ours), [15, 4, 4, 4, 23, 4]);
}

#[test]
fn before_the_first_request_the_person_is_the_last_one_here() {
    let ledger = empty().unwrap();
    let (time, budgets) = ("2026-11-30T10:00:00Z", [daily(1000)]);
    let spent = |here: &Here| {
        let now: Zoned = "2026-11-30T12:00[UTC]".parse().unwrap();
        let standing = standings(&ledger, &budgets, here, None, &now).unwrap().remove(0);
        (standing.of, standing.spend / DOLLAR)
    };
    let person = |name: &str| Some(name.to_owned());
    assert_eq!(spent(&here(None)), (person("me"), 0), "an empty ledger");
    request(&ledger, &origin("one"), "a", time, 1.0, &[("user.email", "me@x.org")]);
    assert_eq!(spent(&here(Some("new"))), (person("me@x.org"), 1));
    request(&ledger, &Origin { profile: "team", ..origin("two") }, "b", time, 2.0, &[("user.id", "0123456789abcdef")]);
    assert_eq!(spent(&here(None)), (person("me@x.org"), 1), "another profile may mean another account");
    let team = Here { profile: person("team"), ..here(None) };
    assert_eq!(spent(&team), (person("installation 0123456789ab"), 2));
    assert_eq!(spent(&Here { profile: person("new"), ..here(None) }), (person("installation 0123456789ab"), 2));
    assert_eq!(spent(&Here { person: person("named@x.org"), ..here(None) }), (person("named@x.org"), 0));
    assert_eq!(spent(&here(Some("a"))), (person("me@x.org"), 1));
}

#[test]
fn without_an_email_the_person_is_the_systems_user() {
    let ledger = empty().unwrap();
    request(&ledger, &origin("one"), "a", "2026-11-30T10:00:00Z", 3.0, &[]);
    let now: Zoned = "2026-11-30T12:00[UTC]".parse().unwrap();
    for session in [None, Some("a"), Some("new")] {
        let standing = standings(&ledger, &[daily(20)], &here(session), None, &now).unwrap().remove(0);
        assert_eq!((standing.of.as_deref(), standing.spend), (Some("me"), 3 * DOLLAR));
    }
    // Where persons are not kept, everything counts that has none.
    let ledger = empty().unwrap();
    request(&ledger, &Origin { persons: false, ..origin("one") }, "a", "2026-11-30T10:00:00Z", 3.0, &[]);
    let nameless = Here { has_persons: false, ..here(None) };
    let standing = standings(&ledger, &[daily(20)], &nameless, None, &now).unwrap().remove(0);
    assert_eq!((standing.of, standing.spend), (None, 3 * DOLLAR));
}

#[test]
fn the_forecast_counts_the_elapsed_share_of_the_period() {
    let ledger = empty().unwrap();
    request(&ledger, &origin("one"), "a", "2026-12-07T10:00:00Z", 3.0, &[]);
    let forecast = |time: &str| {
        let now: Zoned = format!("2026-12-07T{time}[UTC]").parse().unwrap();
        standings(&ledger, &[daily(20)], &here(None), None, &now).unwrap().remove(0).forecast
    };
    // With few active days it is the share of the time.
    assert_eq!((forecast("00:01"), forecast("12:00")), (None, Some(6 * DOLLAR)));
    // On each of the last fourteen days two hours were worked. The first of them is over at noon.
    for day in [
        "11-23", "11-24", "11-25", "11-26", "11-27", "11-28", "11-29", "11-30", "12-01", "12-02", "12-03", "12-04",
        "12-05", "12-06",
    ] {
        for hour in [10, 20] {
            request(&ledger, &origin("one"), "past", &format!("2026-{day}T{hour}:30:00Z"), 0.01, &[]);
        }
    }
    assert_eq!(["11:00", "19:59", "21:00"].map(forecast), [6, 6, 3].map(|dollars| Some(dollars * DOLLAR)));
}

#[test]
fn without_budgets_nothing_is_read() {
    let connection = Connection::open_in_memory().unwrap();
    let now: Zoned = "2026-11-30T12:00[UTC]".parse().unwrap();
    assert_eq!(standings(&connection, &[], &here(None), None, &now).unwrap(), []);
    assert!(standings(&connection, &[daily(1)], &here(None), None, &now).is_err(), "no ledger has no tables");
}
