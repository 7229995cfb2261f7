//! The real Claude Code through `ccrun`, with a stand-in model.

mod backends;
mod background;
mod budget;
mod budgets;
mod content;
mod definitions;
mod demo;
mod direct;
mod doctor_live;
mod doctor_program;
mod endings;
mod failures;
mod identity;
mod import;
mod inherited;
mod live;
mod print;
mod profiles;
mod refused;
mod rollout;
mod secrets;
mod sessions;
mod settings;
mod subcommands;
mod tmux;
mod usage;
mod wired;
mod wrap;

use crate::support::backend::{Backend, Received};
use crate::support::telemetry::{events, has_metric};

/// A team profile with one destination.
fn profile(backend: &Backend, protocol: &str) -> String {
    format!(
        "[team]\nid = \"platform\"\n[destination.backend]\nbatch = \"1ms\"\nendpoint = \"{}\"\nprotocol = \"{protocol}\"\n",
        backend.endpoint()
    )
}

/// Whether the events and metrics of this many model requests have arrived.
fn complete(received: &[Received], requests: usize) -> bool {
    let by_events = events(received, "api_request").len() == requests;
    by_events && has_metric(received, "token.usage") && has_metric(received, "session.count")
}
