//! The lines about who works with Claude Code.

use std::collections::BTreeSet;

use jiff::ToSpan;
use jiff::civil::Date;

use super::facts::{Facts, MONTH};
use super::line::{Figure, Line, Quantity, Section, Value, quotient, share};
use super::spend::active_days;
use crate::usage::Measure;

/// How many persons a table names.
const NAMED: usize = 20;

/// "Active people: distinct persons with a prompt: mean a day, a week (WAU), 28 days (MAU)." The mean is one of the days
/// on which anyone was active. The 28 days end with the period, or today.
pub(super) fn active(facts: &Facts) -> Line {
    let people = &facts.people;
    let days: BTreeSet<Date> = people.days().filter(|day| day.is_active()).map(|day| day.day).collect();
    let (person_days, days) = (active_days(people), i64::try_from(days.len()).unwrap_or(i64::MAX));
    let (from, to) = last_month(facts);
    let active = count(&people.active_now());
    let mean = if days > 0 { Value::Mean(quotient(person_days, days)) } else { Value::None };
    let mut caveats = vec!["without automation".to_owned()];
    let unnamed = people.unnamed.amount(Measure::Prompts);
    if unnamed > 0 {
        caveats.push(format!("{unnamed} prompts without a known person are not counted"));
    }
    let installations = people.active_now().iter().filter(|person| person.starts_with("installation ")).count();
    if installations > 0 {
        caveats.push(format!("{installations} of them are installations; one person may have several"));
    }
    Line {
        figure: Figure::new("active_people", "Active people", Value::Count(active))
            .of(Quantity::new(Value::Count(active), format!("persons with a prompt in the {}", facts.period.noun()))),
        beside: vec![
            Figure::new("daily", "mean a day", mean)
                .of(Quantity::new(Value::Count(person_days), "active days of persons"))
                .by(Quantity::new(Value::Count(days), "days with activity")),
            Figure::new("days_28", "in 28 days", Value::Count(count(&people.active(from, to)))),
        ],
        source: "prompts",
        caveats,
    }
}

/// The 28 days that end with the period, or today.
fn last_month(facts: &Facts) -> (Date, Date) {
    let today = facts.period.now.date();
    let to = facts.period.end.date().min(today.tomorrow().unwrap_or(today));
    (to.saturating_sub(MONTH.days()), to)
}

/// "Adoption: WAU ÷ `--seats N`; left out without it."
pub(super) fn adoption(facts: &Facts, seats: u32) -> Line {
    let (active, seats) = (count(&facts.people.active_now()), i64::from(seats));
    Line {
        figure: Figure::new("adoption", "Adoption", share(active, seats))
            .of(Quantity::new(Value::Count(active), format!("active people of the {}", facts.period.noun())))
            .by(Quantity::new(Value::Count(seats), "seats")),
        source: "prompts; --seats",
        caveats: vec!["without automation".to_owned()],
        ..Line::default()
    }
}

/// Who came, stayed and went.
struct Changes<'a> {
    new: BTreeSet<&'a str>,
    kept: BTreeSet<&'a str>,
    gone: BTreeSet<&'a str>,
}

/// "New, kept, gone: persons active this week and not in the 28 days before; in both weeks; in the last and not in this."
fn changed(facts: &Facts) -> Changes<'_> {
    let (people, start) = (&facts.people, facts.period.start.date());
    let now = people.active_now();
    let month = people.active(start.saturating_sub(MONTH.days()), start);
    let last = people.active(facts.period.before().date(), start);
    Changes { new: minus(&now, &month), kept: now.intersection(&last).copied().collect(), gone: minus(&last, &now) }
}

fn minus<'a>(one: &BTreeSet<&'a str>, other: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    one.difference(other).copied().collect()
}

/// The line of [`changed`].
pub(super) fn changes(facts: &Facts) -> Line {
    let Changes { new, kept, gone } = changed(facts);
    let figure = |id, name, set: &BTreeSet<&str>, of: &str| {
        let value = Value::Count(count(set));
        Figure::new(id, name, value.clone()).of(Quantity::new(value, of))
    };
    let mut caveats = vec!["without automation".to_owned()];
    if facts.period.is_running() {
        caveats.push(format!("the {} is not over", facts.period.noun()));
    }
    Line {
        figure: Figure::new(
            "people_changes",
            "New, kept, gone",
            Value::Counts([&new, &kept, &gone].map(count).to_vec()),
        ),
        beside: vec![
            figure("new", "new", &new, "persons active now and not in the 28 days before"),
            figure("kept", "kept", &kept, "persons active in both periods"),
            figure("gone", "gone", &gone, "persons active in the last period and not in this"),
        ],
        source: "prompts",
        caveats,
    }
}

/// The names of the new and the gone.
pub(super) fn section(facts: &Facts) -> Section {
    let Changes { new, gone, .. } = changed(facts);
    let row = |person: &&str, what: &str| vec![Value::Text((*person).to_owned()), Value::Text(what.to_owned())];
    let mut rows: Vec<_> = new.iter().map(|person| row(person, "new")).collect();
    rows.extend(gone.iter().map(|person| row(person, "gone")));
    let more = rows.len().saturating_sub(NAMED);
    rows.truncate(NAMED);
    let columns = vec![("person", "person"), ("change", "change")];
    Section { id: "people_changes", name: "New and gone", columns, names: 2, rows, more }
}

fn count(set: &BTreeSet<&str>) -> i64 {
    i64::try_from(set.len()).unwrap_or(i64::MAX)
}
