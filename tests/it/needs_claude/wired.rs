//! A Claude Code that `ccrun` does not start, with a profile in its own settings.

use super::complete;
use crate::support::backend::Backend;
use crate::support::claude::{Client, USAGE, finish};
use crate::support::sandbox::{DEADLINE, text};
use crate::support::telemetry::items;
use ccrun::doctor::live::model::Script;

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_wired_claude_exports_with_headers_that_ccrun_fetches() {
    let backend = Backend::start();
    let mut client = Client::new(Script::text("the answer").usage(USAGE));
    client.set("TEAM_TOKEN", "sk-team");
    let settings = client.write("home/.claude/settings.json", "{\n  \"includeCoAuthoredBy\": false\n}\n");
    client.profile(
        "team",
        format!(
            "team.id = \"platform\"\n[destination.d]\nendpoint = \"{}\"\n\
             headers.Authorization = {{ env = \"TEAM_TOKEN\", format = \"Bearer {{}}\" }}\n",
            backend.endpoint()
        ),
    );
    let before = std::fs::read(&settings).unwrap();
    assert!(client.run(["wire", "claude", "-p", "team"]).status.success());
    let ask = || finish(client.command("claude").args(["-p", "a question"]).spawn().unwrap());
    let output = ask();
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("the answer\n".to_owned(), String::new()));
    let received = backend.wait_for(|received| complete(received, client.questions()), DEADLINE);
    for request in &received {
        assert_eq!(request.header("authorization"), "Bearer sk-team");
    }
    assert!(items(&received).iter().all(|item| item.resource["team.id"] == "platform"));
    assert!(client.run(["unwire", "claude"]).status.success());
    assert_eq!(std::fs::read(&settings).unwrap(), before);
    backend.clear();
    ask();
    assert!(backend.received().is_empty());
}
