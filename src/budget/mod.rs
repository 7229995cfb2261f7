//! Budgets: how they stand, what is told about them, and whether they stop work.
//!
//! [`strictest`] picks the budgets that count, [`standings`] adds up the spend of each in its current period, and
//! [`check`] decides what to tell and whether to stop. [`Told`] remembers what was told on this machine, and [`Lifts`]
//! which budgets are lifted.

mod lifts;
mod message;
mod present;
mod spend;
mod told;
mod watched;

use std::io;

use jiff::tz::TimeZone;

use crate::profile::{Budget, Notify};

pub use crate::report::Standing;
pub use crate::report::ledger::Here;
pub use lifts::{LONGEST, Lifts};
pub use message::{reached, stopped};
pub use present::{of_launch, of_session};
pub use spend::standings;
pub use told::{Audience, Told};
pub use watched::Watched;

/// The budgets that count: of those for the same period and scope the lowest, and a higher one only if it stops work
/// and no lower one does.
pub fn strictest(budgets: &[Budget]) -> Vec<Budget> {
    let mut sorted: Vec<&Budget> = budgets.iter().collect();
    // Of equal limits, one that stops counts.
    sorted.sort_by_key(|budget| (budget.per, budget.period, budget.limit, !budget.stop));
    let mut counting: Vec<Budget> = Vec::new();
    for budget in sorted {
        let is_alike = |other: &&Budget| (other.per, other.period) == (budget.per, budget.period);
        let lower: Vec<&Budget> = counting.iter().filter(is_alike).collect();
        if lower.is_empty() || budget.stop && !lower.iter().any(|other| other.stop) {
            counting.push(budget.clone());
        } else if let Some(same) = counting.iter_mut().find(|other| is_alike(&&**other) && other.limit == budget.limit)
        {
            // Both files are heard.
            same.warn.extend(&budget.warn);
            let is_new = |notify: &&Notify| !same.notify.contains(notify);
            let new: Vec<_> = budget.notify.iter().filter(is_new).cloned().collect();
            same.notify.extend(new);
        }
    }
    counting
}

/// A percentage of a budget that the spend has reached, to be told now.
#[derive(Clone, Debug, PartialEq)]
pub struct Reached {
    /// The budget and its spend.
    pub standing: Standing,
    /// The percentage.
    pub tier: u16,
    /// The message: one line of plain text.
    pub text: String,
}

/// What follows from how budgets stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Why no work may begin, as one line of plain text.
    pub stop: Option<String>,
    /// What is to be told now, and will not be told again.
    pub reached: Vec<Reached>,
}

/// Decides what to tell and whether to stop. What is returned as reached counts as told from now on. Where that cannot
/// be recorded nothing is told, since it would be told again and again; a budget that stops still does.
///
/// Returns the verdict, and the error if something could not be recorded.
pub fn check(standings: &[Standing], told: &Told, zone: &TimeZone) -> (Verdict, Option<io::Error>) {
    let mut verdict = Verdict::default();
    let mut failure = None;
    for standing in standings {
        match told.claim(standing, zone) {
            Ok(None) => {}
            Ok(Some(tier)) => verdict.reached.push(Reached {
                standing: standing.clone(),
                tier,
                text: message::reached(standing, tier, zone),
            }),
            Err(error) => failure = Some(error),
        }
    }
    verdict.stop = stop(standings, zone);
    (verdict, failure)
}

/// Why no work may begin, as one line of plain text. Of several budgets, the one that stops for the longest time.
pub fn stop(standings: &[Standing], zone: &TimeZone) -> Option<String> {
    let stopping = standings.iter().filter(|standing| standing.stops()).max_by_key(|standing| standing.until);
    stopping.map(|standing| message::stopped(standing, zone))
}

#[cfg(test)]
mod tests;
