//! The week or month that the page is about, in the reader's time zone.

use jiff::civil::{Date, ISOWeekDate, Weekday};
use jiff::{Span, ToSpan, Zoned};

use crate::report::query::Range;
use crate::report::range::{Current, End, moment};

/// The accepted forms.
const FORMS: &str = "write 2026-W48, 2026-11, 2026-11-23, last, monday or 7d";

/// A calendar week (ISO 8601) or month.
#[derive(Clone, Debug, PartialEq)]
pub struct Period {
    /// Whether it is a month.
    pub is_month: bool,
    /// Its first moment.
    pub start: Zoned,
    /// The first moment after it.
    pub end: Zoned,
    /// The time of the report.
    pub now: Zoned,
}

impl Period {
    /// The period that a text means: its name, a day in it, `last`, or how long ago; by default the current one.
    pub fn parse(when: Option<&str>, is_month: bool, now: &Zoned) -> Result<Self, String> {
        let Some(text) = when else { return Ok(Self::around(now.date(), is_month, now)) };
        let fault = || format!("`{text}` is not a week or month: {FORMS}");
        let (day, is_month) = if let Some(monday) = week(text) {
            if is_month {
                return Err(format!("`{text}` is a week: leave out `--month`"));
            }
            (monday, false)
        } else if let Some(first) = month(text) {
            (first, true)
        } else if text.eq_ignore_ascii_case("last") {
            (Self::around(now.date(), is_month, now).before().date(), is_month)
        } else {
            let at = moment(text, End::Since, now).map_err(|_| fault())?;
            let at = jiff::Timestamp::from_millisecond(at).map_err(|_| fault())?;
            (at.to_zoned(now.time_zone().clone()).date(), is_month)
        };
        if day > now.date() {
            return Err(format!("`{text}` lies in the future"));
        }
        Ok(Self::around(day, is_month, now))
    }

    /// The period that a day lies in.
    fn around(day: Date, is_month: bool, now: &Zoned) -> Self {
        let noon = day.at(12, 0, 0, 0).to_zoned(now.time_zone().clone()).unwrap_or_else(|_| now.clone());
        let current = if is_month { Current::Month } else { Current::Week };
        let start = current.begins(&noon).0;
        let mut period = Self { is_month, end: start.clone(), start, now: now.clone() };
        period.end = period.at(period.start.date().saturating_add(period.span()));
        period
    }

    /// The start of a day.
    pub(super) fn at(&self, day: Date) -> Zoned {
        day.to_zoned(self.now.time_zone().clone()).unwrap_or_else(|_| self.now.clone())
    }

    fn span(&self) -> Span {
        if self.is_month { 1.month() } else { 1.week() }
    }

    /// The first moment of the period before.
    pub(super) fn before(&self) -> Zoned {
        self.at(self.start.date().saturating_sub(self.span()))
    }

    /// Its name: 2026-W48 or 2026-11.
    pub fn name(&self) -> String {
        let day = self.start.date();
        let week = day.iso_week_date();
        if self.is_month {
            day.strftime("%Y-%m").to_string()
        } else {
            format!("{:04}-W{:02}", week.year(), week.week())
        }
    }

    /// `week` or `month`.
    pub fn noun(&self) -> &'static str {
        if self.is_month { "month" } else { "week" }
    }

    /// Whether it is not over.
    pub fn is_running(&self) -> bool {
        self.now < self.end
    }

    /// Its last day.
    pub fn last_day(&self) -> Date {
        self.end.date().yesterday().unwrap_or(self.end.date())
    }

    /// All of it.
    pub fn range(&self) -> Range {
        range(&self.start, &self.end)
    }

    /// The period before, as far as this one has come.
    pub(super) fn range_before(&self) -> Range {
        let before = self.before();
        let point = self.now.checked_sub(self.span()).unwrap_or_else(|_| self.now.clone());
        range(&before, if self.is_running() && point < self.start { &point } else { &self.start })
    }
}

/// The range from one moment to another.
pub(super) fn range(from: &Zoned, to: &Zoned) -> Range {
    Range { since: Some(from.timestamp().as_millisecond()), until: Some(to.timestamp().as_millisecond()) }
}

/// The Monday of a week written as 2026-W48.
fn week(text: &str) -> Option<Date> {
    let (year, week) = text.split_once("-W").or_else(|| text.split_once("-w"))?;
    let week = ISOWeekDate::new(year.parse().ok()?, week.parse().ok()?, Weekday::Monday).ok()?;
    Some(week.date())
}

/// The first day of a month written as 2026-11.
fn month(text: &str) -> Option<Date> {
    let (year, month) = text.split_once('-').filter(|(year, month)| (year.len(), month.len()) == (4, 2))?;
    Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(when: Option<&str>, is_month: bool) -> Result<(String, String, String), String> {
        let now = "2026-03-31T15:00[Europe/Berlin]".parse().unwrap();
        let period = Period::parse(when, is_month, &now)?;
        Ok((period.name(), period.start.date().to_string(), period.last_day().to_string()))
    }

    fn names(when: &str, is_month: bool) -> String {
        found(Some(when), is_month).unwrap().0
    }

    #[test]
    fn a_week_is_the_iso_week_of_the_readers_time_zone() {
        let week = ("2026-W14".into(), "2026-03-30".into(), "2026-04-05".into());
        assert_eq!(found(None, false).unwrap(), week);
        assert_eq!(found(None, true).unwrap(), ("2026-03".into(), "2026-03-01".into(), "2026-03-31".into()));
        assert_eq!(names("2026-W01", false), "2026-W01");
        assert_eq!(found(Some("2026-W01"), false).unwrap().1, "2025-12-29");
        for (when, name) in
            [("last", "2026-W13"), ("2026-03-29", "2026-W13"), ("monday", "2026-W14"), ("7d", "2026-W13")]
        {
            assert_eq!(names(when, false), name, "{when}");
        }
        for (when, name) in [("last", "2026-02"), ("2026-02", "2026-02"), ("2026-01-31", "2026-01")] {
            assert_eq!(names(when, true), name, "{when}");
        }
        assert_eq!(names("2026-02", false), "2026-02", "a month by its name needs no option");
    }

    #[test]
    fn what_is_no_period_is_said() {
        assert!(found(Some("2026-W54"), false).unwrap_err().contains("write 2026-W48"));
        assert!(found(Some("nonsense"), false).unwrap_err().contains("write 2026-W48"));
        assert!(found(Some("2026-W15"), false).unwrap_err().contains("in the future"));
        assert!(found(Some("2026-W10"), true).unwrap_err().contains("leave out `--month`"));
    }

    #[test]
    fn a_running_period_is_compared_at_the_same_point() {
        let now: Zoned = "2026-03-31T15:00[Europe/Berlin]".parse().unwrap();
        let until = |when: Option<&str>, is_month| {
            let range = Period::parse(when, is_month, &now).unwrap().range_before();
            let at = |at: Option<i64>| jiff::Timestamp::from_millisecond(at.unwrap()).unwrap().to_string();
            (at(range.since), at(range.until))
        };
        // Summer time began on 29 March: the same point is at the same hour.
        assert_eq!(until(None, false), ("2026-03-22T23:00:00Z".into(), "2026-03-24T14:00:00Z".into()));
        assert_eq!(until(Some("last"), false), ("2026-03-15T23:00:00Z".into(), "2026-03-22T23:00:00Z".into()));
        // February has no 31st day.
        assert_eq!(until(None, true), ("2026-01-31T23:00:00Z".into(), "2026-02-28T14:00:00Z".into()));
    }
}
