//! Adds up the spend of budgets from the ledger.

use jiff::{Timestamp, Zoned};
use rusqlite::Connection;

use crate::profile::{Budget, Period, Scope};
use crate::report::forecast::{WorkingHours, elapsed, forecast};
use crate::report::ledger::{Here, LedgerSource, Present};
use crate::report::range::Current;
use crate::report::{Dimension, Query, Range, Source, SourceError, Standing, Table};
use crate::usage::Measure;

/// How the strictest of some budgets stand, shortest period first. The ledger is read once, for all of them.
/// `lifted_until` is the end of a lift, if there is one.
pub fn standings(
    connection: &Connection,
    budgets: &[Budget],
    here: &Here,
    lifted_until: Option<Timestamp>,
    now: &Zoned,
) -> Result<Vec<Standing>, SourceError> {
    if budgets.is_empty() {
        return Ok(Vec::new());
    }
    let hours = WorkingHours::query(now.date(), now.time_zone());
    let (mut standings, answer) = read(&LedgerSource::new(connection)?, budgets, here, Some(hours), now)?;
    let hours = answer.as_ref().and_then(WorkingHours::of);
    for standing in &mut standings {
        let (since, until) = bounds(standing.budget.period, now);
        standing.forecast = forecast(standing.spend, elapsed(hours.as_ref(), &since, &until, now));
        standing.lifted_until = lifted_until;
    }
    Ok(standings)
}

/// The same without forecast and lift, which takes less reading.
pub(super) fn spent(
    source: &LedgerSource<'_>,
    budgets: &[Budget],
    here: &Here,
    now: &Zoned,
) -> Result<Vec<Standing>, SourceError> {
    read(source, budgets, here, None, now).map(|(standings, _)| standings)
}

/// How the strictest of some budgets stand, without forecast and lift, and the answer to one more query.
fn read(
    source: &LedgerSource<'_>,
    budgets: &[Budget],
    here: &Here,
    more: Option<Query>,
    now: &Zoned,
) -> Result<(Vec<Standing>, Option<Table>), SourceError> {
    let mut budgets = super::strictest(budgets);
    budgets.sort_by_key(|budget| (budget.period, budget.per, budget.limit));
    let present = source.present(here)?;
    let mut asked: Vec<(Period, Scope)> = budgets.iter().map(|budget| (budget.period, budget.per)).collect();
    asked.dedup();
    let has_more = more.is_some();
    let queries: Vec<_> = asked.iter().map(|(period, per)| query(*period, *per, now)).chain(more).collect();
    let mut answers = source.answers(&queries)?;
    let answer_to_more = if has_more { answers.pop() } else { None };
    let spend_of = |budget: &Budget| {
        let place = asked.iter().position(|asked| *asked == (budget.period, budget.per))?;
        let wanted = keys(budget.per, &present);
        let line = answers.get(place)?.lines.iter().find(|line| line.keys == wanted)?;
        Some(line.amount(Measure::Cost))
    };
    let standing = |budget: Budget| {
        let spend = spend_of(&budget).unwrap_or_default();
        let (since, until) = bounds(budget.period, now);
        let of = keys(budget.per, &present).pop().flatten();
        let [since, until] = [since.timestamp(), until.timestamp()];
        Standing { budget, of, spend, forecast: None, since, until, lifted_until: None }
    };
    Ok((budgets.into_iter().map(standing).collect(), answer_to_more))
}

fn query(period: Period, per: Scope, now: &Zoned) -> Query {
    let (since, until) = bounds(period, now);
    let at = |zoned: &Zoned| Some(zoned.timestamp().as_millisecond());
    let range = Range { since: at(&since), until: at(&until) };
    Query { range, by: dimensions(per).to_vec(), ..Query::new(now.time_zone().clone()) }
}

/// The beginning and the end of the current period, by local time.
fn bounds(period: Period, now: &Zoned) -> (Zoned, Zoned) {
    let current = match period {
        Period::Daily => Current::Today,
        Period::Weekly => Current::Week,
        Period::Monthly => Current::Month,
    };
    (current.begins(now).0, current.ends(now))
}

/// The dimensions that tell whose spend it is. Branches of different projects may have the same name.
fn dimensions(per: Scope) -> &'static [Dimension] {
    match per {
        Scope::Person => &[Dimension::Person],
        Scope::Project => &[Dimension::Project],
        Scope::Branch => &[Dimension::Project, Dimension::Branch],
        Scope::Team => &[Dimension::Team],
        Scope::Profile => &[Dimension::Profile],
        Scope::Session => &[Dimension::Session],
    }
}

/// The present values of these dimensions.
fn keys(per: Scope, present: &Present) -> Vec<Option<String>> {
    let values = match per {
        Scope::Person => vec![&present.person],
        Scope::Project => vec![&present.project],
        Scope::Branch => vec![&present.project, &present.branch],
        Scope::Team => vec![&present.team],
        Scope::Profile => vec![&present.profile],
        Scope::Session => vec![&present.session],
    };
    values.into_iter().cloned().collect()
}
