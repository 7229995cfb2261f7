//! The week or month of a team, for its lead: a page of lines, each with numerator, denominator, source and caveat.
//!
//! [`page`] asks a source, and pure functions make the lines: `Facts` → [`Line`]s and [`Section`]s. Each
//! definition is one function, whose comment quotes it. Automation has a line of its own and is never among people.

mod coverage;
mod facts;
mod hints;
mod line;
mod people;
mod period;
mod places;
mod rows;
mod speed;
mod spend;
mod work;

pub use line::{Figure, Line, Quantity, Section, Value};
pub use period::Period;

use facts::Facts;

use super::query::Condition;
use super::table::Coverage;
use super::{Source, SourceError};

/// From how many people on rows for persons are shown.
pub const GROUP: usize = 5;

/// The rows that the page ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A row for each person.
    Person,
    /// A row for each team.
    Team,
}

/// What the reader asks for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Conditions on use, on dimensions of sessions.
    pub filter: Vec<Condition>,
    /// Rows for persons or teams.
    pub by: Option<By>,
    /// How many seats the team has.
    pub seats: Option<u32>,
    /// The fee for a seat and month, in billionths of a US dollar.
    pub plan_fee: Option<i64>,
    /// Whether rows for persons are shown in small groups.
    pub persons: bool,
    /// The budget of the team or the profile for such a period, in billionths of a US dollar.
    pub budget: Option<i64>,
    /// The budget of a person, which counts if there is only one.
    pub budget_of_one: Option<i64>,
    /// How many of this machine's sessions are known.
    pub coverage: Option<Coverage>,
}

/// The page.
#[derive(Clone, Debug)]
pub struct Page {
    /// The week or month.
    pub period: Period,
    /// Rows for persons or teams, if they were asked for.
    pub by: Option<By>,
    /// How many people were active.
    pub people: usize,
    /// How many of this machine's sessions are known.
    pub coverage: Option<Coverage>,
    /// The lines.
    pub lines: Vec<Line>,
    /// The tables below the lines.
    pub sections: Vec<Section>,
    /// Notes that a reader needs to interpret the numbers.
    pub notes: Vec<String>,
}

/// Asks a source for the page.
pub fn page(source: &dyn Source, period: &Period, options: &Options) -> Result<Page, SourceError> {
    Ok(of(&Facts::ask(source, period, options)?, options))
}

/// The page that facts make.
fn of(facts: &Facts, options: &Options) -> Page {
    // A small group's rows would say what each of its people does.
    let shows_persons = options.persons || facts.people.totals().len() >= GROUP;
    let budget = options.budget.or(options.budget_of_one.filter(|_| facts.people.totals().len() <= 1));
    let lines = [
        Some(spend::spend(facts, budget)),
        spend::forecast(facts),
        Some(spend::automation(facts)),
        Some(people::active(facts)),
        options.seats.map(|seats| people::adoption(facts, seats)),
        Some(people::changes(facts)),
        Some(spend::per_active_day(facts)),
        Some(spend::concentration(facts)),
        Some(work::cache_reuse(facts, shows_persons)),
        Some(work::edits(facts)),
        Some(work::pull_requests(facts)),
        Some(work::volume(facts)),
        Some(work::failures(facts)),
        Some(speed::speed(facts)),
        Some(places::places(facts)),
        Some(hints::hints(facts)),
        options.seats.zip(options.plan_fee).map(|(seats, fee)| spend::plan(facts, seats, fee)),
        Some(coverage::coverage(facts, options.coverage)),
    ];
    let mut sections = vec![people::section(facts), work::tools(facts), speed::section(facts)];
    sections.extend(places::sections(facts));
    sections.push(hints::section(facts, shows_persons));
    sections.extend(coverage::sections(facts));
    sections.retain(|section| shows_persons || section.id != "people_changes");
    sections.extend(options.by.and_then(|by| match by {
        By::Person => shows_persons.then(|| rows::persons(facts)),
        By::Team => Some(rows::teams(facts)),
    }));
    sections.retain(|section| !section.rows.is_empty());
    let mut notes = facts.total.notes.clone();
    if !shows_persons {
        notes.push(format!("fewer than {GROUP} people: rows for persons are left out"));
    }
    Page {
        period: facts.period.clone(),
        by: options.by,
        people: facts.people.active_now().len(),
        coverage: options.coverage,
        lines: lines.into_iter().flatten().collect(),
        sections,
        notes,
    }
}

#[cfg(test)]
pub(crate) mod tests;
