//! What the page asks a source for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::ToSpan;
use jiff::civil::Date;

use super::Options;
use super::period::{Period, range};
use crate::report::dimension::Dimension as D;
use crate::report::forecast::WorkingHours;
use crate::report::overview::place_of_work;
use crate::report::query::{Condition, Query, Range};
use crate::report::table::{Line, Table};
use crate::report::{Details, Source, SourceError, answers_of_page};
use crate::usage::{Measure, to_double};

/// How many days the longest window of active people has.
pub(super) const MONTH: i32 = 28;

/// How many rows a table of the page shows.
pub(super) const TOP: usize = 5;

/// Everything that the page is made from.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) period: Period,
    /// All use of the period.
    pub(super) total: Table,
    /// All use of the period before, as far as this one has come.
    pub(super) before: Line,
    /// What of the period's use is automation.
    pub(super) automation: Line,
    /// The people.
    pub(super) people: People,
    /// By team and person, if rows of teams are asked for; without automation.
    pub(super) teams: Table,
    /// By session, without automation; the second key is its first project.
    pub(super) sessions: Vec<Line>,
    /// The most expensive sessions, by session and project.
    pub(super) dearest: Table,
    /// By repository and branch.
    pub(super) branches: Table,
    pub(super) models: Table,
    pub(super) agents: Table,
    pub(super) tools: Table,
    pub(super) versions: Table,
    /// By machine and day.
    pub(super) machines: Table,
    /// When people work, if the period is running and enough is known.
    pub(super) hours: Option<WorkingHours>,
    pub(super) details: Details,
}

impl Facts {
    /// Asks a source.
    pub(super) fn ask(source: &dyn Source, period: &Period, options: &Options) -> Result<Self, SourceError> {
        let query = |range: Range, by: &[D]| Query {
            range,
            by: by.to_vec(),
            filter: options.filter.clone(),
            ..Query::new(period.now.time_zone().clone())
        };
        let whole = |by: &[D]| query(period.range(), by);
        let window = range(&period.at(window_start(period)), &period.end);
        let place = place_of_work(source);
        let mut all = vec![
            whole(&[]),
            query(period.range_before(), &[]),
            Query { top: Some(TOP), ..whole(&[D::Session, place]) },
        ];
        all.extend([&[D::Repository, D::Branch][..], &[D::Model], &[D::Agent], &[D::Tool], &[D::Version]].map(whole));
        let knows_machines = source.knows(D::Machine);
        all.extend(knows_machines.then(|| query(window, &[D::Machine, D::Day])));
        if period.is_running() {
            let hours = WorkingHours::query(period.now.date(), period.now.time_zone());
            all.push(Query { filter: options.filter.clone(), ..hours });
        }
        let of = |is_automation: bool, mut queries: Vec<Query>| {
            // A source that does not know automation counts everything as people's.
            let knows = source.knows(D::Automation);
            for query in &mut queries {
                query.filter.extend(knows.then(|| automation(is_automation)));
            }
            if is_automation && !knows {
                return Ok(Vec::new());
            }
            answers_of_page(source, &queries)
        };
        let people =
            vec![query(window, &[D::Day, D::Person]), whole(&[D::Session, place]), whole(&[D::Team, D::Person])];
        let (all, people, automatic) =
            (answers_of_page(source, &all)?, of(false, people)?, of(true, vec![whole(&[])])?);
        // Answers come in the order of the queries, and the fields below take them in that order.
        let mut answers = all.into_iter().chain(people).chain(automatic);
        let mut next = || answers.next().unwrap_or_default();
        Ok(Self {
            total: next(),
            before: next().total,
            dearest: next(),
            branches: next(),
            models: next(),
            agents: next(),
            tools: next(),
            versions: next(),
            machines: if knows_machines { next() } else { Table::default() },
            hours: period.is_running().then(|| WorkingHours::of(&next())).flatten(),
            people: People::of(&next(), period),
            sessions: by_first(next()),
            teams: next(),
            automation: next().total,
            details: source.details(&whole(&[]))?,
            period: period.clone(),
        })
    }

    /// The period's spend, in billionths of a US dollar.
    pub(super) fn spend(&self) -> i64 {
        self.amount(Measure::Cost)
    }

    /// The period's amount of a measure.
    pub(super) fn amount(&self, measure: Measure) -> i64 {
        self.total.total.amount(measure)
    }
}

/// The condition for automation, or for people.
fn automation(is_automation: bool) -> Condition {
    let value = if is_automation { "yes" } else { "no" };
    Condition { dimension: D::Automation, value: value.to_owned(), is_part: false }
}

/// The first day that the page needs: of the 28 days before the period, or of the period before.
fn window_start(period: &Period) -> Date {
    period.start.date().saturating_sub(MONTH.days()).min(period.before().date())
}

/// What people used, by day and person, in the period and before it. Automation is not among them.
#[derive(Clone, Debug, Default)]
pub(super) struct People {
    days: Vec<PersonDay>,
    /// What the period has of no known person.
    pub(super) unnamed: Line,
    /// The period's days, the second not included.
    period: (Date, Date),
}

/// What a person used on a day.
#[derive(Clone, Debug)]
pub(super) struct PersonDay {
    pub(super) day: Date,
    pub(super) person: String,
    pub(super) line: Line,
}

impl PersonDay {
    /// Whether the person sent a prompt.
    pub(super) fn is_active(&self) -> bool {
        self.line.amount(Measure::Prompts) > 0
    }

    /// Billionths of a US dollar.
    pub(super) fn spend(&self) -> i64 {
        self.line.amount(Measure::Cost)
    }
}

impl People {
    /// Reads a table by day and person.
    pub(super) fn of(table: &Table, period: &Period) -> Self {
        let mut people = Self { period: (period.start.date(), period.end.date()), ..Self::default() };
        for line in &table.lines {
            let [Some(day), person] = &line.keys[..] else { continue };
            let Ok(day) = day.parse::<Date>() else { continue };
            if let Some(person) = person {
                people.days.push(PersonDay { day, person: person.clone(), line: line.clone() });
            } else if people.is_in_period(day) {
                people.unnamed.add(line);
            }
        }
        people
    }

    fn is_in_period(&self, day: Date) -> bool {
        (self.period.0..self.period.1).contains(&day)
    }

    /// Each person's days of the period.
    pub(super) fn days(&self) -> impl Iterator<Item = &PersonDay> {
        self.days.iter().filter(|day| self.is_in_period(day.day))
    }

    /// The days of the period and before it on which a person sent a prompt, by person.
    pub(super) fn active_days(&self) -> BTreeMap<&str, Vec<&PersonDay>> {
        let mut days: BTreeMap<&str, Vec<&PersonDay>> = BTreeMap::new();
        for day in self.days.iter().filter(|day| day.is_active()) {
            days.entry(&day.person).or_default().push(day);
        }
        days
    }

    /// The persons that sent a prompt from a day up to, but not including, another.
    pub(super) fn active(&self, from: Date, to: Date) -> BTreeSet<&str> {
        let days = self.days.iter().filter(|day| day.is_active() && (from..to).contains(&day.day));
        days.map(|day| day.person.as_str()).collect()
    }

    /// The persons that sent a prompt in the period.
    pub(super) fn active_now(&self) -> BTreeSet<&str> {
        self.active(self.period.0, self.period.1)
    }

    /// What each person used in the period, the most expensive first.
    pub(super) fn totals(&self) -> Vec<(&str, Line)> {
        let mut totals: BTreeMap<&str, Line> = BTreeMap::new();
        for day in self.days() {
            totals.entry(&day.person).or_default().add(&day.line);
        }
        let mut totals: Vec<_> = totals.into_iter().collect();
        totals.sort_by_key(|(_, line)| std::cmp::Reverse(line.amount(Measure::Cost)));
        totals
    }

    /// The spend of all persons in the period, in billionths of a US dollar.
    pub(super) fn spend(&self) -> i64 {
        self.days().fold(0, |sum, day| sum.saturating_add(day.spend()))
    }
}

/// The lines of a table with one line for each first key.
fn by_first(table: Table) -> Vec<Line> {
    let mut places: HashMap<Option<String>, usize> = HashMap::new();
    let mut lines: Vec<Line> = Vec::new();
    for line in table.lines {
        let place = *places.entry(line.keys.first().cloned().flatten()).or_insert(lines.len());
        match lines.get_mut(place) {
            Some(sum) => sum.add(&line),
            None => lines.push(line),
        }
    }
    lines
}

/// The sum of a measure over lines.
pub(super) fn sum<'a>(lines: impl IntoIterator<Item = &'a Line>, measure: Measure) -> i64 {
    lines.into_iter().fold(0, |sum, line| sum.saturating_add(line.amount(measure)))
}

/// The share of what was sent that came from the cache: cache read ÷ (input + cache read + cache written). Gives both
/// sides, and the share if something was sent.
pub(super) fn cache(line: &Line) -> (i64, i64, Option<f64>) {
    let read = line.amount(Measure::CacheReadTokens);
    let sent = [Measure::InputTokens, Measure::CacheCreationTokens]
        .iter()
        .fold(read, |sum, measure| sum.saturating_add(line.amount(*measure)));
    (read, sent, (sent > 0).then(|| to_double(read) / to_double(sent)))
}
