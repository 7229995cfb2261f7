//! Amounts for people.

/// `1,234,567`
pub(super) fn exact(number: i64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Exact up to a million, then `1.23 M`. Three digits are enough where many numbers are shown side by side.
pub(super) fn short(number: i64) -> String {
    match number {
        ..1_000_000 => exact(number),
        1_000_000..1_000_000_000 => format!("{} M", hundredths(number / 10_000)),
        _ => format!("{} G", hundredths(number / 10_000_000)),
    }
}

/// Billionths of a US dollar, rounded to the cent, or to the hundredth of a cent for amounts below one cent.
pub fn dollars(billionths: i64) -> String {
    const CENT: i64 = 10_000_000;
    if (1..CENT / 200).contains(&billionths) {
        return "<$0.0001".to_owned();
    }
    if (1..CENT).contains(&billionths) {
        let parts = (billionths + CENT / 200) / (CENT / 100);
        return format!("$0.{parts:04}");
    }
    format!("${}", hundredths(billionths.saturating_add(CENT / 2) / CENT))
}

/// Milliseconds as `1h 02m`, `3m 04s` or `5s`.
pub(super) fn duration(milliseconds: i64) -> String {
    let seconds = milliseconds.saturating_add(500) / 1000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
        (hours, minutes, _) => format!("{}h {minutes:02}m", exact(hours)),
    }
}

/// A share of one as a whole percentage. Less than all is never shown as 100%.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 99.0 && percent < 100.0 { format!("{:.1}%", percent.min(99.9)) } else { format!("{percent:.0}%") }
}

/// The relative change from an earlier number. Empty if the earlier number is zero, or nothing changed.
pub(super) fn change(now: i64, before: i64) -> String {
    if before <= 0 || now == before {
        return String::new();
    }
    let change = (crate::usage::to_double(now) / crate::usage::to_double(before) - 1.0) * 100.0;
    match change {
        ..0.0 => format!("−{:.0}%", -change),
        0.0..1000.0 => format!("+{change:.0}%"),
        _ => format!("{:.0}×", change / 100.0 + 1.0),
    }
}

/// One row of a vertical bar, in eighths; `row` counts from the bottom. Any positive amount is visible.
pub(super) fn upright(amount: i64, most: i64, rows: i64, row: i64) -> &'static str {
    const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    if amount <= 0 || most <= 0 {
        return EIGHTHS[0];
    }
    let eighths = i128::from(amount) * i128::from(rows * 8) / i128::from(most);
    let here = eighths.max(1) - i128::from(row * 8);
    EIGHTHS[usize::try_from(here.clamp(0, 8)).unwrap_or_default()]
}

fn hundredths(number: i64) -> String {
    format!("{}.{:02}", exact(number / 100), number % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_shortened() {
        assert_eq!([0, 999, 1000, 1_234_567].map(exact), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([999_999, 1_234_567, 12_345_678_901].map(short), ["999,999", "1.23 M", "12.34 G"]);
    }

    #[test]
    fn small_dollar_amounts_have_more_digits() {
        let costs = [0, 1, 7_659_800, 9_999_999, 10_000_000, 159_958_800, 1_234_567_000_000, i64::MAX];
        let shown = ["$0.00", "<$0.0001", "$0.0077", "$0.0100", "$0.01", "$0.16", "$1,234.57", "$9,223,372,036.85"];
        assert_eq!(costs.map(dollars), shown);
    }

    #[test]
    fn durations_show_two_units() {
        assert_eq!([0, 547, 61_000, 3_720_000].map(duration), ["0s", "1s", "1m 01s", "1h 02m"]);
    }

    #[test]
    fn shares_are_not_rounded_to_all_and_large_changes_are_factors() {
        assert_eq!([0.0, 0.504, 0.996, 0.9999, 1.0].map(percent), ["0%", "50%", "99.6%", "99.9%", "100%"]);
        assert_eq!(
            [change(3, 2), change(1, 2), change(5, 0), change(2, 2), change(50, 2)],
            ["+50%", "−50%", "", "", "25×"]
        );
    }

    #[test]
    fn bars_grow_by_eighths_and_show_the_smallest_amount() {
        let drawn = |amount| [0, 1].map(|row| upright(amount, 16, 2, row));
        assert_eq!([0, 4, 8, 12, 16].map(drawn), [[" ", " "], ["▄", " "], ["█", " "], ["█", "▄"], ["█", "█"]]);
        assert_eq!(upright(1, i64::MAX, 3, 0), "▁");
    }
}
