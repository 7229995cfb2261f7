//! Compares this machine's clock with those of the destinations, taken from their answers.

use super::{Check, Finding, Group, Subject};

pub(super) const CHECKS: &[Check] = &[Check { id: "machine.clock", group: Group::Machine, look: clock }];

/// A difference from this many seconds on is reported. Identity providers and gateways allow about this much for a
/// token's times (RFC 7519, 4.1.4, "no more than a few minutes"; most allow one), and it visibly shifts dashboards.
const NOTABLE: u64 = 60;

/// A difference from this many seconds on fails. Backends reject records more than ten minutes in the future (Loki,
/// Mimir), and AWS signatures are valid for fifteen.
const TOO_MUCH: u64 = 15 * 60;

fn clock(subject: &Subject) -> Vec<Finding> {
    finding(subject.probes().iter().filter_map(|probe| probe.ahead)).into_iter().collect()
}

/// The finding for server clocks that are each this many seconds ahead of ours. If one of them agrees with ours, the
/// others are wrong.
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
    let summary = format!("this machine's clock is {by_minutes} {side} the destinations'");
    let finding = if by < TOO_MUCH { Finding::warning(summary) } else { Finding::failed(summary) };
    Some(
        finding
            .detail("tokens and certificates may appear expired or not yet valid, and records are rejected or show the wrong time")
            .fix("synchronize the clock: `timedatectl set-ntp true`, or on macOS `sudo sntp -sS time.apple.com`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_difference_of_minutes_is_reported() {
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
