//! Times as people write them.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::{Span, Timestamp, ToSpan, Zoned};

/// The accepted forms.
const FORMS: &str = "write 2026-01-31, \"2026-01-31 14:30\", today, yesterday, monday, 7d or 12h";

/// The end of a range that a time specifies. A day means its start in `Since`, and its end in `Until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The first moment.
    Since,
    /// The last.
    Until,
}

/// The time that a text means, in Unix milliseconds: a date, a date and time, the name of a day, or how long ago.
pub fn moment(text: &str, end: End, now: &Zoned) -> Result<i64, String> {
    let fault = || format!("`{text}` is not a time: {FORMS}");
    if let Some(day) = day(text, now) {
        let day = if end == End::Until { day.tomorrow().map_err(|_| fault())? } else { day };
        let start = day.to_zoned(now.time_zone().clone()).map_err(|_| fault())?;
        return checked(text, start.timestamp(), end, now);
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return checked(text, timestamp, end, now);
    }
    if let Ok(time) = text.parse::<DateTime>() {
        let zoned = time.to_zoned(now.time_zone().clone()).map_err(|_| fault())?;
        return checked(text, zoned.timestamp(), end, now);
    }
    let span: Span = text.parse().map_err(|_| fault())?;
    let then = now.checked_sub(span.abs()).map_err(|_| fault())?;
    Ok(then.timestamp().as_millisecond())
}

/// Rejects a start in the future, because there is no usage after now.
fn checked(text: &str, moment: Timestamp, end: End, now: &Zoned) -> Result<i64, String> {
    if end == End::Since && moment > now.timestamp() {
        return Err(format!("`{text}` lies in the future"));
    }
    Ok(moment.as_millisecond())
}

fn day(text: &str, now: &Zoned) -> Option<Date> {
    let today = now.date();
    match text.to_lowercase().as_str() {
        "today" => Some(today),
        "yesterday" => today.yesterday().ok(),
        // Parsing only the date would lose a time.
        text if text.len() == 10 => text.parse().ok(),
        name => {
            let weekday = weekday(name)?;
            (0..7).filter_map(|days| today.checked_sub(days.days()).ok()).find(|day| day.weekday() == weekday)
        }
    }
}

fn weekday(name: &str) -> Option<Weekday> {
    let names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let index = names.iter().position(|full| *full == name || full[..3] == *name)?;
    Weekday::from_monday_zero_offset(i8::try_from(index).ok()?).ok()
}

/// A current period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Current {
    Today,
    Week,
    Month,
    Year,
}

impl Current {
    /// The start of the period, and of the previous one.
    pub fn begins(self, now: &Zoned) -> (Zoned, Zoned) {
        let today = now.date();
        let since_monday = i64::from(today.weekday().to_monday_zero_offset());
        let (start, before) = match self {
            Self::Today => (today, 1.day()),
            Self::Week => (today.saturating_sub(since_monday.days()), 1.week()),
            Self::Month => (today.first_of_month(), 1.month()),
            Self::Year => (today.first_of_year(), 1.year()),
        };
        let at = |day: Date| day.to_zoned(now.time_zone().clone()).unwrap_or_else(|_| now.clone());
        (at(start), at(start.saturating_sub(before)))
    }

    /// The end of the period, which is the start of the next one.
    pub fn ends(self, now: &Zoned) -> Zoned {
        let start = self.begins(now).0.date();
        let length = match self {
            Self::Today => 1.day(),
            Self::Week => 1.week(),
            Self::Month => 1.month(),
            Self::Year => 1.year(),
        };
        start.saturating_add(length).to_zoned(now.time_zone().clone()).unwrap_or_else(|_| now.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Zoned {
        "2026-03-10T12:00[Europe/Berlin]".parse().unwrap()
    }

    fn at(text: &str, end: End) -> Result<String, String> {
        moment(text, end, &now()).map(|moment| Timestamp::from_millisecond(moment).unwrap().to_string())
    }

    #[test]
    fn moments_are_parsed_from_dates_times_names_and_durations() {
        let since = [
            ("2026-03-01", "2026-02-28T23:00:00Z"),
            ("2026-03-01 23:00", "2026-03-01T22:00:00Z"),
            ("2026-03-01T23:00", "2026-03-01T22:00:00Z"),
            ("2026-03-01T23:00:00Z", "2026-03-01T23:00:00Z"),
            ("yesterday", "2026-03-08T23:00:00Z"),
            ("monday", "2026-03-08T23:00:00Z"),
            ("tue", "2026-03-09T23:00:00Z"),
            ("7d", "2026-03-03T11:00:00Z"),
            ("1s", "2026-03-10T10:59:59Z"),
        ];
        for (text, expected) in since {
            assert_eq!(at(text, End::Since).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(at("yesterday", End::Until).as_deref(), Ok("2026-03-09T23:00:00Z"), "all of the day");
        assert!(at("yesterweek", End::Since).unwrap_err().contains("write 2026-01-31"));
        assert!(at("2026-03-10 23:00", End::Since).unwrap_err().contains("in the future"));
    }

    #[test]
    fn periods_begin_with_calendar_days_weeks_and_months() {
        let begins = |current: Current| {
            let (start, before) = current.begins(&now());
            (start.date().to_string(), before.date().to_string())
        };
        assert_eq!(begins(Current::Today), ("2026-03-10".into(), "2026-03-09".into()));
        assert_eq!(begins(Current::Week), ("2026-03-09".into(), "2026-03-02".into()));
        assert_eq!(begins(Current::Month), ("2026-03-01".into(), "2026-02-01".into()));
        assert_eq!(begins(Current::Year), ("2026-01-01".into(), "2025-01-01".into()));
    }
}
