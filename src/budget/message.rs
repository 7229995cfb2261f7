//! What people are told about budgets. Pure.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::profile::{Period, Scope};
use crate::report::{Standing, dollars};

/// That the spend has reached a percentage of a budget.
pub fn reached(standing: &Standing, tier: u16, zone: &TimeZone) -> String {
    let mut text =
        format!("{tier} % of {} is spent: {} by Claude Code's estimate", name(standing), dollars(standing.spend));
    if let Some(forecast) = standing.forecast {
        let end = match standing.budget.period {
            Period::Daily => "today",
            Period::Weekly => "this week",
            Period::Monthly => "this month",
        };
        text.extend(["; forecast for ", end, ": ", &*dollars(forecast)]);
    }
    if let Some(until) = standing.lifted_until {
        text.extend(["; lifted until ", &*moment(until, zone)]);
    }
    text
}

/// Why no work may begin.
pub fn stopped(standing: &Standing, zone: &TimeZone) -> String {
    format!(
        "{} is spent: {} by Claude Code's estimate. Work stops until {}. To continue, run `ccrun budget lift 1h` in a \
         terminal of your own",
        name(standing),
        dollars(standing.spend),
        moment(standing.until, zone)
    )
}

/// `the daily budget of $20.00 per project`.
fn name(standing: &Standing) -> String {
    let budget = &standing.budget;
    let per = if budget.per == Scope::Person { String::new() } else { format!(" per {}", budget.per.name()) };
    format!("the {} budget of {}{per}", budget.period.name(), dollars(budget.limit))
}

/// The day of the week, the date and the time in the reader's time zone.
fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M").to_string()
}
