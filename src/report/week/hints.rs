//! The line about what is worth a look: hints, not judgements.

use std::cmp::Reverse;

use super::facts::{Facts, TOP};
use super::line::{Figure, Line, Quantity, Section, Value, median};
use crate::report::Line as Usage;
use crate::usage::Measure;

/// Active time of a session without a commit command, in milliseconds.
const LONG: i64 = 30 * 60 * 1000;

/// Rejected edits of a session.
const REJECTIONS: i64 = 10;

/// Automatic compactions of a session.
const COMPACTIONS: i64 = 3;

/// How many times one's own median a day's spend is.
const TIMES: i64 = 3;

/// A hint.
struct Hint {
    /// The session and its project, or the person and the day.
    subject: (String, String),
    value: Value,
    /// The weight in its list.
    weight: i64,
}

/// The hints of each kind, the largest first.
struct Hints {
    /// "Over 30 active minutes without a commit." Active is the person's time and Claude's.
    long: Vec<Hint>,
    /// "Over 10 rejections."
    rejections: Vec<Hint>,
    /// "Over 3 automatic compactions."
    compactions: Vec<Hint>,
    /// "A day over 3 × one's own median." The median is that of the person's active days, up to the period's end.
    days: Vec<Hint>,
}

impl Hints {
    fn of(facts: &Facts) -> Self {
        let sessions = |of: &dyn Fn(&Usage) -> i64, least: i64, value: fn(i64) -> Value| {
            let amounts = facts.sessions.iter().map(|line| (line, of(line)));
            let found = amounts.filter(|(_, amount)| *amount > least);
            sorted(found.map(|(line, weight)| Hint { subject: session(line), value: value(weight), weight }).collect())
        };
        let active = |line: &Usage| {
            let time = line.amount(Measure::ActiveUser).saturating_add(line.amount(Measure::ActiveCli));
            if line.amount(Measure::Commits) == 0 { time } else { 0 }
        };
        Self {
            long: sessions(&active, LONG, Value::Time),
            rejections: sessions(&|line| line.amount(Measure::EditsRejected), REJECTIONS, Value::Count),
            compactions: compactions(facts),
            days: days(facts),
        }
    }

    /// Each kind: its name in JSON, its name in the table, its description, and its hints.
    fn kinds(&self) -> [(&'static str, &'static str, &'static str, &[Hint]); 4] {
        [
            ("long", "no commit", "sessions over 30 active minutes without a commit", &self.long),
            ("rejections", "rejections", "over 10 rejections", &self.rejections),
            ("compactions", "compactions", "over 3 automatic compactions", &self.compactions),
            ("days", "3 × median", "days over 3 × one's own median", &self.days),
        ]
    }
}

fn compactions(facts: &Facts) -> Vec<Hint> {
    let of_people = |session: &str| {
        facts.sessions.iter().find(|line| line.keys.first().and_then(Option::as_deref) == Some(session))
    };
    let found = facts.details.compactions.iter().filter(|(_, count)| *count > COMPACTIONS);
    let hint = |(name, count): &(String, i64)| {
        Some(Hint { subject: session(of_people(name)?), value: Value::Count(*count), weight: *count })
    };
    sorted(found.filter_map(hint).collect())
}

fn days(facts: &Facts) -> Vec<Hint> {
    let mut hints = Vec::new();
    for (person, days) in facts.people.active_days() {
        let Some(usual) = median(days.iter().map(|day| day.spend()).collect()) else { continue };
        let (first, last) = (facts.period.start.date(), facts.period.last_day());
        let is_large = |spend: i64| usual > 0 && spend > usual.saturating_mul(TIMES);
        for day in days.iter().filter(|day| (first..=last).contains(&day.day) && is_large(day.spend())) {
            let subject = (person.to_owned(), day.day.to_string());
            hints.push(Hint { subject, value: Value::Dollars(day.spend()), weight: day.spend() });
        }
    }
    sorted(hints)
}

fn session(line: &Usage) -> (String, String) {
    let key = |index: usize| line.keys.get(index).cloned().flatten().unwrap_or_default();
    (key(0), key(1))
}

fn sorted(mut hints: Vec<Hint>) -> Vec<Hint> {
    hints.sort_by(|one, other| (Reverse(one.weight), &one.subject).cmp(&(Reverse(other.weight), &other.subject)));
    hints
}

/// "Look at: over 30 active minutes without a commit, over 10 rejections, over 3 automatic compactions, a day over 3 ×
/// one's own median: hints." The first three are of sessions.
pub(super) fn hints(facts: &Facts) -> Line {
    let hints = Hints::of(facts);
    let count = |hints: &[Hint]| i64::try_from(hints.len()).unwrap_or(i64::MAX);
    let all = hints.kinds().iter().map(|(.., hints)| count(hints)).sum();
    Line {
        figure: Figure::new("hints", "Look at", Value::Count(all)).of(Quantity::new(Value::Count(all), "hints")),
        beside: hints.kinds().map(|(id, _, name, hints)| Figure::new(id, name, Value::Count(count(hints)))).to_vec(),
        source: "active time, commits, decisions, compactions, spend",
        caveats: vec!["hints, not judgements".to_owned(), "without automation".to_owned()],
    }
}

/// The hints, the largest of each kind. Days are those of persons.
pub(super) fn section(facts: &Facts, shows_persons: bool) -> Section {
    let hints = Hints::of(facts);
    let (mut rows, mut more) = (Vec::new(), 0);
    for (_, name, _, hints) in hints.kinds().into_iter().filter(|(id, ..)| shows_persons || *id != "days") {
        more += hints.len().saturating_sub(TOP);
        rows.extend(hints.iter().take(TOP).map(|hint| {
            let texts = [name, &hint.subject.0, &hint.subject.1].map(|text| Value::Text(text.to_owned()));
            texts.into_iter().chain([hint.value.clone()]).collect()
        }));
    }
    let columns = vec![("hint", "hint"), ("subject", "of"), ("place", "in, on"), ("amount", "amount")];
    Section { id: "hints", name: "Look at", columns, names: 3, rows, more }
}
