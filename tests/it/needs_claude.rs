//! The real Claude Code through `ccrun`, with a stand-in for the model.

#[path = "needs_claude/backends.rs"]
mod backends;
#[path = "needs_claude/background.rs"]
mod background;
#[path = "needs_claude/content.rs"]
mod content;
#[path = "needs_claude/demo.rs"]
mod demo;
#[path = "needs_claude/direct.rs"]
mod direct;
#[path = "needs_claude/doctor_live.rs"]
mod doctor_live;
#[path = "needs_claude/doctor_program.rs"]
mod doctor_program;
#[path = "needs_claude/endings.rs"]
mod endings;
#[path = "needs_claude/failures.rs"]
mod failures;
#[path = "needs_claude/inherited.rs"]
mod inherited;
#[path = "needs_claude/print.rs"]
mod print;
#[path = "needs_claude/profiles.rs"]
mod profiles;
#[path = "needs_claude/rollout.rs"]
mod rollout;
#[path = "needs_claude/secrets.rs"]
mod secrets;
#[path = "needs_claude/sessions.rs"]
mod sessions;
#[path = "needs_claude/settings.rs"]
mod settings;
#[path = "needs_claude/subcommands.rs"]
mod subcommands;
#[path = "needs_claude/tmux.rs"]
mod tmux;
#[path = "needs_claude/wired.rs"]
mod wired;
#[path = "needs_claude/wrap.rs"]
mod wrap;

use crate::support::backend::{Backend, Received};
use crate::support::telemetry::{events, has_metric};

/// A profile of a team's with one destination.
fn profile(backend: &Backend, protocol: &str) -> String {
    format!(
        "[team]\nid = \"platform\"\n[destination.backend]\nbatch = \"1ms\"\nendpoint = \"{}\"\nprotocol = \"{protocol}\"\n",
        backend.endpoint()
    )
}

/// Whether events and metrics of this many requests to the model have arrived.
fn complete(received: &[Received], requests: usize) -> bool {
    let by_events = events(received, "api_request").len() == requests;
    by_events && has_metric(received, "token.usage") && has_metric(received, "session.count")
}
