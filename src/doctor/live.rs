//! The whole way, tried: a session, what it emits, and the destination's acknowledgement.

use super::{Finding, Group, Reported, Subject};

/// Tries it. `offline` wants no model of anybody's.
pub fn run(_subject: &Subject, _offline: bool) -> Vec<Reported> {
    let finding = Finding::warning("this version does not try the whole way yet");
    vec![Reported { id: "live.way", group: Group::Live, finding }]
}
