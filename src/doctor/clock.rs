//! This machine's clock against those of the destinations, as their answers tell the time.

use super::{Check, Finding, Group, Subject};

pub(super) const CHECKS: &[Check] = &[Check { id: "machine.clock", group: Group::Machine, look: clock }];

/// From how many seconds on a difference is spoken of: what identity providers and gateways allow a token's times
/// (RFC 7519, 4.1.4, "no more than a few minutes"; most take one), and what shifts a board of the last minutes.
const NOTABLE: u64 = 60;

/// From how many seconds on it fails: backends refuse records that are more than ten minutes ahead (Loki, Mimir), and
/// AWS' signatures hold for fifteen.
const TOO_MUCH: u64 = 15 * 60;

fn clock(subject: &Subject) -> Vec<Finding> {
    finding(subject.asked().iter().filter_map(|asked| asked.ahead)).into_iter().collect()
}

/// What to say of the servers' clocks, each by so many seconds ahead of ours. If one of them agrees with us the others
/// are wrong.
fn finding(ahead: impl Iterator<Item = i64>) -> Option<Finding> {
    let ahead = ahead.min_by_key(|ahead| ahead.unsigned_abs())?;
    let by = ahead.unsigned_abs();
    if by < NOTABLE {
        return Some(Finding::ok("the clock agrees with the destinations'"));
    }
    let minutes = (by + 30) / 60;
    let (by_minutes, side) = match (minutes, ahead > 0) {
        (1, true) => ("1 minute".to_owned(), "behind"),
        (1, false) => ("1 minute".to_owned(), "ahead of"),
        (_, true) => (format!("{minutes} minutes"), "behind"),
        (_, false) => (format!("{minutes} minutes"), "ahead of"),
    };
    let summary = format!("this machine's clock is {by_minutes} {side} what the destinations' say");
    let finding = if by < TOO_MUCH { Finding::warning(summary) } else { Finding::failed(summary) };
    Some(
        finding
            .detail("tokens and certificates seem expired or not valid yet, records are refused or stand at the wrong time")
            .fix("let the machine set its clock by the network: `timedatectl set-ntp true`; on macOS `sudo sntp -sS time.apple.com`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn what_differs_by_minutes_is_said() {
        let said = |ahead: &[i64]| finding(ahead.iter().copied()).map(|found| (found.level, found.summary));
        assert_eq!(said(&[]), None);
        let cases = [
            (&[0][..], Level::Ok, "agrees"),
            (&[-59], Level::Ok, "agrees"),
            (&[60], Level::Warning, "1 minute behind"),
            (&[-240], Level::Warning, "4 minutes ahead of"),
            (&[-900], Level::Failed, "15 minutes ahead of"),
            (&[7200, 3], Level::Ok, "agrees"),
        ];
        for (ahead, expected, words) in cases {
            let (level, summary) = said(ahead).unwrap();
            assert!(level == expected && summary.contains(words), "{ahead:?} {summary}");
        }
    }
}
