//! Whether the profile means what its author meant.

use super::{Check, Finding, Group, Subject};
use crate::profile::Diagnostic;

pub(super) const CHECKS: &[Check] = &[Check { id: "profile.valid", group: Group::Profile, look: valid }];

/// Every fault of what was chosen, or what it is.
fn valid(subject: &Subject) -> Vec<Finding> {
    match &subject.profile {
        Ok(resolved) => {
            let profile = &resolved.profile;
            let destinations: Vec<_> = profile.destinations.iter().map(|one| format!("`{}`", one.name)).collect();
            let to = match destinations.as_slice() {
                [] => "records on this machine and sends nothing anywhere".to_owned(),
                all => format!("sends to {}", all.join(", ")),
            };
            vec![Finding::ok(format!("the profile `{}` is valid and {to}", profile.name))]
        }
        Err(faults) => faults.0.iter().map(fault).collect(),
    }
}

/// The line that a fault stands in is shown, as long as no secret can be in it.
fn fault(fault: &Diagnostic) -> Finding {
    let place = fault.origin.as_ref().map(|origin| format!("{origin}: ")).unwrap_or_default();
    let mut finding = Finding::failed(format!("telemetry is off: {place}{}", fault.message));
    if let Some(line) = fault.line() {
        finding = finding.detail(line);
    }
    finding.fix =
        Some(fault.help.clone().unwrap_or_else(|| "mend that line; `ccrun profile check` looks again".into()));
    finding
}
