//! Forecasts the spend of a period: spend so far ÷ elapsed share of the period. Pure.
//!
//! The share counts working hours, so that a Monday morning is not taken for a seventh of a week. Which hours are worked
//! is learned from the last 14 active days. Before there are so many, the share is one of plain time.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};

use super::dimension::Dimension;
use super::query::{Query, Range};
use super::table::Table;
use crate::usage::to_double;

/// From how many active days working hours are learned.
pub const ACTIVE_DAYS: usize = 14;

/// How many days back active days are looked for. Older habits say little.
const LOOK_BACK: i64 = 60;

/// The least elapsed share that is multiplied. A smaller one says nothing of the rest.
const LEAST: f64 = 0.01;

/// How often each hour of the day and each day of the week is worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkingHours {
    /// On how many active days each hour, from 0 to 23, was active.
    hours: [u32; 24],
    /// How many active days each day of the week has, from Monday.
    weekdays: [u32; 7],
}

impl WorkingHours {
    /// The query whose answer [`WorkingHours::of`] takes. It covers the days before today.
    pub fn query(today: Date, zone: &TimeZone) -> Query {
        let at = |day: Date| day.to_zoned(zone.clone()).ok().map(|start| start.timestamp().as_millisecond());
        let range = Range { since: at(today.saturating_sub(LOOK_BACK.days())), until: at(today) };
        Query { range, by: vec![Dimension::Hour], ..Query::new(zone.clone()) }
    }

    /// Learns from a table by hour. `None` if it has fewer than 14 days.
    pub fn of(table: &Table) -> Option<Self> {
        let keys = table.lines.iter().filter_map(|line| line.keys.first()?.as_deref());
        Self::learn(keys.filter_map(|key| format!("{key}:00").parse().ok()).collect())
    }

    /// Learns from the starts of the hours that had any use, in the reader's time zone. `None` if they lie on fewer than
    /// 14 days.
    pub fn learn(mut hours: Vec<DateTime>) -> Option<Self> {
        hours.sort_unstable();
        hours.dedup();
        let mut days: Vec<Date> = hours.iter().map(|hour| hour.date()).collect();
        days.dedup();
        let days = days.split_off(days.len().checked_sub(ACTIVE_DAYS)?);
        let first = *days.first()?;
        let mut learned = Self { hours: [0; 24], weekdays: [0; 7] };
        for hour in hours.iter().filter(|hour| hour.date() >= first) {
            learned.hours[usize::from(hour.hour().unsigned_abs()) % 24] += 1;
        }
        for day in days {
            learned.weekdays[weekday(day)] += 1;
        }
        Some(learned)
    }

    /// The weight of an hour. Without weekdays, only the hour of the day counts.
    fn weight(&self, at: DateTime, by_weekday: bool) -> f64 {
        let weekday = if by_weekday { self.weekdays[weekday(at.date())] } else { 1 };
        f64::from(self.hours[usize::from(at.hour().unsigned_abs()) % 24]) * f64::from(weekday)
    }
}

fn weekday(day: Date) -> usize {
    usize::from(day.weekday().to_monday_zero_offset().unsigned_abs()) % 7
}

/// The elapsed share of a period from `start` to `end`, from 0 to 1: of its working hours if they are known, else of its
/// time. A day of the week that is never worked has no weight, unless the period has no other.
pub fn elapsed(hours: Option<&WorkingHours>, start: &Zoned, end: &Zoned, now: &Zoned) -> f64 {
    let of = |weight: &dyn Fn(DateTime) -> f64| share(start, end, now, weight);
    let learned =
        hours.and_then(|hours| of(&|at| hours.weight(at, true)).or_else(|| of(&|at| hours.weight(at, false))));
    learned.or_else(|| of(&|_| 1.0)).unwrap_or(1.0)
}

/// The weight of the hours before `now` ÷ the weight of all. `None` if they have none.
fn share(start: &Zoned, end: &Zoned, now: &Zoned, weight: &dyn Fn(DateTime) -> f64) -> Option<f64> {
    const HOUR: i64 = 3600;
    let [start_at, end_at, now_at] = [start, end, now].map(|zoned| zoned.timestamp().as_second());
    let (mut past, mut all) = (0.0, 0.0);
    let mut at = start_at;
    while at < end_at {
        let long = HOUR.min(end_at - at);
        let civil = start.saturating_add((at - start_at).seconds()).datetime();
        let weight = weight(civil) * to_double(long);
        all += weight;
        past += weight * to_double((now_at - at).clamp(0, long)) / to_double(long);
        at += long;
    }
    (all > 0.0).then(|| past / all)
}

/// The spend of a whole period in billionths of a US dollar: spend so far ÷ elapsed share. `None` while too little of the
/// period has elapsed to say anything.
pub fn forecast(spend: i64, elapsed: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "a float that is too large becomes the largest integer")]
    (elapsed >= LEAST).then(|| (to_double(spend) / elapsed.min(1.0)).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Zoned {
        format!("{text}[Europe/Berlin]").parse().unwrap()
    }

    /// Hours from nine to five on the working days of three weeks, from Monday, 2 November 2026.
    fn office() -> Vec<DateTime> {
        let monday = jiff::civil::date(2026, 11, 2);
        let days = (0..19_i64).map(|day| monday.saturating_add(day.days())).filter(|day| weekday(*day) < 5);
        days.flat_map(|day| (9..17).map(move |hour| day.at(hour, 0, 0, 0))).collect()
    }

    fn week(now: &str, hours: Option<&WorkingHours>) -> f64 {
        elapsed(hours, &at("2026-11-23T00:00"), &at("2026-11-30T00:00"), &at(now))
    }

    fn is_near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-9
    }

    #[test]
    fn working_hours_are_those_of_the_last_fourteen_active_days() {
        let hours = WorkingHours::learn(office()).unwrap();
        // Of 15 days the last 14 count: without the first Monday.
        assert_eq!(hours.weekdays, [2, 3, 3, 3, 3, 0, 0]);
        assert_eq!((hours.hours[8], hours.hours[9], hours.hours[16], hours.hours[17]), (0, 14, 14, 0));
        let few: Vec<_> = office().into_iter().filter(|hour| hour.day() < 20).collect();
        assert_eq!(WorkingHours::learn(few[..13 * 8].to_vec()), None, "13 days are too few");
        assert_eq!(WorkingHours::learn(Vec::new()), None);
    }

    #[test]
    fn the_elapsed_share_is_one_of_working_hours() {
        let hours = WorkingHours::learn(office()).unwrap();
        let share = |now| week(now, Some(&hours));
        assert!(is_near(share("2026-11-23T09:00"), 0.0), "before work begins");
        assert!(is_near(share("2026-11-23T13:00"), 1.0 / 14.0), "half of a Monday of weight 2 of 14");
        assert!(is_near(share("2026-11-25T17:00"), 8.0 / 14.0), "Monday to Wednesday");
        assert!(is_near(share("2026-11-28T12:00"), 1.0), "nothing is left for the weekend");
        assert!(is_near(share("2026-12-24T12:00"), 1.0) && is_near(share("2026-11-01T12:00"), 0.0));
    }

    #[test]
    fn a_weekend_day_by_itself_is_shared_by_its_hours() {
        let hours = WorkingHours::learn(office()).unwrap();
        let of_saturday =
            elapsed(Some(&hours), &at("2026-11-28T00:00"), &at("2026-11-29T00:00"), &at("2026-11-28T11:00"));
        assert!(is_near(of_saturday, 2.0 / 8.0));
    }

    #[test]
    fn without_fourteen_days_the_share_is_one_of_time() {
        assert!(is_near(week("2026-11-25T12:00", None), 2.5 / 7.0));
        // A week of 167 hours, as summer time begins.
        let spring = elapsed(None, &at("2026-03-23T00:00"), &at("2026-03-30T00:00"), &at("2026-03-29T12:00"));
        assert!(is_near(spring, (6.0 * 24.0 + 11.0) / 167.0));
    }

    #[test]
    fn the_forecast_is_spend_by_share() {
        assert_eq!(forecast(30_000_000_000, 0.25), Some(120_000_000_000));
        assert_eq!(forecast(5, 1.0), Some(5));
        assert_eq!(forecast(5, 0.0), None);
        assert_eq!(forecast(5, 0.009), None, "too early");
        assert_eq!(forecast(i64::MAX, 0.5), Some(i64::MAX));
    }

    #[test]
    fn hours_are_read_from_a_table() {
        let line = |hour: &DateTime| crate::report::Line {
            keys: vec![Some(hour.strftime("%Y-%m-%dT%H").to_string())],
            ..crate::report::Line::default()
        };
        let table = Table { lines: office().iter().map(line).collect(), ..Table::default() };
        assert_eq!(WorkingHours::of(&table), WorkingHours::learn(office()));
        let query = WorkingHours::query(jiff::civil::date(2026, 11, 23), &TimeZone::UTC);
        assert_eq!(query.range.until, Some(1_795_392_000_000));
        assert_eq!(query.range.since, Some(1_795_392_000_000 - LOOK_BACK * crate::ledger::DAY));
    }
}
