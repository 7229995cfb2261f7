//! Sessions of the real Claude Code that leave telemetry of many kinds.

use std::process::Output;

use serde_json::json;

use super::claude::{Client, USAGE, finish};
use ccrun::doctor::live::model::{Model, Script};

/// The number of sessions that [`work`] runs.
pub const SESSIONS: u32 = 7;

/// A client whose project is a repository with a remote, and in which `gh` pretends to open a pull request.
pub fn client() -> Client {
    let client = Client::new(script());
    client.program("gh", "#!/bin/sh\necho https://github.com/acme/widgets/pull/1\n");
    for words in [
        &["init", "-q", "-b", "main"][..],
        &["config", "user.name", "Ada"],
        &["config", "user.email", "ada@example.com"],
        &["remote", "add", "origin", "https://github.com/acme/widgets.git"],
    ] {
        assert!(client.command("git").args(words).status().unwrap().success(), "{words:?}");
    }
    client
}

fn script() -> Script {
    Script::text("the answer").usage(USAGE)
}

/// Runs sessions with two models, an edit, a commit, a pull request, a failed tool and a failed request.
pub fn work(client: &Client, options: &[&str]) {
    let succeeds = |output: Output| assert!(output.status.success(), "{output:?}");
    let run = |script: Script, arguments: &[&str]| {
        let model = Model::start(script).unwrap();
        let mut command = client.claude(options, [&["-p", "a question"][..], arguments].concat());
        finish(command.env("ANTHROPIC_BASE_URL", model.url()).spawn().unwrap())
    };
    succeeds(run(script(), &[]));
    succeeds(run(script(), &["--model", "haiku"]));
    let file = client.project().join("notes.txt");
    let edit = json!({"file_path": file, "content": "one\ntwo\n"});
    succeeds(run(script().tool("Write", edit), &["--allowedTools", "Write"]));
    let allowed = ["--allowedTools", "Bash"];
    succeeds(run(script().bash("git add --all && git commit -m notes"), &allowed));
    succeeds(run(script().bash("gh pr create --title notes --body notes"), &allowed));
    succeeds(run(script().bash("exit 3"), &allowed));
    // An error that is not repeated.
    assert!(!run(script().failing(400, 9), &[]).status.success());
}
