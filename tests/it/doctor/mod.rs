//! `ccrun doctor`: a healthy system gives no warning, and each injected fault is reported with its cause.

mod faults;
mod shown;

use std::process::Output;

use serde_json::Value;

use crate::support::sandbox::{Sandbox, text};

/// A healthy system, with a Claude Code version that has no known faults.
pub fn healthy() -> Sandbox {
    let sandbox = Sandbox::new();
    claude(&sandbox, "echo '2.1.332 (Claude Code)'");
    sandbox
}

/// Installs a Claude Code that runs this script.
pub fn claude(sandbox: &Sandbox, script: &str) {
    sandbox.program("claude", &format!("#!/bin/sh\n{script}\n"));
}

/// The findings in doctor's JSON output.
#[track_caller]
pub fn findings(output: &Output) -> Vec<Value> {
    let report: Result<Value, _> = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|_| panic!("{} {}", text(&output.stdout), text(&output.stderr)));
    report["findings"].as_array().unwrap().clone()
}

/// The findings that are not ok, without those about a missing destination, which tests do not have.
pub fn troubles(findings: &[Value]) -> Vec<Value> {
    let is_one = |finding: &&Value| finding["level"] != "ok" && finding["group"] != "destination";
    findings.iter().filter(is_one).cloned().collect()
}

/// Checks that this finding is among the others.
#[track_caller]
pub fn found(output: &Output, id: &str, level: &str, says: &[&str], fix: &str) {
    let findings = findings(output);
    let of_it: Vec<_> = findings.iter().filter(|finding| finding["id"] == id).collect();
    let is_it = |finding: &&Value| {
        let said = finding.to_string();
        finding["level"] == level && says.iter().all(|part| said.contains(part)) && said.contains(fix)
    };
    assert!(of_it.iter().any(is_it), "no finding with {level}, {says:?}, {fix:?}: {of_it:#?}");
}

/// Checks that this is the only problem.
#[track_caller]
pub fn diagnosed(output: &Output, id: &str, level: &str, says: &[&str], fix: &str) {
    let all = findings(output);
    let troubles = troubles(&all);
    let (of_it, others): (Vec<_>, Vec<_>) = troubles.iter().partition(|finding| finding["id"] == id);
    assert!(others.is_empty(), "expected only {id}, also found {others:#?}");
    let [finding] = of_it.as_slice() else { panic!("expected one finding of {id}: {all:#?}") };
    let lines: Vec<_> = finding["details"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let said = format!("{}\n{}", finding["summary"].as_str().unwrap(), lines.join("\n"));
    for part in says {
        assert!(said.contains(part), "`{part}` is missing from {finding:#}");
    }
    let remedy = finding["fix"].as_str().unwrap_or_default();
    assert!(remedy.contains(fix), "`{fix}` is missing from {finding:#}");
    assert_eq!(finding["level"], level, "{finding:#}");
    let fails = all.iter().any(|finding| finding["level"] == "failed");
    assert_eq!(output.status.code(), Some(i32::from(fails)));
}
