//! `ccrun report week`: a team's week or month.

use std::process::ExitCode;

use anyhow::Result;
use jiff::Zoned;

use super::complain;
use super::report::{Asked, USAGE, failed, format, look, seen, write};
use crate::cli::{ReportWeek, WeekBy};
use crate::profile::{self, Scope};
use crate::report::Standing;
use crate::report::render;
use crate::report::week::{By, Options, Period, page};
use crate::state::Places;
use crate::system::process_environment::ProcessEnvironment;
use crate::workspace::ReportRules;

pub(super) fn run(
    options: &ReportWeek,
    from: &Asked<'_>,
    places: &Places,
    rules: ReportRules,
    process: &ProcessEnvironment,
    now: &Zoned,
) -> Result<ExitCode> {
    let asked = Period::parse(options.when.as_deref(), options.month, now).and_then(|period| {
        let filter = seen(&options.filter, process, &places.home);
        Ok((period, self::options(options, filter, rules)?))
    });
    let (period, mut wanted) = match asked {
        Ok(asked) => asked,
        Err(fault) => {
            complain(&fault);
            return Ok(ExitCode::from(USAGE));
        }
    };
    wanted.coverage = from.coverage(&wanted.filter, period.range(), &places.claude)?;
    if wanted.filter.is_empty() {
        wanted.budget = limit(&from.budgets, &period, &[Scope::Team, Scope::Profile]);
        wanted.budget_of_one = limit(&from.budgets, &period, &[Scope::Person]);
    }
    let page = match from.ask(|source| page(source, &period, &wanted)) {
        Ok(page) => page,
        Err(error) => return failed(error),
    };
    let look = look(&options.shown, process, &places.home, now);
    write(&render::week(&page, format(&options.shown), &look), &options.shown, process)
}

/// The lowest limit of such a period for one of these scopes, in billionths of a US dollar.
fn limit(budgets: &[Standing], period: &Period, scopes: &[Scope]) -> Option<i64> {
    let wanted = if period.is_month { profile::Period::Monthly } else { profile::Period::Weekly };
    let budgets = budgets.iter().map(|standing| &standing.budget);
    let found = budgets.filter(|budget| budget.period == wanted && scopes.contains(&budget.per));
    found.map(|budget| budget.limit).min()
}

/// What the reader asks for, or what is wrong with it.
fn options(options: &ReportWeek, filter: Vec<crate::report::Condition>, rules: ReportRules) -> Result<Options, String> {
    if let Some(other) =
        filter.iter().map(|condition| condition.dimension).find(|dimension| !dimension.is_of_sessions())
    {
        let name = other.name();
        return Err(format!("`--where` takes dimensions of sessions here, as team or project, and not `{name}`"));
    }
    if options.persons && rules.is_enforced && !rules.persons {
        return Err("`--persons` is not allowed: the system's config.toml enforces `report.persons`".to_owned());
    }
    Ok(Options {
        filter,
        by: options.by.map(|by| match by {
            WeekBy::Person => By::Person,
            WeekBy::Team => By::Team,
        }),
        seats: options.seats,
        plan_fee: options.plan_fee,
        persons: options.persons || rules.persons,
        ..Options::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(arguments: &[&str], rules: ReportRules) -> Result<Options, String> {
        use clap::Parser;

        #[derive(Parser)]
        struct Command {
            #[command(flatten)]
            week: ReportWeek,
        }
        let week = Command::try_parse_from([&["week"], arguments].concat()).unwrap().week;
        options(&week, week.filter.clone(), rules)
    }

    #[test]
    fn rows_for_persons_are_shown_if_asked_for_and_allowed() {
        let persons = |arguments: &[&str], persons, is_enforced| {
            found(arguments, ReportRules { persons, is_enforced }).map(|options| options.persons)
        };
        assert_eq!(persons(&[], false, false), Ok(false));
        assert_eq!(persons(&["--persons"], false, false), Ok(true));
        assert_eq!(persons(&[], true, false), Ok(true));
        assert_eq!(persons(&["--persons"], true, true), Ok(true));
        assert_eq!(persons(&[], false, true), Ok(false));
        assert!(persons(&["--persons"], false, true).unwrap_err().contains("enforces `report.persons`"));
    }

    #[test]
    fn amounts_are_dollars_and_conditions_are_of_sessions() {
        let options = |arguments: &[&str]| found(arguments, ReportRules::default());
        assert_eq!(options(&["--plan-fee", "$19.99", "--seats", "2"]).unwrap().plan_fee, Some(19_990_000_000));
        assert!(options(&["--where", "team=web", "--where", "automation=no"]).is_ok());
        assert!(options(&["--where", "tool=Bash"]).unwrap_err().contains("not `tool`"));
    }
}
