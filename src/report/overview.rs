//! The overview: current usage, the change from the previous period, and a breakdown.

use jiff::civil::Date;
use jiff::{ToSpan, Zoned};

use super::dimension::Dimension;
use super::query::{Condition, Query, Range};
use super::range::Current;
use super::table::{Line, Table};
use super::{Source, SourceError, Standing, answers_of_page};

/// How many days are drawn.
pub(super) const DAYS: i32 = 14;

/// The answers to the most common questions.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// Everything in the range.
    pub total: Table,
    /// Current periods, each with the one before it up to the same point. Empty if a range was requested.
    pub periods: Vec<Period>,
    /// Days with their lines. The most recent days are included even without usage.
    pub days: Table,
    /// By model.
    pub models: Table,
    /// By project.
    pub projects: Table,
    /// The most expensive sessions, by project.
    pub sessions: Table,
    /// By day and model, for a page alone.
    pub course: Table,
    /// How budgets stand. The caller adds them, since no source has them.
    pub budgets: Vec<Standing>,
    /// The last day drawn: today, or `None` for the last day with usage if a range was requested.
    pub today: Option<Date>,
}

/// A period and the previous one.
#[derive(Clone, Debug, PartialEq)]
pub struct Period {
    /// Its name.
    pub name: &'static str,
    /// Usage in it up to now.
    pub now: Line,
    /// Usage in the previous one, up to the same point.
    pub before: Line,
}

/// Current periods, with their names.
const PERIODS: [(&str, Current); 3] =
    [("Today", Current::Today), ("This week", Current::Week), ("This month", Current::Month)];

/// How much an overview asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// This month and the last, unless a range was requested.
    Recent,
    /// Everything.
    Whole,
    /// Everything, and what only a page has space for.
    Page,
}

/// Asks a source for the whole overview.
pub fn overview(source: &dyn Source, query: &Query, now: &Zoned, extent: Extent) -> Result<Overview, SourceError> {
    let is_given = query.range != Range::default();
    let recent = Current::Month.begins(now).1.timestamp().as_millisecond();
    let is_whole = is_given || extent != Extent::Recent;
    let range = if is_whole { query.range } else { Range { since: Some(recent), until: None } };
    let by = |by: &[Dimension]| Query { range, by: by.to_vec(), ..query.clone() };
    let dearest = if extent == Extent::Page { 10 } else { 3 };
    let place = place_of_work(source);
    let dearest = Query { top: Some(dearest), sort: None, ..by(&[Dimension::Session, place]) };
    let mut queries = vec![by(&[]), by(&[Dimension::Day]), by(&[Dimension::Model]), by(&[place]), dearest];
    if extent == Extent::Page {
        queries.push(Query { top: None, sort: None, ..by(&[Dimension::Day, Dimension::Model]) });
    }
    let periods = if is_given { &[][..] } else { &PERIODS };
    queries.extend(periods.iter().flat_map(|(_, current)| period(query, now, *current)));
    let mut answers = answers_of_page(source, &queries)?.into_iter();
    let mut next = || answers.next().map(as_projects).unwrap_or_default();
    Ok(Overview {
        total: next(),
        today: (!is_given).then(|| now.date()),
        days: next(),
        models: next(),
        projects: next(),
        sessions: next(),
        course: if extent == Extent::Page { next() } else { Table::default() },
        budgets: Vec::new(),
        periods: periods.iter().map(|(name, _)| Period { name, now: next().total, before: next().total }).collect(),
    })
}

/// The dimension that says where work was done: the project, or the repository where a source does not know that.
pub(super) fn place_of_work(source: &dyn Source) -> Dimension {
    if source.knows(Dimension::Project) { Dimension::Project } else { Dimension::Repository }
}

/// A table in which repositories stand for projects.
fn as_projects(mut table: Table) -> Table {
    for dimension in &mut table.by {
        *dimension = if *dimension == Dimension::Repository { Dimension::Project } else { *dimension };
    }
    table
}

/// The queries for a current period, and for the previous one up to the same point.
fn period(query: &Query, now: &Zoned, current: Current) -> [Query; 2] {
    let (start, before) = current.begins(now);
    let back = match current {
        Current::Today => 1.day(),
        Current::Week => 1.week(),
        Current::Month | Current::Year => 1.month(),
    };
    let point = now.checked_sub(back).unwrap_or_else(|_| now.clone());
    let at = |zoned: &Zoned| Some(zoned.timestamp().as_millisecond());
    let ask = |since, until| Query { range: Range { since, until }, by: Vec::new(), ..query.clone() };
    [ask(at(&start), None), ask(at(&before), at(&point))]
}

impl Overview {
    /// Notes that a reader needs to interpret it.
    pub fn notes(&self) -> &[String] {
        &self.total.notes
    }

    /// Whether nothing was used.
    pub fn is_empty(&self) -> bool {
        self.total.total.is_empty()
    }
}

/// Suggestions if a filter matches nothing: the existing values, nearest first.
pub fn suggestions(source: &dyn Source, filter: &[Condition]) -> Result<Vec<String>, SourceError> {
    let mut said = Vec::new();
    for condition in filter {
        let mut values = source.values(condition.dimension)?;
        if values.iter().any(|value| condition.matches(Some(value))) || values.is_empty() {
            continue;
        }
        let distance = |value: &String| {
            // People often type one word of the value.
            let value = value.to_lowercase();
            let words = value.split(['/', '-', '@']).chain([value.as_str()]);
            words.map(|word| strsim::damerau_levenshtein(word, &condition.value)).min().unwrap_or(usize::MAX)
        };
        values.sort_by_cached_key(|value| (distance(value), value.clone()));
        let count = values.len();
        values.truncate(8);
        let more = if count > 8 { format!(", and {} more", count - 8) } else { String::new() };
        said.push(format!("{}: there is {}{more}", condition.dimension.name(), values.join(", ")));
    }
    Ok(said)
}
