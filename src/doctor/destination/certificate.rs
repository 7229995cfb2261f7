//! A certificate that ends soon: whoever should renew it may not know yet.

use jiff::Timestamp;

use super::ask::Asked;
use crate::client::Good;
use crate::doctor::Finding;

/// How long before its end a certificate is spoken of, in seconds: a week, by when one of three months, which is renewed
/// a month ahead, should have been.
const SOON: u64 = 7 * DAY;

/// A day, in seconds.
const DAY: u64 = 24 * 60 * 60;

/// What is to be said of a destination's certificate. `now` is in Unix seconds.
pub(super) fn finding(asked: &Asked, now: u64) -> Option<Finding> {
    let good = asked.certificate?;
    let name = &asked.destination.name;
    let until = i64::try_from(good.until).ok().and_then(|second| Timestamp::from_second(second).ok())?;
    let until = until.strftime("%Y-%m-%d").to_string();
    if !is_soon(good, now) {
        return Some(Finding::ok(format!("`{name}`: the certificate is good until {until}")));
    }
    let days = good.until.saturating_sub(now) / DAY;
    let left = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
    let summary = format!("`{name}`: the certificate ends on {until}, in {left}");
    let fix = format!("whoever runs {} has to renew it before: nothing is delivered after that day", asked.way);
    Some(Finding::warning(summary).fix(fix))
}

/// Whether it should have been renewed by now. Certificates of a few days are renewed within days.
fn is_soon(good: Good, now: u64) -> bool {
    let (lasts, left) = (good.until.saturating_sub(good.since), good.until.saturating_sub(now));
    left < SOON.min(lasts / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soon_is_a_week_or_a_quarter_of_its_life() {
        let cases = [(90, 8, false), (90, 6, true), (6, 3, false), (6, 1, true), (365, 6, true), (365, 30, false)];
        for (lasts, left, expected) in cases {
            let now = 1000 * DAY;
            let good = Good { since: now + (left * DAY) - lasts * DAY, until: now + left * DAY };
            assert_eq!(is_soon(good, now), expected, "{lasts} {left}");
        }
    }
}
