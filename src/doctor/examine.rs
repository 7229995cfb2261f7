//! Runs all checks at once, within the time limit.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use serde::Serialize;

use super::{Check, Finding, Group, Subject};

/// A finding, and the check that reported it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reported {
    /// The check's name.
    pub id: &'static str,
    /// The group that it is shown in.
    pub group: Group,
    /// What it found.
    #[serde(flatten)]
    pub finding: Finding,
}

/// Runs each check on its own thread and returns the findings in the order of the checks. A check that is not done by
/// the subject's deadline is abandoned, because a hanging file system would hold up everything. The process exits
/// without it.
pub fn examine(subject: &Arc<Subject>, checks: impl IntoIterator<Item = &'static Check>) -> Vec<Reported> {
    let checks: Vec<_> = checks.into_iter().collect();
    let (sender, receiver) = mpsc::channel();
    for (at, check) in checks.iter().copied().enumerate() {
        let (subject, sender) = (Arc::clone(subject), sender.clone());
        let look = move || drop(sender.send((at, (check.look)(&subject))));
        // A check without a thread is reported as timed out.
        drop(thread::Builder::new().name(check.id.to_owned()).spawn(look));
    }
    drop(sender);
    let mut found: Vec<Option<Vec<Finding>>> = vec![None; checks.len()];
    let left = || subject.deadline.saturating_duration_since(Instant::now());
    while let Ok((at, findings)) = receiver.recv_timeout(left()) {
        found[at] = Some(findings);
    }
    let mut reported = Vec::new();
    for (check, findings) in checks.into_iter().zip(found) {
        let findings = findings.unwrap_or_else(|| vec![unfinished(check)]);
        let named = |finding| Reported { id: check.id, group: check.group, finding };
        reported.extend(findings.into_iter().map(named));
    }
    reported
}

fn unfinished(check: &Check) -> Finding {
    Finding::warning(format!("check `{}` timed out", check.id))
        .fix("run doctor again; a file system or server may be hanging")
}

#[cfg(test)]
mod tests {
    use super::*;

    static CHECKS: [Check; 3] = [
        Check {
            id: "a.hangs",
            group: Group::Program,
            look: |_| loop {
                thread::park();
            },
        },
        Check { id: "b.nothing", group: Group::Profile, look: |_| Vec::new() },
        Check { id: "c.two", group: Group::Store, look: |_| vec![Finding::ok("one"), Finding::failed("two")] },
    ];

    #[test]
    fn a_hanging_check_is_reported_and_does_not_delay_others() {
        let directory = tempfile::tempdir().unwrap();
        let mut subject = Subject::below(directory.path());
        subject.deadline = Instant::now() + std::time::Duration::from_millis(300);
        let found = examine(&Arc::new(subject), &CHECKS);
        let said: Vec<_> = found.iter().map(|one| (one.id, one.finding.summary.as_str())).collect();
        let late = "check `a.hangs` timed out";
        assert_eq!(said, [("a.hangs", late), ("c.two", "one"), ("c.two", "two")]);
    }
}
