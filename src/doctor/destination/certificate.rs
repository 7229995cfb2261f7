//! Warns of a certificate that expires soon, since its operator may not have noticed.

use jiff::Timestamp;

use super::ask::Probe;
use crate::client::ValidityPeriod;
use crate::doctor::Finding;

/// How long before its expiry a certificate is reported, in seconds: a week. A three-month certificate is normally
/// renewed a month ahead.
const SOON: u64 = 7 * DAY;

/// A day, in seconds.
const DAY: u64 = 24 * 60 * 60;

/// The finding for a destination's certificate. `now` is in Unix seconds.
pub(super) fn finding(probe: &Probe, now: u64) -> Option<Finding> {
    let good = probe.certificate?;
    let name = &probe.destination.name;
    let until = i64::try_from(good.until).ok().and_then(|second| Timestamp::from_second(second).ok())?;
    let until = until.strftime("%Y-%m-%d").to_string();
    if !is_soon(good, now) {
        return Some(Finding::ok(format!("`{name}`: the certificate is valid until {until}")));
    }
    let days = good.until.saturating_sub(now) / DAY;
    let left = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
    let summary = format!("`{name}`: the certificate expires on {until}, in {left}");
    let fix = format!("ask the operator of {} to renew it: nothing can be delivered after that day", probe.way);
    Some(Finding::warning(summary).fix(fix))
}

/// Whether it should have been renewed by now. Short-lived certificates are renewed within days.
fn is_soon(good: ValidityPeriod, now: u64) -> bool {
    let (lasts, left) = (good.until.saturating_sub(good.since), good.until.saturating_sub(now));
    left < SOON.min(lasts / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soon_is_a_week_or_a_quarter_of_the_lifetime() {
        let cases = [(90, 8, false), (90, 6, true), (6, 3, false), (6, 1, true), (365, 6, true), (365, 30, false)];
        for (lasts, left, expected) in cases {
            let now = 1000 * DAY;
            let good = ValidityPeriod { since: now + (left * DAY) - lasts * DAY, until: now + left * DAY };
            assert_eq!(is_soon(good, now), expected, "{lasts} {left}");
        }
    }
}
