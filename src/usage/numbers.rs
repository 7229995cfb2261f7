//! Amounts as a person reads them.

/// The longest bar, in characters.
const LONGEST_BAR: i64 = 16;

/// What of a character is filled, in eighths.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

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

/// Exact up to a million, then `1.23 M`: three digits tell enough where many numbers stand side by side.
pub(super) fn short(number: i64) -> String {
    match number {
        ..1_000_000 => exact(number),
        1_000_000..1_000_000_000 => format!("{} M", hundredths(number / 10_000)),
        _ => format!("{} G", hundredths(number / 10_000_000)),
    }
}

/// Billionths of a US dollar, to the cent; what is less than one, to the hundredth of a cent.
pub(super) fn dollars(billionths: i64) -> String {
    const CENT: i64 = 10_000_000;
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

/// A bar as long as the share, in eighths of a character; nothing is nothing, and anything at all is seen.
pub(super) fn bar(amount: i64, most: i64) -> String {
    if amount <= 0 || most <= 0 {
        return String::new();
    }
    let eighths = i128::from(amount) * i128::from(LONGEST_BAR * 8) / i128::from(most);
    let eighths = usize::try_from(eighths.max(1)).unwrap_or_default();
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// Whether a character is part of a bar.
pub(super) fn is_bar(character: char) -> bool {
    ('\u{2588}'..='\u{258f}').contains(&character)
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
    fn dollars_are_rounded_to_what_matters() {
        let costs = [0, 1, 7_659_800, 9_999_999, 10_000_000, 159_958_800, 1_234_567_000_000, i64::MAX];
        let shown = ["$0.00", "$0.0000", "$0.0077", "$0.0100", "$0.01", "$0.16", "$1,234.57", "$9,223,372,036.85"];
        assert_eq!(costs.map(dollars), shown);
    }

    #[test]
    fn durations_show_two_units() {
        assert_eq!([0, 547, 61_000, 3_720_000].map(duration), ["0s", "1s", "1m 01s", "1h 02m"]);
    }

    #[test]
    fn bars_show_shares_and_never_hide_something() {
        assert_eq!([bar(0, 5), bar(1, 1_000_000), bar(1, 2)], ["", "▏", "████████"]);
        assert_eq!(bar(i64::MAX, i64::MAX).chars().count(), 16);
    }
}
