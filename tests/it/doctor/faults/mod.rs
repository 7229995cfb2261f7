//! Each fault, injected for real, and its finding.

mod credentials;
mod environment;
mod profile;
mod program;
mod settings;

use super::{diagnosed, healthy};
use crate::support::sandbox::{Sandbox, closed_port};

/// A fault: its name in a failure message, how to inject it, doctor's options, and the expected finding.
struct Fault {
    name: &'static str,
    inject: fn(&mut Sandbox),
    options: &'static [&'static str],
    id: &'static str,
    level: &'static str,
    says: &'static [&'static str],
    fix: &'static str,
}

/// Injects each fault into an otherwise healthy system, and checks its finding.
#[track_caller]
fn all_are_named(faults: &[Fault]) {
    for fault in faults {
        let mut sandbox = healthy();
        (fault.inject)(&mut sandbox);
        let output = sandbox.run(["doctor", "--json"].iter().chain(fault.options));
        let said = std::panic::catch_unwind(|| diagnosed(&output, fault.id, fault.level, fault.says, fault.fix));
        assert!(said.is_ok(), "fault: {}", fault.name);
    }
}

/// A profile `team` with a destination that no test sends to, and with these settings.
fn team(sandbox: &Sandbox, rest: &str) {
    sandbox.profile("team", format!("[destination.backend]\nendpoint = \"http://127.0.0.1:9\"\n{rest}"));
}

fn user_settings(sandbox: &Sandbox, json: &str) {
    sandbox.write("home/.claude/settings.json", json);
}
