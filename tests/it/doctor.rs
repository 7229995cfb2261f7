//! `ccrun doctor`: a healthy system shows no warning, and each fault, injected for real, is named by its cause.

#[path = "doctor/faults.rs"]
mod faults;
#[path = "doctor/shown.rs"]
mod shown;

use std::process::Output;

use serde_json::Value;

use crate::support::sandbox::{Sandbox, text};

/// What is right unless a test makes it wrong: a Claude Code of a version without known faults.
pub fn healthy() -> Sandbox {
    let sandbox = Sandbox::new();
    claude(&sandbox, "echo '2.1.329 (Claude Code)'");
    sandbox
}

/// A Claude Code that does this.
pub fn claude(sandbox: &Sandbox, script: &str) {
    sandbox.program("claude", &format!("#!/bin/sh\n{script}\n"));
}

/// What it finds.
#[track_caller]
pub fn findings(output: &Output) -> Vec<Value> {
    let report: Result<Value, _> = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|_| panic!("{} {}", text(&output.stdout), text(&output.stderr)));
    report["findings"].as_array().unwrap().clone()
}

/// What of it is not as it should be, but for what is found on the way to a destination that a test does not have.
pub fn troubles(findings: &[Value]) -> Vec<Value> {
    let is_one = |finding: &&Value| finding["level"] != "ok" && finding["group"] != "destination";
    findings.iter().filter(is_one).cloned().collect()
}

/// Asserts that this is among what is found, whatever else is.
#[track_caller]
pub fn found(output: &Output, id: &str, level: &str, says: &[&str], fix: &str) {
    let findings = findings(output);
    let of_it: Vec<_> = findings.iter().filter(|finding| finding["id"] == id).collect();
    let is_it = |finding: &&Value| {
        let said = finding.to_string();
        finding["level"] == level && says.iter().all(|part| said.contains(part)) && said.contains(fix)
    };
    assert!(of_it.iter().any(is_it), "{level} {says:?} {fix:?} is not in {of_it:#?}");
}

/// Asserts that what is wrong is this alone: the check's name, how bad it is, what it says and how it is
/// mended.
#[track_caller]
pub fn diagnosed(output: &Output, id: &str, level: &str, says: &[&str], fix: &str) {
    let all = findings(output);
    let troubles = troubles(&all);
    let (of_it, others): (Vec<_>, Vec<_>) = troubles.iter().partition(|finding| finding["id"] == id);
    assert!(others.is_empty(), "{id} is the cause, and not {others:#?}");
    let [finding] = of_it.as_slice() else { panic!("{id} has to say one thing: {all:#?}") };
    let lines: Vec<_> = finding["details"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let said = format!("{}\n{}", finding["summary"].as_str().unwrap(), lines.join("\n"));
    for part in says {
        assert!(said.contains(part), "`{part}` is not in {finding:#}");
    }
    let mended = finding["fix"].as_str().unwrap_or_default();
    assert!(mended.contains(fix), "`{fix}` is not in {finding:#}");
    assert_eq!(finding["level"], level, "{finding:#}");
    let fails = all.iter().any(|finding| finding["level"] == "failed");
    assert_eq!(output.status.code(), Some(i32::from(fails)));
}
