//! Times for people.

use std::time::Duration;

use jiff::Timestamp;

/// How far a time is after `now`: `in 13 s`, `in 5 min`, or `now`.
pub fn until(moment: Timestamp, now: Timestamp) -> String {
    let left = Duration::try_from(moment.duration_since(now)).unwrap_or_default();
    match left.as_millis().div_ceil(1000) {
        0 => "now".to_owned(),
        seconds @ 1..100 => format!("in {seconds} s"),
        seconds => format!("in {} min", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_until_a_moment_is_shown() {
        let moment = Timestamp::from_second(1000).unwrap();
        let expected =
            [(0, "in 17 min"), (901, "in 99 s"), (987, "in 13 s"), (999, "in 1 s"), (1000, "now"), (2000, "now")];
        for (now, expected) in expected {
            assert_eq!(until(moment, Timestamp::from_second(now).unwrap()), expected);
        }
    }
}
