//! Where telemetry goes: what each destination of the profile says to a real record, and why.
//!
//! `ask` has the effects, `cause` and `words` are pure: what an answer means, and what to say of it. `elsewhere` looks
//! for what the profile may have meant.

mod ask;
mod cause;
mod certificate;
mod elsewhere;
pub(super) mod record;
mod words;

pub(super) use ask::{Asked, ask_all};
pub use record::MARK;

use super::{Check, Finding, Group, Subject};

pub(super) const CHECKS: &[Check] = &[
    Check { id: "destination.export", group: Group::Destination, look: export },
    Check { id: "destination.certificate", group: Group::Destination, look: certificate },
];

/// What each destination makes of a marked record, sent with its credentials.
fn export(subject: &Subject) -> Vec<Finding> {
    subject.asked().iter().flat_map(words::findings).collect()
}

/// Whose certificate ends soon.
fn certificate(subject: &Subject) -> Vec<Finding> {
    let now = jiff::Timestamp::now().as_second().cast_unsigned();
    subject.asked().iter().filter_map(|asked| certificate::finding(asked, now)).collect()
}
