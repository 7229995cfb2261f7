//! The windows of time that a query is made of.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

use super::super::dimension::Dimension;
use super::super::query::Range;

/// How far back a report without a start goes, in days.
const FARTHEST: i32 = 400;

/// The largest number of windows. Prometheus gives at most 11,000 points of a series.
const MOST: usize = 10_000;

/// Windows of the same length one after the other, in Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Windows {
    /// The end of the first.
    pub(super) end: i64,
    /// Their length.
    pub(super) length: i64,
    /// Their number; at least one.
    pub(super) count: i64,
}

impl Windows {
    /// The end of the last.
    pub(super) fn last(self) -> i64 {
        self.end + self.length * (self.count - 1)
    }
}

/// The windows that cover a range: whole days in a time zone, or hours, and what the range cuts off at both ends. `None`
/// if there are too many, or the range lies outside of the times that can be written.
pub(super) fn windows(range: Range, zone: &TimeZone, now: Timestamp, is_hourly: bool) -> Option<Vec<Windows>> {
    let now = now.to_zoned(zone.clone());
    let farthest = now.checked_sub(FARTHEST.days()).ok()?.start_of_day().ok()?;
    let start = range.since.unwrap_or_else(|| farthest.timestamp().as_millisecond());
    let tonight = midnight_after(&now)?;
    let end = range.until.map_or(tonight, |until| until.min(tonight));
    let (mut all, mut at, mut number): (Vec<Windows>, _, _) = (Vec::new(), start, 0);
    while at < end {
        number += 1;
        if number > MOST {
            return None;
        }
        let zoned = Timestamp::from_millisecond(at).ok()?.to_zoned(zone.clone());
        let next = if is_hourly { hour_after(&zoned) } else { midnight_after(&zoned)? };
        let next = next.min(end);
        let length = next - at;
        match all.last_mut() {
            Some(last) if last.length == length => last.count += 1,
            _ => all.push(Windows { end: next, length, count: 1 }),
        }
        at = next;
    }
    Some(all)
}

fn midnight_after(zoned: &Zoned) -> Option<i64> {
    Some(zoned.tomorrow().ok()?.start_of_day().ok()?.timestamp().as_millisecond())
}

fn hour_after(zoned: &Zoned) -> i64 {
    const HOUR: i64 = 3_600_000;
    let offset = i64::from(zoned.offset().seconds()) * 1000;
    let local = zoned.timestamp().as_millisecond() + offset;
    (local.div_euclid(HOUR) + 1) * HOUR - offset
}

/// The value of a dimension of time at a moment.
pub(super) fn time(dimension: Dimension, at: i64, zone: &TimeZone) -> Option<String> {
    let zoned = Timestamp::from_millisecond(at).ok()?.to_zoned(zone.clone());
    let date = zoned.date();
    Some(match dimension {
        Dimension::Hour => format!("{date}T{:02}", zoned.hour()),
        Dimension::Day => date.to_string(),
        Dimension::Week => {
            let week = date.iso_week_date();
            format!("{:04}-W{:02}", week.year(), week.week())
        }
        Dimension::Month => format!("{:04}-{:02}", date.year(), date.month()),
        Dimension::Weekday => date.weekday().to_monday_one_offset().to_string(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn of(since: &str, until: &str, zone: &str, is_hourly: bool) -> Vec<(i64, i64)> {
        let range = Range { since: Some(at(since)), until: Some(at(until)) };
        let now = "2026-12-01T12:00:00Z".parse().unwrap();
        let found = windows(range, &TimeZone::get(zone).unwrap(), now, is_hourly).unwrap();
        found.iter().map(|windows| (windows.length, windows.count)).collect()
    }

    #[test]
    fn days_end_at_midnight_where_the_reader_is() {
        let found = of("2026-11-28T10:00:00Z", "2026-11-30T10:00:00Z", "Asia/Kolkata", false);
        // From 15:30 to midnight, a day, and up to 15:30.
        assert_eq!(found, [(HOUR * 17 / 2, 1), (24 * HOUR, 1), (HOUR * 31 / 2, 1)]);
    }

    #[test]
    fn a_day_may_have_25_hours() {
        let found = of("2026-10-23T22:00:00Z", "2026-10-26T23:00:00Z", "Europe/Berlin", false);
        assert_eq!(found, [(24 * HOUR, 1), (25 * HOUR, 1), (24 * HOUR, 1)]);
        let hours = of("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "Europe/Berlin", true);
        assert_eq!(hours, [(HOUR, 25)]);
    }

    #[test]
    fn a_report_without_a_range_goes_back_and_ends_tonight() {
        let now = "2026-12-01T12:00:00Z".parse().unwrap();
        let found = windows(Range::default(), &TimeZone::UTC, now, false).unwrap();
        assert_eq!(found, [Windows { end: at("2025-10-28T00:00:00Z"), length: 24 * HOUR, count: 401 }]);
        assert_eq!(found[0].last(), at("2026-12-02T00:00:00Z"));
        assert!(windows(Range { since: Some(0), until: None }, &TimeZone::UTC, now, true).is_none());
        let after = Range { since: Some(at("2026-12-05T00:00:00Z")), until: None };
        assert_eq!(windows(after, &TimeZone::UTC, now, false), Some(Vec::new()));
    }

    #[test]
    fn times_have_the_names_that_reports_show() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let named = |dimension| time(dimension, at("2026-11-28T23:30:00Z"), &zone).unwrap();
        let all = [Dimension::Hour, Dimension::Day, Dimension::Week, Dimension::Month, Dimension::Weekday];
        assert_eq!(all.map(named), ["2026-11-29T00", "2026-11-29", "2026-W48", "2026-11", "7"]);
    }
}
