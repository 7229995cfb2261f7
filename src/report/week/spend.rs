//! The lines about money.

use super::facts::{Facts, People};
use super::line::{Figure, Line, Quantity, Value, median, quotient, share};
use crate::report::forecast;
use crate::usage::{Measure, to_double};

/// From how many people on concentration is shown.
const CONCENTRATED: usize = 5;

/// The fifth of the people that spends most.
const FIFTH: usize = 5;

/// The mean length of a month, in days.
const MONTH: f64 = 365.25 / 12.0;

/// "Spend: Σ cost; against the week before and budget; basis."
pub(super) fn spend(facts: &Facts, budget: Option<i64>) -> Line {
    let (spend, before) = (facts.spend(), facts.before.amount(Measure::Cost));
    let name = if facts.period.is_month { "month before" } else { "week before" };
    let mut beside = vec![Figure::new("before", name, Value::Dollars(before))];
    if before > 0 {
        beside.push(Figure::new("change", "change", Value::Change(quotient(spend, before) - 1.0)));
    }
    if let Some(budget) = budget.filter(|budget| *budget > 0) {
        beside.push(Figure::new("budget", "budget", Value::Dollars(budget)));
        beside.push(Figure::new("budget_used", "budget used", share(spend, budget)));
    }
    let mut caveats = vec!["people and automation".to_owned()];
    if facts.period.is_running() {
        caveats.push(format!("the {} before counts up to the same point", facts.period.noun()));
    }
    Line {
        figure: Figure::new("spend", "Spend", Value::Dollars(spend)).of(dollars_of(spend, "spend")),
        beside,
        source: "requests; the client's own estimate of their cost",
        caveats,
    }
}

/// "Forecast, as for budgets: spend so far ÷ elapsed share of the period (working hours of the last 14 active days; plain
/// time before that)." Left out if the period is over.
pub(super) fn forecast(facts: &Facts) -> Option<Line> {
    let period = &facts.period;
    if !period.is_running() {
        return None;
    }
    let elapsed = forecast::elapsed(facts.hours.as_ref(), &period.start, &period.end, &period.now);
    let expected = forecast::forecast(facts.spend(), elapsed);
    let (of, mut caveats) = match facts.hours {
        Some(_) => ("elapsed working hours", vec![]),
        None => ("elapsed time", vec!["fewer than 14 active days are known, so plain time counts".to_owned()]),
    };
    if expected.is_none() {
        caveats.push("too little of the period has elapsed".to_owned());
    }
    Some(Line {
        figure: Figure::new("forecast", "Forecast", expected.map_or(Value::None, Value::Dollars))
            .of(dollars_of(facts.spend(), "spend so far"))
            .by(Quantity::new(Value::Share(elapsed), of)),
        source: "spend, and the hours of the last 14 active days",
        caveats,
        ..Line::default()
    })
}

/// "Automation has a line of its own and is never among people." It is what sessions use whose entrypoint is `sdk-*` or
/// whose `query_source` is `sdk`.
pub(super) fn automation(facts: &Facts) -> Line {
    let line = &facts.automation;
    let spend = line.amount(Measure::Cost);
    Line {
        figure: Figure::new("automation", "Automation", Value::Dollars(spend))
            .of(dollars_of(spend, "spend of automation")),
        beside: vec![
            Figure::new("share", "share", share(spend, facts.spend()))
                .of(dollars_of(spend, "spend of automation"))
                .by(dollars_of(facts.spend(), "spend")),
            Figure::new("sessions", "sessions", Value::Count(line.sessions)),
            Figure::new("requests", "answered requests", Value::Count(line.amount(Measure::Requests))),
        ],
        source: "sessions with the entrypoint sdk-* or the query source sdk",
        caveats: vec!["never among people".to_owned()],
    }
}

/// "Spend per active day: spend ÷ Σ daily active people; median beside it." The spend is that of persons.
pub(super) fn per_active_day(facts: &Facts) -> Line {
    let people = &facts.people;
    let (spend, days) = (people.spend(), active_days(people));
    let each = |days: i64| if days > 0 { spend / days } else { 0 };
    let value = if days > 0 { Value::Dollars(each(days)) } else { Value::None };
    let spends = people.days().filter(|day| day.is_active()).map(super::facts::PersonDay::spend).collect();
    Line {
        figure: Figure::new("spend_per_active_day", "Spend per active day", value)
            .of(dollars_of(spend, "spend of persons"))
            .by(Quantity::new(Value::Count(days), "active days of persons")),
        beside: vec![Figure::new("median", "median", median(spends).map_or(Value::None, Value::Dollars))],
        source: "requests and prompts",
        caveats: vec!["without automation".to_owned()],
    }
}

/// Σ daily active people.
pub(super) fn active_days(people: &People) -> i64 {
    i64::try_from(people.days().filter(|day| day.is_active()).count()).unwrap_or(i64::MAX)
}

/// "Concentration: spend of the top fifth ÷ spend, from five people on." A fifth is rounded to the nearest number.
pub(super) fn concentration(facts: &Facts) -> Line {
    let totals = facts.people.totals();
    let costs: Vec<i64> = totals.iter().map(|(_, line)| line.amount(Measure::Cost)).filter(|cost| *cost > 0).collect();
    let top = (costs.len() + FIFTH / 2) / FIFTH;
    let (spend, of_top) = (costs.iter().sum(), costs.iter().take(top).sum());
    let is_shown = costs.len() >= CONCENTRATED;
    let figure =
        Figure::new("concentration", "Concentration", if is_shown { share(of_top, spend) } else { Value::None });
    let mut line =
        Line { figure, source: "requests", caveats: vec!["without automation".to_owned()], ..Line::default() };
    if is_shown {
        line.figure =
            line.figure.of(dollars_of(of_top, "spend of the top fifth")).by(dollars_of(spend, "spend of persons"));
        line.beside.push(Figure::new("people", "people with spend", Value::count(costs.len())));
        line.beside.push(Figure::new("top", "top fifth", Value::count(top)));
    } else {
        line.caveats.push(format!("shown from {CONCENTRATED} people with spend"));
    }
    line
}

/// "Plan: with `--plan-fee AMOUNT` a month and seats: list-price value of the use against the fee, nothing else." The
/// fee of a week is its share of a mean month.
pub(super) fn plan(facts: &Facts, seats: u32, fee: i64) -> Line {
    let monthly = fee.saturating_mul(i64::from(seats));
    let share_of_month = if facts.period.is_month { 1.0 } else { 7.0 / MONTH };
    #[expect(clippy::cast_possible_truncation, reason = "billionths of a dollar are left out")]
    let due = (to_double(monthly) * share_of_month).round() as i64;
    let spend = facts.spend();
    let mut caveats = vec!["what the use would cost by its requests, not what is paid".to_owned()];
    if facts.period.is_running() {
        caveats.push(format!("the {} is not over, its fee is whole", facts.period.noun()));
    }
    Line {
        figure: Figure::new("plan", "Plan", share(spend, due))
            .of(dollars_of(spend, "value of the use"))
            .by(dollars_of(due, &format!("fee of the {}", facts.period.noun()))),
        source: "requests; --plan-fee and --seats",
        caveats,
        ..Line::default()
    }
}

fn dollars_of(amount: i64, of: &str) -> Quantity {
    Quantity::new(Value::Dollars(amount), of)
}
