//! The whole way, tried: a session as a launch here would begin it, what it emits, and the destinations'
//! acknowledgement, as the store has it afterwards.
//!
//! The launch is one of `ccrun` itself, by its own command line, so that nothing of the way is left out.

mod model;
mod session;
mod verdict;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Finding, Group, Reported, Subject};
use crate::launch;

/// How long a session may take at least; the rest of fifteen seconds is for the checks before, and for stopping it.
const SHORTEST: Duration = Duration::from_secs(9);

/// The longest that a session may take. Beyond it a clock may overflow.
const LONGEST: Duration = Duration::from_hours(1);

/// How long Claude Code may take to say whether somebody is logged in.
const LOGIN: Duration = Duration::from_secs(5);

/// Variables by which a profile brings its own way to a model.
const GATEWAYS: [&str; 6] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_VERTEX",
];

/// Whose telemetry is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Client {
    /// Claude Code's, which asks a model: that costs tokens.
    Claude,
    /// Claude Code's, which asks a stand-in on this machine, with an invented key and a home of its own.
    StandIn,
    /// Marked records of our own, for this reason.
    Own(&'static str),
}

impl Client {
    /// The one there is. Without one that is logged in, and without a program at all, it is our own. Asking Claude Code
    /// for its login may take five seconds, or `time` if that is more.
    pub fn choose(subject: &Subject, is_offline: bool, time: Duration) -> Self {
        let Ok(path) = launch::find(OsStr::new("claude"), &subject.surroundings, launch::is_shim) else {
            return Self::Own("there is no Claude Code here");
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

/// Tries it. The session may take nine seconds, or `time` if that is more; stopping one that takes longer takes two.
pub fn run(subject: &Subject, client: &Client, time: Duration) -> Vec<Reported> {
    let findings = match &subject.profile {
        Err(_) => vec![Finding::failed("there is no session to try: the profile is not valid")],
        Ok(resolved) if resolved.profile.collector.direct => vec![
            Finding::ok(
                "not tried: the profile is for the direct mode, in which nobody here hears of an acknowledgement",
            )
            .detail("what the destination itself says is under `destination`"),
        ],
        Ok(_) => tried(subject, client, time.clamp(SHORTEST, LONGEST)),
    };
    let report = |finding| Reported { id: "live.way", group: Group::Live, finding };
    findings.into_iter().map(report).collect()
}

fn tried(subject: &Subject, client: &Client, time: Duration) -> Vec<Finding> {
    let begun = Instant::now();
    match session::run(subject, client, begun + time) {
        Ok(ran) => verdict::findings(subject, client, &ran, begun.elapsed()),
        Err(error) => vec![Finding::failed(format!("no session could be tried: {error:#}"))],
    }
}
