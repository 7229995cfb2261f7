//! Each fault for real, and what is said of it.

#[path = "faults/credentials.rs"]
mod credentials;
#[path = "faults/environment.rs"]
mod environment;
#[path = "faults/profile.rs"]
mod profile;
#[path = "faults/program.rs"]
mod program;
#[path = "faults/settings.rs"]
mod settings;

use super::{diagnosed, healthy};
use crate::support::sandbox::{Sandbox, closed_port};

/// A fault: its name for whoever reads a failure, what makes it, the options that doctor gets, and what it has to say.
struct Fault {
    name: &'static str,
    inject: fn(&mut Sandbox),
    options: &'static [&'static str],
    id: &'static str,
    level: &'static str,
    says: &'static [&'static str],
    fix: &'static str,
}

/// Makes each fault in a system that is healthy otherwise.
#[track_caller]
fn all_are_named(faults: &[Fault]) {
    for fault in faults {
        let mut sandbox = healthy();
        (fault.inject)(&mut sandbox);
        let output = sandbox.run(["doctor", "--json"].iter().chain(fault.options));
        let said = std::panic::catch_unwind(|| diagnosed(&output, fault.id, fault.level, fault.says, fault.fix));
        assert!(said.is_ok(), "the fault is: {}", fault.name);
    }
}

/// A profile `team` with a destination to which nothing is sent, and this besides.
fn team(sandbox: &Sandbox, rest: &str) {
    sandbox.profile("team", format!("[destination.backend]\nendpoint = \"http://127.0.0.1:9\"\n{rest}"));
}

fn user_settings(sandbox: &Sandbox, json: &str) {
    sandbox.write("home/.claude/settings.json", json);
}
