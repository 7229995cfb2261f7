//! The values of keys: durations, amounts, percentages and words.

use jiff::{Span, SpanRelativeTo};

use crate::profile::tree::Value;

/// Parses a duration. A day is 24 hours.
pub(crate) fn duration(text: &str) -> Option<std::time::Duration> {
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    let duration = std::time::Duration::try_from(duration).ok()?;
    (!duration.is_zero()).then_some(duration)
}

/// The largest amount, in US dollars.
const MAXIMUM_AMOUNT: f64 = 1e9;

/// An amount in US dollars above zero, in billionths.
pub(crate) fn amount(value: &Value) -> Option<i64> {
    let dollars = match value {
        #[expect(clippy::cast_precision_loss, reason = "the allowed amounts are exact")]
        Value::Integer(dollars) => *dollars as f64,
        Value::Float(dollars) => *dollars,
        _ => return None,
    };
    let is_valid = dollars > 0.0 && dollars <= MAXIMUM_AMOUNT;
    #[expect(clippy::cast_possible_truncation, reason = "checked")]
    let billionths = is_valid.then(|| (dollars * 1e9).round() as i64);
    billionths.filter(|billionths| *billionths > 0)
}

/// The largest percentage of a budget at which to warn.
pub(super) const MAXIMUM_PERCENTAGE: u16 = 1000;

/// A percentage of a budget.
pub(crate) fn percentage(value: &Value) -> Option<u16> {
    let Value::Integer(percent) = value else { return None };
    u16::try_from(*percent).ok().filter(|percent| (1..=MAXIMUM_PERCENTAGE).contains(percent))
}

/// Words in TOML syntax, for a choice.
pub(crate) fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
}

/// The known word nearest to `written`, if it is near enough to be a likely typo.
pub(crate) fn guess<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|word| (strsim::jaro_winkler(written, word), *word));
    scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested() {
        assert_eq!(guess("endpont", &["endpoint", "protocol"]), Some("endpoint"));
        assert_eq!(guess("zebra", &["endpoint", "protocol"]), None);
    }

    #[test]
    fn durations_are_above_zero() {
        assert_eq!(duration("1m 30s"), Some(std::time::Duration::from_secs(90)));
        for bad in ["", "0s", "-1s", "soon", "1"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
