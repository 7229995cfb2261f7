//! `ccrun doctor` with the real Claude Code.

use crate::doctor::{findings, found, troubles};
use crate::support::claude::Client;
use crate::support::sandbox::text;
use ccrun::doctor::live::model::Script;

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn doctor_finds_the_real_client_healthy_and_changes_nothing() {
    let client = Client::new(Script::text("hi"));
    let output = client.run(["doctor", "--strict", "--json"]);
    assert_eq!(troubles(&findings(&output)), Vec::<serde_json::Value>::new());
    let version = text(&client.command("claude").arg("--version").output().unwrap().stdout);
    let version = version.split_whitespace().next().unwrap();
    found(&output, "program.version", "ok", &[&format!("its version is {version}")], "");
    found(&output, "settings.gateway", "ok", &["the gateway `http://127.0.0.1:"], "");
    assert!(!client.home().join(".claude.json").exists() && !client.home().join(".claude").exists());
}
