//! Lines whose numbers are worked out here.

use super::*;

const MONDAY: &str = "2026-11-23T10:00";
const TUESDAY: &str = "2026-11-24T10:00";
const WEDNESDAY: &str = "2026-11-25T10:00";

/// After the week.
const AFTER: &str = "2026-12-02T12:00";
const WEEK: Option<&str> = Some("2026-W48");

fn page_of(hand: &Hand) -> Page {
    hand.page(AFTER, WEEK, &Options::default())
}

/// The first week of work: five people, automation, and one person before it.
fn team() -> Hand {
    let mut hand = Hand::new();
    // The week before: ann $2, eve $1.
    hand.works(at("2026-11-16T10:00", "ann", "s0"), 200);
    hand.works(at("2026-11-20T10:00", "eve", "s1"), 100);
    // Within the 28 days before, but not in the week before: bob.
    hand.works(at("2026-10-27T10:00", "bob", "s2"), 50);
    // Before the 28 days: cid.
    hand.works(at("2026-10-25T10:00", "cid", "s3"), 50);
    // The week: ann $4 on Monday and $2 on Tuesday, bob $1, cid $1, dan $1, fay 50 c, and $3 of automation.
    hand.works(at(MONDAY, "ann", "s4"), 400);
    hand.works(at(TUESDAY, "ann", "s5"), 200);
    hand.works(at(MONDAY, "bob", "s6"), 100);
    hand.works(at(TUESDAY, "cid", "s7"), 100);
    hand.works(at(WEDNESDAY, "dan", "s8"), 100);
    hand.works(at(WEDNESDAY, "fay", "s9"), 50);
    hand.works(At { source: "sdk", ..at(MONDAY, "ann", "ci") }, 300);
    hand
}

#[test]
fn spend_is_everything_against_the_week_before_and_the_budget() {
    let options = Options { budget: Some(25 * DOLLAR), ..Options::default() };
    let page = team().page(AFTER, WEEK, &options);
    assert_eq!(value(&page, "spend"), cents(1250), "4 + 2 + 1 + 1 + 1 + 0.50 + 3");
    assert_eq!(value(&page, "spend.before"), cents(300), "2 + 1");
    assert_eq!(value(&page, "spend.change"), Value::Change(12.5 / 3.0 - 1.0));
    assert_eq!(value(&page, "spend.budget_used"), Value::Share(0.5));
    assert!(page.notes[0].contains("Claude Code's own estimate"), "the basis: {:?}", page.notes);
    // On Tuesday at noon the week before had $2: eve's dollar came later.
    let page = team().page("2026-11-24T12:00", None, &Options::default());
    assert_eq!((value(&page, "spend.before"), value(&page, "spend")), (cents(200), cents(1250)));
}

#[test]
fn the_forecast_is_spend_by_the_elapsed_share() {
    let mut hand = Hand::new();
    hand.works(at(MONDAY, "ann", "s"), 700);
    let page = hand.page("2026-11-24T18:00", None, &Options::default());
    // One and three quarters of seven days are a quarter: $28.
    assert_eq!(sides(&page, "forecast"), (cents(700), Value::Share(0.25)));
    assert_eq!(value(&page, "forecast"), cents(2800));
    assert!(caveats(&page, "forecast").contains("plain time"));
    // Three weeks of ten o'clock on working days: at Tuesday noon two of five working hours have passed.
    for day in (2..=6).chain(9..=13).chain(16..=20) {
        hand.works(at(&format!("2026-11-{day:02}T10:00"), "ann", "s"), 100);
    }
    let page = hand.page("2026-11-24T12:00", None, &Options::default());
    // The last fourteen days have two Mondays and three of each other day: 5 of 14 have passed.
    assert_eq!(sides(&page, "forecast"), (cents(700), Value::Share(5.0 / 14.0)));
    assert_eq!(value(&page, "forecast"), cents(1960));
    assert!(page_of(&hand).lines.iter().all(|line| line.figure.id != "forecast"), "a week that is over needs none");
}

#[test]
fn automation_has_a_line_and_is_not_among_people() {
    let mut hand = team();
    let page = page_of(&hand);
    assert_eq!(value(&page, "automation"), cents(300));
    assert_eq!(sides(&page, "automation.share"), (cents(300), cents(1250)));
    assert_eq!(value(&page, "automation.sessions"), Value::Count(1));
    assert_eq!(value(&page, "active_people"), Value::Count(5));
    // By entrypoint; and all of a session, by any source: a subagent of `claude -p` has another source.
    hand.works(At { entrypoint: "sdk-py", ..at(MONDAY, "robot", "py") }, 100);
    hand.request(At { source: "agent:builtin:general-purpose", ..at(MONDAY, "ann", "ci") }, 25);
    let page = page_of(&hand);
    assert_eq!((value(&page, "automation"), value(&page, "active_people")), (cents(425), Value::Count(5)));
    assert_eq!(value(&page, "automation.requests"), Value::Count(3));
}

#[test]
fn active_people_sent_a_prompt() {
    let mut hand = team();
    // A request alone is no activity.
    hand.request(at(MONDAY, "gus", "t"), 10);
    let page = page_of(&hand);
    assert_eq!(value(&page, "active_people"), Value::Count(5), "ann, bob, cid, dan, fay");
    // Monday: ann, bob. Tuesday: ann, cid. Wednesday: dan, fay.
    assert_eq!(sides(&page, "active_people.daily"), (Value::Count(6), Value::Count(3)));
    assert_eq!(value(&page, "active_people.daily"), Value::Mean(2.0));
    // From 2 November on: those, and eve. Bob's 27 October is too long ago, but he is here again.
    assert_eq!(value(&page, "active_people.days_28"), Value::Count(6));
    hand.prompt(at(MONDAY, "", "u"));
    assert!(caveats(&page_of(&hand), "active_people").contains("1 prompts without a known person"));
}

#[test]
fn adoption_is_active_people_by_seats() {
    let page = team().page(AFTER, WEEK, &Options { seats: Some(20), ..Options::default() });
    assert_eq!(value(&page, "adoption"), Value::Share(0.25));
    assert_eq!(sides(&page, "adoption"), (Value::Count(5), Value::Count(20)));
    assert!(page_of(&team()).lines.iter().all(|line| line.figure.id != "adoption"), "left out without seats");
}

#[test]
fn people_are_new_kept_or_gone() {
    let page = page_of(&team());
    // Active before: ann and eve in the week before, bob in the 28 days; cid's 25 October is before those.
    assert_eq!(value(&page, "people_changes"), Value::Counts(vec![3, 1, 1]));
    assert_eq!(rows(&page, "people_changes"), ["cid new", "dan new", "fay new", "eve gone"]);
    assert_eq!(value(&page, "people_changes.kept"), Value::Count(1), "ann");
}

#[test]
fn spend_per_active_day_has_a_median() {
    let page = page_of(&team());
    // $9.50 on six active days of persons; the middle of 50 c, $1, $1, $1, $2 and $4 is $1.
    assert_eq!(sides(&page, "spend_per_active_day"), (cents(950), Value::Count(6)));
    assert_eq!(value(&page, "spend_per_active_day"), Value::Dollars(950 * DOLLAR / 100 / 6));
    assert_eq!(value(&page, "spend_per_active_day.median"), cents(100));
}

#[test]
fn concentration_is_the_share_of_the_top_fifth() {
    let mut hand = team();
    // One of five is the top fifth: ann's $6 of $9.50.
    assert_eq!(sides(&page_of(&hand), "concentration"), (cents(600), cents(950)));
    // Two of eight are.
    for (person, spent) in [("gus", 300), ("hal", 5), ("ivy", 45)] {
        hand.works(at(MONDAY, person, person), spent);
    }
    let page = page_of(&hand);
    assert_eq!(sides(&page, "concentration"), (cents(900), cents(1300)));
    assert_eq!(value(&page, "concentration.top"), Value::Count(2));
    let mut few = Hand::new();
    for person in ["ann", "bob", "cid", "dan"] {
        few.works(at(MONDAY, person, person), 100);
    }
    let page = page_of(&few);
    assert_eq!(value(&page, "concentration"), Value::None);
    assert!(caveats(&page, "concentration").contains("from 5 people"));
}

#[test]
fn cache_reuse_is_what_was_read_of_what_was_sent() {
    let mut hand = Hand::new();
    for (person, read) in [("ann", 900), ("bob", 500), ("cid", 0), ("dan", 700), ("eve", 800)] {
        let (input, cache_creation) = ((1000 - read) / 2, (1000 - read) / 2);
        hand.asked(
            at(MONDAY, person, person),
            Request { input, cache_read: read, cache_creation, output: 77, ..Request::default() },
        );
    }
    let page = page_of(&hand);
    assert_eq!(sides(&page, "cache_reuse"), (Value::Count(2900), Value::Count(5000)));
    assert_eq!(value(&page, "cache_reuse"), Value::Share(0.58));
    assert_eq!(
        (value(&page, "cache_reuse.median"), value(&page, "cache_reuse.worst")),
        (Value::Share(0.7), Value::Share(0.0))
    );
}

#[test]
fn acceptance_counts_decisions_of_persons_from_twenty_on() {
    let mut hand = Hand::new();
    let decides = |hand: &mut Hand, accepted: bool, source: &str, count: usize| {
        (0..count).for_each(|_| hand.decides(at(MONDAY, "ann", "s"), accepted, source));
    };
    decides(&mut hand, true, "user_temporary", 15);
    decides(&mut hand, false, "user_reject", 4);
    decides(&mut hand, true, "config", 31);
    // In automation nothing counts.
    hand.request(At { source: "sdk", ..at(MONDAY, "ann", "ci") }, 1);
    hand.decides(at(MONDAY, "ann", "ci"), true, "user_temporary");
    let page = page_of(&hand);
    assert_eq!((value(&page, "edits_accepted"), sides(&page, "edits_accepted").1), (Value::None, Value::Count(19)));
    assert!(caveats(&page, "edits_accepted").contains("from n = 20"));
    decides(&mut hand, false, "user_abort", 1);
    let page = page_of(&hand);
    assert_eq!(value(&page, "edits_accepted"), Value::Share(0.75), "15 of 20");
    assert_eq!(sides(&page, "edits_accepted.asked"), (Value::Count(20), Value::Count(51)));
}

#[test]
fn pull_requests_have_a_price_and_branches_without_one_are_beside_it() {
    let mut hand = Hand::new();
    let branch =
        |repository: &'static str, branch: &'static str| At { repository, branch, ..at(MONDAY, "ann", branch) };
    hand.works(branch("api", "one"), 300);
    hand.counts(branch("api", "one"), Measure::PullRequests, 2);
    hand.works(branch("api", "two"), 400);
    // A branch of the same name elsewhere is another.
    hand.works(branch("web", "one"), 100);
    hand.counts(at(MONDAY, "ann", "m"), Measure::Commits, 5);
    hand.counts(at(MONDAY, "ann", "m"), Measure::LinesAdded, 120);
    hand.counts(at(MONDAY, "ann", "m"), Measure::LinesRemoved, 30);
    let page = page_of(&hand);
    assert_eq!(value(&page, "pull_requests"), Value::Count(2));
    assert_eq!(value(&page, "pull_requests.spend_per_pull_request"), cents(400), "$8 by two");
    assert_eq!(value(&page, "pull_requests.spend_without"), cents(500), "$4 and $1");
    let volume = ["commits", "commits.lines_added", "commits.lines_removed"].map(|name| value(&page, name));
    assert_eq!(volume, [5, 120, 30].map(Value::Count));
}

#[test]
fn failures_are_of_requests_and_of_tools() {
    let mut hand = Hand::new();
    (0..9).for_each(|_| hand.request(at(MONDAY, "ann", "s"), 1));
    hand.asked(at(MONDAY, "ann", "s"), Request { outcome: Outcome::Failed, ..Request::default() });
    for (tool, successes, failures) in [("Bash", 2, 2), ("Edit", 5, 1), ("Read", 10, 0)] {
        (0..successes).for_each(|_| hand.tool(at(MONDAY, "ann", "s"), tool, true));
        (0..failures).for_each(|_| hand.tool(at(MONDAY, "ann", "s"), tool, false));
    }
    let page = page_of(&hand);
    assert_eq!((value(&page, "failures"), sides(&page, "failures").1), (Value::Share(0.1), Value::Count(10)));
    assert_eq!(sides(&page, "failures.tools"), (Value::Count(3), Value::Count(20)));
    assert_eq!(rows(&page, "tools"), ["Bash 0.50 2 4", "Edit 0.17 1 6"]);
}

#[test]
fn speed_is_by_nearest_rank_and_model() {
    let mut hand = Hand::new();
    for number in 1..=20 {
        let request =
            Request { model: "opus", first_token: number * 100, duration: number * 1000, ..Request::default() };
        hand.asked(at(MONDAY, "ann", "s"), request);
    }
    let haiku = || Request { model: "haiku", duration: 50, ..Request::default() };
    hand.asked(at(MONDAY, "ann", "s"), haiku());
    // Outside the week, and failed.
    hand.asked(at("2026-11-22T23:59", "ann", "s"), Request { duration: 9_999_999, ..haiku() });
    hand.asked(at(MONDAY, "ann", "s"), Request { duration: 9_999_999, outcome: Outcome::Failed, ..haiku() });
    let page = page_of(&hand);
    // The 10th and the 19th of 20.
    assert_eq!(rows(&page, "speed"), ["opus 1000ms 1900ms 10000ms 19000ms 20", "haiku - - 50ms 50ms 1"]);
    // The 11th and the 20th of 21.
    let all =
        ["speed", "speed.first_token_p95", "speed.duration_p50", "speed.duration_p95"].map(|name| value(&page, name));
    assert_eq!(all, [1000, 1900, 10_000, 19_000].map(Value::Time));
}

#[test]
fn spend_went_to_the_top_five() {
    let mut hand = Hand::new();
    for (number, (repository, branch)) in
        [("api", "a"), ("api", "b"), ("web", "a"), ("x", "a"), ("y", "a"), ("z", "a")].into_iter().enumerate()
    {
        let spent = 600 - 100 * i64::try_from(number).unwrap();
        hand.works(At { repository, branch, ..at(MONDAY, "ann", &format!("s{number}")) }, spent);
    }
    hand.request(At { agent: "explorer", branch: "a", ..at(MONDAY, "ann", "s0") }, 100);
    let page = page_of(&hand);
    assert_eq!(rows(&page, "repositories"), ["api $12 0.55", "web $4 0.18", "x $3 0.14", "y $2 0.09", "z $1 0.05"]);
    assert_eq!(rows(&page, "branches")[..2], ["api a $7 0.32", "api b $5 0.23"]);
    assert_eq!(rows(&page, "branches").len(), 5);
    assert_eq!(rows(&page, "agents"), ["explorer $1 0.05"]);
    assert_eq!(rows(&page, "models"), ["claude-opus-5-5 $22 1.00"]);
    assert_eq!(rows(&page, "sessions")[0], "s0 /projects/a $7 0.32");
    let counts = ["places.repositories", "places.branches", "places.sessions"].map(|name| value(&page, name));
    assert_eq!(counts, [5, 6, 6].map(Value::Count));
    let more = page.sections.iter().map(|section| (section.id, section.more)).filter(|(_, more)| *more > 0);
    assert_eq!(more.collect::<Vec<_>>(), [("branches", 1), ("sessions", 1)]);
}

#[test]
fn hints_are_of_sessions_and_days_that_stand_out() {
    let mut hand = Hand::new();
    let minute = 60_000;
    // 31 minutes, of the person and of Claude; 30 are not enough, and a commit is one.
    for (session, user, cli, commits) in [("long", 11, 20, 0), ("even", 10, 20, 0), ("done", 40, 40, 1)] {
        hand.prompt(at(MONDAY, "ann", session));
        hand.counts(at(MONDAY, "ann", session), Measure::ActiveUser, user * minute);
        hand.counts(at(MONDAY, "ann", session), Measure::ActiveCli, cli * minute);
        hand.counts(at(MONDAY, "ann", session), Measure::Commits, commits);
    }
    (0..11).for_each(|_| hand.decides(at(MONDAY, "ann", "no"), false, "user_reject"));
    (0..10).for_each(|_| hand.decides(at(MONDAY, "ann", "nearly"), false, "user_reject"));
    let compaction = |name| What::Moment(Moment { event: "compaction", name, ..Moment::default() });
    hand.prompt(at(MONDAY, "ann", "full"));
    (0..4).for_each(|_| hand.take(at(MONDAY, "ann", "full"), compaction("auto")));
    (0..9).for_each(|_| hand.take(at(MONDAY, "ann", "long"), compaction("manual")));
    (0..3).for_each(|_| hand.take(at(MONDAY, "ann", "even"), compaction("auto")));
    // Of bob's three days the median is $1: $3.01 is over three times that, and $3 is not.
    for (time, spent) in
        [("2026-11-18T10:00", 100), (MONDAY, 300), (TUESDAY, 301), ("2026-11-17T10:00", 100), ("2026-11-16T10:00", 99)]
    {
        hand.works(at(time, "bob", "b"), spent);
    }
    let page = hand.page(AFTER, WEEK, &Options { persons: true, ..Options::default() });
    let expected = [
        "no commit long /projects/a 1860000ms",
        "rejections no /projects/a 11",
        "compactions full /projects/a 4",
        "3 × median bob 2026-11-24 $3.01",
    ];
    assert_eq!(rows(&page, "hints"), expected);
    assert_eq!(value(&page, "hints"), Value::Count(4));
}

#[test]
fn a_plan_is_compared_with_the_value_of_the_use() {
    let options = Options { seats: Some(2), plan_fee: Some(100 * DOLLAR), ..Options::default() };
    let page = team().page(AFTER, WEEK, &options);
    // $200 a month of 30.4375 days are $45.995893 for seven.
    assert_eq!(sides(&page, "plan"), (cents(1250), Value::Dollars(45_995_893_224)));
    let hand = team();
    let now: Zoned = "2026-12-02T12:00[UTC]".parse().unwrap();
    let month = Period::parse(Some("2026-11"), true, &now).unwrap();
    let of_month = crate::report::week::page(&LedgerSource::new(&hand.ledger).unwrap(), &month, &options).unwrap();
    assert_eq!(sides(&of_month, "plan"), (cents(1550), cents(20000)), "$12.50 and $3");
    assert!(page_of(&hand).lines.iter().all(|line| line.figure.id != "plan"));
}

#[test]
fn coverage_is_known_sessions_and_what_was_seen_last() {
    let options = Options { coverage: Some(Coverage { known: 9, all: 10 }), ..Options::default() };
    let page = team().page(AFTER, WEEK, &options);
    assert_eq!((value(&page, "coverage"), sides(&page, "coverage").0), (Value::Share(0.9), Value::Count(9)));
    // The quarter of an hour of the last use.
    assert_eq!(value(&page, "coverage.last_seen"), Value::Text("2026-11-25 10:14".to_owned()));
    assert_eq!(rows(&page, "versions"), ["2.1.332 7 7"]);
    assert_eq!(rows(&page, "machines").len(), 1);
}

#[test]
fn rows_of_teams_have_their_people() {
    let mut hand = Hand::new();
    for (person, team, spent) in [("ann", "web", 100), ("bob", "web", 200), ("cid", "api", 50), ("dan", "", 25)] {
        hand.works(At { team, ..at(MONDAY, person, person) }, spent);
    }
    hand.works(At { team: "api", source: "sdk", ..at(MONDAY, "cid", "ci") }, 900);
    let page = hand.page(AFTER, WEEK, &Options { by: Some(By::Team), ..Options::default() });
    let found: Vec<_> =
        rows(&page, "teams").iter().map(|row| row.split(' ').take(4).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(found, ["web 2 $3 0.80", "api 1 $0.5 0.13", "- 1 $0.25 0.07"]);
}

#[test]
fn conditions_choose_a_part() {
    let filter = vec!["person=ann".parse().unwrap()];
    let page = team().page(AFTER, WEEK, &Options { filter, ..Options::default() });
    assert_eq!((value(&page, "spend"), value(&page, "active_people")), (cents(900), Value::Count(1)));
}
