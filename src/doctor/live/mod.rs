//! Tests the whole path: runs a session as a launch here would, and reads from the store what the destinations
//! acknowledged.
//!
//! The launch runs `ccrun` itself by its own command line, so that the test covers every step.

pub mod model;
mod session;
mod verdict;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Finding, Group, Reported, Subject};
use crate::launch;

/// The minimum time of a session. The rest of fifteen seconds is for the checks before it and for stopping it.
const SHORTEST: Duration = Duration::from_secs(9);

/// The maximum time of a session. Longer times could overflow a clock.
const LONGEST: Duration = Duration::from_hours(1);

/// How long Claude Code may take to report whether it is logged in.
const LOGIN: Duration = Duration::from_secs(5);

/// Variables by which a profile configures its own gateway.
const GATEWAYS: [&str; 6] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_VERTEX",
];

/// The program whose telemetry is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveProgram {
    /// Claude Code with a real model, which costs tokens.
    Claude,
    /// Claude Code with a stand-in for the model on this machine, an invented key, and a temporary home.
    StandIn,
    /// Marked records sent by `ccrun` itself, for this reason.
    Own(&'static str),
}

impl LiveProgram {
    /// Chooses Claude Code if it is installed and logged in, else `ccrun`'s own records. Checking the login may take
    /// five seconds, or `time` if that is more.
    pub fn choose(subject: &Subject, is_offline: bool, time: Duration) -> Self {
        let Ok(path) = launch::find(OsStr::new("claude"), &subject.process, launch::is_shim) else {
            return Self::Own("Claude Code is not installed here");
        };
        match is_offline {
            true => Self::StandIn,
            false if brings_a_model(subject) || is_logged_in(path, time.clamp(LOGIN, LONGEST)) => Self::Claude,
            false => Self::Own("Claude Code is not logged in; with `--offline` a stand-in answers it"),
        }
    }
}

fn brings_a_model(subject: &Subject) -> bool {
    subject.meaning().is_some_and(|profile| GATEWAYS.iter().any(|name| profile.env.contains_key(*name)))
}

fn is_logged_in(claude: PathBuf, time: Duration) -> bool {
    let mut command = Command::new(claude);
    command.args(["auth", "status"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    let status = session::wait(&mut child, Instant::now() + time);
    if status.is_none() {
        drop(child.kill());
        drop(child.wait());
    }
    status.is_some_and(|status| status.success())
}

/// Runs the test. The session may take nine seconds, or `time` if that is more. Stopping a session that takes longer
/// takes two more.
pub fn run(subject: &Subject, client: &LiveProgram, time: Duration) -> Vec<Reported> {
    let findings = match &subject.profile {
        Err(_) => vec![Finding::failed("not tested: the profile is invalid")],
        Ok(resolved) if resolved.profile.collector.direct => vec![
            Finding::ok("not tested: in direct mode ccrun does not see acknowledgements")
                .detail("the destination's own answer is under `destination`"),
        ],
        Ok(_) => tried(subject, client, time.clamp(SHORTEST, LONGEST)),
    };
    let report = |finding| Reported { id: "live.way", group: Group::Live, finding };
    findings.into_iter().map(report).collect()
}

fn tried(subject: &Subject, client: &LiveProgram, time: Duration) -> Vec<Finding> {
    let begun = Instant::now();
    match session::run(subject, client, begun + time) {
        Ok(ran) => verdict::findings(subject, client, &ran, begun.elapsed()),
        Err(error) => vec![Finding::failed(format!("cannot run a test session: {error:#}"))],
    }
}
