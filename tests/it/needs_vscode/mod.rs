//! The real Claude Code in windows of a real Visual Studio Code, with a stand-in model. Checks what arrives where, and
//! that nothing is left.

mod launched;
mod wired;

use std::collections::BTreeSet;

use crate::support::backend::{Backend, Received};
use crate::support::claude::{Client, USAGE};
use crate::support::sandbox::{text, wait_until};
use crate::support::telemetry::{events, items};
use crate::support::vscode::install;
use ccrun::doctor::live::model::Script;

/// A variable that the user sets in every shell, and therefore in everything that an editor starts.
const BASHRC: &str = "export OTEL_EXPORTER_OTLP_ENDPOINT=";

/// A sandbox with an editor and a team profile.
fn client(team: &Backend) -> Client {
    let mut client = Client::new(Script::text("the answer").usage(USAGE));
    client.profile("team", profile(team, "the team"));
    install(&mut client);
    client
}

fn profile(backend: &Backend, team: &str) -> String {
    format!(
        "[team]\nid = \"{team}\"\n[signals]\nlog_interval = \"500ms\"\n[destination.own]\nbatch = \"1ms\"\nendpoint = \"{}\"\n",
        backend.endpoint()
    )
}

/// The values of a resource attribute in everything that arrived.
fn distinct(received: &[Received], attribute: &str) -> BTreeSet<String> {
    items(received).into_iter().map(|item| item.resource.get(attribute).cloned().unwrap_or_default()).collect()
}

/// The number of prompts and of answered requests that arrived.
fn turns(received: &[Received]) -> (usize, usize) {
    (events(received, "user_prompt").len(), events(received, "api_request").len())
}

/// Checks that no process is running and nothing is queued.
#[track_caller]
fn assert_nothing_is_left(client: &Client) {
    client.wait_for_end();
    wait_until("all processes to exit", || client.processes().is_empty());
    assert!(client.queue().is_empty());
    let off = serde_json::json!({"env": {"CLAUDE_CODE_ENABLE_TELEMETRY": "0"}});
    for file in client.settings() {
        let settings = text(&std::fs::read(&file).unwrap());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&settings).unwrap(), off);
    }
}
