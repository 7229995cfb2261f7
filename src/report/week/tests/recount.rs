//! The lines against a recount of random weeks that shares no code with them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::ToSpan;
use proptest::prelude::*;

use super::*;

/// What a person or automation did at some time.
#[derive(Clone, Debug)]
struct Deed {
    /// Days after the week's Monday; negative before it.
    day: i64,
    hour: i64,
    person: usize,
    is_automation: bool,
    branch: usize,
    what: Done,
}

#[derive(Clone, Debug)]
enum Done {
    Prompt,
    /// Cents, and tokens: input, cache read, cache written.
    Request(i64, [i64; 3]),
    Error,
    Accept,
    Reject,
    PullRequest,
    Tool(bool),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let what = prop_oneof![
        4 => Just(Done::Prompt),
        4 => (0..500_i64, [0..9_i64, 0..99, 0..9]).prop_map(|(cents, tokens)| Done::Request(cents, tokens)),
        1 => Just(Done::Error),
        2 => Just(Done::Accept),
        1 => Just(Done::Reject),
        1 => Just(Done::PullRequest),
        1 => any::<bool>().prop_map(Done::Tool),
    ];
    let deed = (-36..9_i64, 0..24_i64, 0..9_usize, prop::bool::weighted(0.2), 0..4_usize, what);
    let deed = deed.prop_map(|(day, hour, person, is_automation, branch, what)| Deed {
        day,
        hour,
        person,
        is_automation,
        branch,
        what,
    });
    prop::collection::vec(deed, 0..60)
}

fn ledger(deeds: &[Deed]) -> Hand {
    let mut hand = Hand::new();
    hand.ledger.execute_batch("BEGIN").unwrap();
    let monday = jiff::civil::date(2026, 11, 23);
    for deed in deeds {
        let day = monday.saturating_add(deed.day.days());
        let time = format!("{day}T{:02}:00", deed.hour);
        let (person, branch) = (format!("p{}", deed.person), format!("b{}", deed.branch));
        let session = format!("{person}-{}", deed.is_automation);
        let entrypoint = if deed.is_automation { "sdk-cli" } else { "cli" };
        let at = At { branch: &branch, entrypoint, ..at(&time, &person, &session) };
        match deed.what {
            Done::Prompt => hand.prompt(at),
            Done::Request(cents, [input, cache_read, cache_creation]) => {
                let cost = cents * DOLLAR / 100;
                hand.asked(at, Request { input, cache_read, cache_creation, cost, ..Request::default() });
            }
            Done::Error => hand.asked(at, Request { outcome: Outcome::Failed, ..Request::default() }),
            Done::Accept => hand.decides(at, true, "user_temporary"),
            Done::Reject => hand.decides(at, false, "user_reject"),
            Done::PullRequest => hand.counts(at, Measure::PullRequests, 1),
            Done::Tool(succeeded) => hand.tool(at, "Bash", succeeded),
        }
    }
    hand.ledger.execute_batch("COMMIT").unwrap();
    hand
}

fn cost(deed: &Deed) -> i64 {
    if let Done::Request(cents, _) = deed.what { cents * DOLLAR / 100 } else { 0 }
}

fn count(number: usize) -> Value {
    Value::Count(i64::try_from(number).unwrap())
}

/// The persons with a prompt on some days.
fn active(deeds: &[Deed], days: std::ops::Range<i64>) -> BTreeSet<usize> {
    let prompts = deeds.iter().filter(|deed| matches!(deed.what, Done::Prompt) && !deed.is_automation);
    prompts.filter(|deed| days.contains(&deed.day)).map(|deed| deed.person).collect()
}

fn number(page: &Page, name: &str) -> i64 {
    match value(page, name) {
        Value::Count(number) | Value::Dollars(number) => number,
        other => panic!("{name}: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn lines_equal_a_recount(deeds in deeds()) {
        let options = Options { seats: Some(10), persons: true, ..Options::default() };
        let page = ledger(&deeds).page("2026-12-09T12:00", Some("2026-W48"), &options);
        let week: Vec<&Deed> = deeds.iter().filter(|deed| (0..7).contains(&deed.day)).collect();
        let of_people: Vec<&Deed> = week.iter().copied().filter(|deed| !deed.is_automation).collect();
        let how_many = |deeds: &[&Deed], is: fn(&Done) -> bool| deeds.iter().filter(|deed| is(&deed.what)).count();

        let spend: i64 = week.iter().map(|deed| cost(deed)).sum();
        prop_assert_eq!(number(&page, "spend"), spend);
        let before: i64 = deeds.iter().filter(|deed| (-7..0).contains(&deed.day)).map(cost).sum();
        prop_assert_eq!(number(&page, "spend.before"), before);
        let of_persons: i64 = of_people.iter().map(|deed| cost(deed)).sum();
        prop_assert_eq!(number(&page, "automation"), spend - of_persons);

        let now = active(&deeds, 0..7);
        prop_assert_eq!(value(&page, "active_people"), count(now.len()));
        prop_assert_eq!(value(&page, "active_people.days_28"), count(active(&deeds, -21..7).len()));
        let person_days: usize = (0..7).map(|day| active(&deeds, day..day + 1).len()).sum();
        prop_assert_eq!(sides(&page, "active_people.daily").0, count(person_days));
        prop_assert_eq!(sides(&page, "spend_per_active_day"), (Value::Dollars(of_persons), count(person_days)));
        let (month, last) = (active(&deeds, -28..0), active(&deeds, -7..0));
        prop_assert_eq!(value(&page, "people_changes.new"), count(now.difference(&month).count()));
        prop_assert_eq!(value(&page, "people_changes.kept"), count(now.intersection(&last).count()));
        prop_assert_eq!(value(&page, "people_changes.gone"), count(last.difference(&now).count()));

        let mut by_person: BTreeMap<usize, i64> = BTreeMap::new();
        for deed in &of_people {
            *by_person.entry(deed.person).or_default() += cost(deed);
        }
        let mut costs: Vec<i64> = by_person.into_values().filter(|cost| *cost > 0).collect();
        costs.sort_unstable_by(|one, other| other.cmp(one));
        let top = match costs.len() { 0..5 => 0, 5..8 => 1, _ => 2 };
        if top > 0 {
            let sum: i64 = costs[..top].iter().sum();
            prop_assert_eq!(sides(&page, "concentration"), (Value::Dollars(sum), Value::Dollars(of_persons)));
        } else {
            prop_assert_eq!(value(&page, "concentration"), Value::None);
        }

        let tokens = |deed: &&Deed| if let Done::Request(_, tokens) = deed.what { tokens } else { [0; 3] };
        let (mut read, mut sent) = (0, 0);
        week.iter().map(tokens).for_each(|[input, cached, written]| { read += cached; sent += input + cached + written; });
        prop_assert_eq!(sides(&page, "cache_reuse"), (Value::Count(read), Value::Count(sent)));

        let accepted = how_many(&of_people, |done| matches!(done, Done::Accept));
        let rejected = how_many(&of_people, |done| matches!(done, Done::Reject));
        prop_assert_eq!(sides(&page, "edits_accepted"), (count(accepted), count(accepted + rejected)));
        let errors = how_many(&week, |done| matches!(done, Done::Error));
        let answered = how_many(&week, |done| matches!(done, Done::Request(..)));
        prop_assert_eq!(sides(&page, "failures"), (count(errors), count(errors + answered)));
        let failed = how_many(&week, |done| matches!(done, Done::Tool(false)));
        let calls = how_many(&week, |done| matches!(done, Done::Tool(_)));
        prop_assert_eq!(sides(&page, "failures.tools"), (count(failed), count(calls)));

        let opened: Vec<usize> =
            week.iter().filter(|deed| matches!(deed.what, Done::PullRequest)).map(|deed| deed.branch).collect();
        prop_assert_eq!(value(&page, "pull_requests"), count(opened.len()));
        let without: i64 = week.iter().filter(|deed| !opened.contains(&deed.branch)).map(|deed| cost(deed)).sum();
        prop_assert_eq!(number(&page, "pull_requests.spend_without"), without);
    }
}
