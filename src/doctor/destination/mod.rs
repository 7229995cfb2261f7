//! Checks each destination of the profile by sending it a real record, and explains its answer.
//!
//! `ask` has the effects. `cause` and `words` are pure: what an answer means, and how to say it. `elsewhere` searches
//! for the endpoint that the profile may have meant.

mod ask;
mod cause;
mod certificate;
mod elsewhere;
pub(super) mod record;
mod reply;
mod words;

pub(super) use ask::{Probe, probe_all};
pub(super) use cause::Cause;
pub use record::MARK;

use super::{Check, Finding, Group, Subject};

pub(super) const CHECKS: &[Check] = &[
    Check { id: "destination.export", group: Group::Destination, look: export },
    Check { id: "destination.certificate", group: Group::Destination, look: certificate },
];

/// What each destination answers to a marked record sent with its credentials.
fn export(subject: &Subject) -> Vec<Finding> {
    subject.probes().iter().flat_map(words::findings).collect()
}

/// Destinations whose certificate expires soon.
fn certificate(subject: &Subject) -> Vec<Finding> {
    let now = subject.now().as_second().cast_unsigned();
    subject.probes().iter().filter_map(|probe| certificate::finding(probe, now)).collect()
}
