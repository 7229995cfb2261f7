//! Each percentage is told at most once for a budget and period, in any order of what sessions do.

use std::collections::BTreeMap;
use std::sync::Barrier;

use jiff::ToSpan;
use proptest::prelude::*;

use super::*;
use crate::state::Places;

fn open(directory: &tempfile::TempDir) -> Told {
    Told::open(&Places::below(directory.path())).unwrap()
}

fn tell(told: &Told, standing: &Standing) -> Option<u16> {
    told.claim(standing, &TimeZone::UTC).unwrap()
}

#[test]
fn only_the_highest_percentage_is_told_once() {
    let directory = tempfile::tempdir().unwrap();
    let told = open(&directory);
    let claim = |cents| tell(&told, &standing(daily(20), cents));
    assert_eq!(
        [0, 900, 1600, 1600, 1100, 1800, 2100, 5000].map(claim),
        [None, None, Some(75), None, None, Some(90), Some(100), None]
    );
    assert_eq!(tell(&open(&directory), &standing(daily(20), 5000)), None, "after a restart");
    assert_eq!(told.told(&standing(daily(20), 0), &TimeZone::UTC).unwrap(), Some(100));
}

#[test]
fn a_raised_budget_is_told_again_and_one_as_before_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let told = open(&directory);
    let claim = |limit, cents| tell(&told, &standing(daily(limit), cents));
    assert_eq!(claim(20, 1900), Some(90));
    assert_eq!((claim(40, 1900), claim(40, 2100)), (None, Some(50)));
    assert_eq!((claim(20, 1950), claim(20, 2100)), (None, Some(100)));
    assert_eq!(claim(10, 2100), Some(100));
}

#[test]
fn another_person_period_or_scope_is_told_for_itself() {
    let directory = tempfile::tempdir().unwrap();
    let told = open(&directory);
    let full = standing(daily(20), 2000);
    assert_eq!(tell(&told, &full), Some(100));
    let others = [
        Standing { of: Some("another".to_owned()), ..full.clone() },
        Standing { of: None, ..full.clone() },
        Standing { since: at("2026-12-01T00:00:00Z"), ..full.clone() },
        standing(budget(Period::Weekly, Scope::Person, 20), 2000),
        standing(budget(Period::Daily, Scope::Team, 20), 2000),
    ];
    for other in &others {
        assert_eq!((tell(&told, other), tell(&told, other)), (Some(100), None), "{other:?}");
    }
    assert_eq!(tell(&told, &full), None);
}

#[test]
fn notes_of_past_periods_go() {
    let directory = tempfile::tempdir().unwrap();
    let told = open(&directory);
    let full = standing(daily(20), 2000);
    let count = || std::fs::read_dir(directory.path().join("state/budgets")).unwrap().count();
    for day in 0..60 {
        let since = full.since.checked_add((24 * day).hours()).unwrap();
        assert_eq!(tell(&told, &Standing { since, ..full.clone() }), Some(100));
    }
    assert_eq!(count(), 41);
}

#[test]
fn of_many_that_race_one_tells() {
    let directory = tempfile::tempdir().unwrap();
    let barrier = Barrier::new(8);
    let claims: Vec<_> = std::thread::scope(|scope| {
        let racing = |cents| {
            let (told, barrier) = (open(&directory), &barrier);
            scope.spawn(move || {
                barrier.wait();
                tell(&told, &standing(daily(20), cents))
            })
        };
        let racing: Vec<_> = [1600, 1600, 1600, 1600, 1800, 1800, 1800, 1800].map(racing).into();
        racing.into_iter().filter_map(|claim| claim.join().unwrap()).collect()
    });
    assert_eq!(claims.iter().filter(|tier| **tier == 90).count(), 1, "{claims:?}");
    assert!(claims.iter().filter(|tier| **tier == 75).count() <= 1, "{claims:?}");
}

#[test]
fn what_cannot_be_recorded_is_not_told_but_still_stops() {
    let directory = tempfile::tempdir().unwrap();
    let told = open(&directory);
    std::fs::remove_dir(directory.path().join("state/budgets")).unwrap();
    let (verdict, failure) = check(&[standing(stopping(daily(20)), 2000)], &told, &TimeZone::UTC);
    assert!(verdict.reached.is_empty() && verdict.stop.is_some() && failure.is_some());
}

/// Something that happens on the machine.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Spend in cents.
    Spend(i64),
    /// A session takes note of the spend and the budget.
    Look(usize),
    /// A session tells what follows from what it took note of, perhaps long ago.
    Tell(usize),
    /// The budget becomes another one.
    Change(i64),
    /// The budgets are lifted for some hours.
    Lift(i64),
    /// Hours pass.
    Pass(i64),
    /// The machine restarts, and every session with it.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..600_i64).prop_map(Step::Spend),
        3 => (0..3_usize).prop_map(Step::Look),
        3 => (0..3_usize).prop_map(Step::Tell),
        1 => (1..4_i64).prop_map(|tens| Step::Change(10 * tens)),
        1 => (1..9_i64).prop_map(Step::Lift),
        1 => (1..9_i64).prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ]
}

/// A machine with sessions of which each knows how things stood when it last looked.
struct Machine {
    told: Told,
    now: Timestamp,
    limit: i64,
    /// By day.
    spend: BTreeMap<String, i64>,
    lifted_until: Timestamp,
    seen: [Option<Standing>; 3],
}

impl Machine {
    fn day(&self) -> String {
        self.now.strftime("%F").to_string()
    }

    fn standing(&self) -> Standing {
        let since = at(&format!("{}T00:00:00Z", self.day()));
        Standing {
            since,
            until: since.checked_add(24.hours()).unwrap(),
            lifted_until: (self.now < self.lifted_until).then_some(self.lifted_until),
            ..standing(stopping(daily(self.limit)), self.spend.get(&self.day()).copied().unwrap_or_default())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn each_percentage_is_told_at_most_once(steps in proptest::collection::vec(step(), 1..80)) {
        let directory = tempfile::tempdir().unwrap();
        let now = at("2026-11-30T09:00:00Z");
        let mut machine = Machine {
            told: open(&directory), now, limit: 20, spend: BTreeMap::new(), lifted_until: now, seen: [None, None, None],
        };
        let mut times: BTreeMap<(Timestamp, i64, u16), usize> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Spend(cents) => *machine.spend.entry(machine.day()).or_default() += cents,
                Step::Look(session) => machine.seen[session] = Some(machine.standing()),
                Step::Change(limit) => machine.limit = limit,
                Step::Lift(hours) => machine.lifted_until = machine.now.checked_add(hours.hours()).unwrap(),
                Step::Pass(hours) => machine.now = machine.now.checked_add(hours.hours()).unwrap(),
                Step::Restart => (machine.told, machine.seen) = (open(&directory), [None, None, None]),
                Step::Tell(session) => {
                    let Some(seen) = machine.seen[session].clone() else { continue };
                    let (verdict, failure) = check(std::slice::from_ref(&seen), &machine.told, &TimeZone::UTC);
                    prop_assert!(failure.is_none());
                    for reached in &verdict.reached {
                        *times.entry((seen.since, seen.budget.limit, reached.tier)).or_default() += 1;
                    }
                    // A budget stops by how it stands, independently of what was told.
                    prop_assert_eq!(verdict.stop.is_some(), seen.spend >= seen.budget.limit && seen.lifted_until.is_none());
                    // Nothing that is reached stays untold.
                    prop_assert!(machine.told.told(&seen, &TimeZone::UTC).unwrap() >= seen.tier());
                }
            }
        }
        prop_assert!(times.values().all(|times| *times == 1), "{:?}", times);
    }
}
