//! `ccrun wrap` around the real Claude Code, as an editor's extension and Claude Code itself start it.

use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::background::{job, stop};
use super::{complete, profile};
use crate::support::backend::Backend;
use crate::support::claude::{Client, USAGE, finish};
use crate::support::code::Code;
use crate::support::sandbox::{DEADLINE, text};
use crate::support::telemetry::items;
use ccrun::doctor::live::model::Script;

/// The options with which an extension starts it.
const STREAM_JSON: [&str; 6] = ["--output-format", "stream-json", "--verbose", "--input-format", "stream-json", "-p"];

/// A client with two profiles, a backend for each, and the link.
fn client() -> (Client, [Backend; 2], PathBuf) {
    let client = Client::new(Script::text("the answer").usage(USAGE));
    let backends = [Backend::start(), Backend::start()];
    for (name, backend) in ["editor", "project"].into_iter().zip(&backends) {
        client.profile(name, profile(backend, "http/protobuf"));
    }
    let link = wrapper(&client);
    (client, backends, link)
}

/// A link to ccrun by the name under which an extension runs it.
pub(super) fn wrapper(client: &Client) -> PathBuf {
    let link = client.home().join("ccrun-wrap");
    symlink(client.home().join("../bin/ccrun"), &link).unwrap();
    link
}

/// A conversation with Claude Code, as an extension has it.
pub(super) struct Conversation {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Conversation {
    /// Runs a wrapper with the client's Claude Code.
    pub(super) fn start(mut wrapper: Command, client: &Client) -> Self {
        wrapper.arg(client.home().join("../bin/claude"));
        Self::of(wrapper)
    }

    /// Runs Claude Code.
    fn of(mut command: Command) -> Self {
        let mut child = command.args(STREAM_JSON).stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, stdin, lines }
    }

    /// Everything that it prints about a question, up to the result.
    pub(super) fn messages(&mut self, question: &str) -> Vec<String> {
        let message = json!({"type": "user", "message": {"role": "user", "content": question}});
        writeln!(self.stdin, "{message}").unwrap();
        let mut messages: Vec<String> = Vec::new();
        while messages.last().is_none_or(|last| result(last).is_none()) {
            messages.push(self.lines.next().unwrap().unwrap());
        }
        messages
    }

    /// The answer to a question.
    pub(super) fn ask(&mut self, question: &str) -> String {
        result(self.messages(question).last().unwrap()).unwrap()
    }

    /// The end of stdin ends the conversation, with nothing more on stdout and nothing on stderr.
    pub(super) fn end(self) {
        drop(self.stdin);
        assert_eq!(self.lines.count(), 0);
        let output = finish(self.child);
        assert_eq!((text(&output.stderr).as_str(), output.status.code()), ("", Some(0)));
    }
}

/// The result in a line, if it is one.
fn result(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).unwrap();
    (line["type"] == "result").then(|| line["result"].as_str().unwrap_or_default().to_owned())
}

/// Asks two questions, the second after the first answer, and returns both answers.
fn converse(command: Command) -> Vec<String> {
    let mut conversation = Conversation::of(command);
    let answers = ["a question", "another"].map(|question| conversation.ask(question));
    conversation.end();
    answers.into()
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn an_extension_in_an_editors_session_has_its_own_session_and_pipes() {
    let (client, [of_editor, of_project], link) = client();
    let code = Code::new(&client, "code");
    code.open(&["-p", "editor"], "a");
    client.write("project/a/.ccrun.toml", "profile = \"project\"\n");
    let window = code.window("a");
    assert!(window.command("ccrun").args(["trust", "--yes"]).status().unwrap().success());
    let claude = client.home().join("../bin/claude");
    let mut wrapped = window.command(&link);
    wrapped.arg(&claude);
    assert_eq!(converse(wrapped), ["the answer", "the answer"]);
    let received = of_project.wait_for(|received| complete(received, client.questions()), DEADLINE);
    let sessions: Vec<_> = items(&received).iter().map(|item| item.resource["ccrun.session"].clone()).collect();
    assert!(sessions.iter().all(|session| *session == sessions[0] && session != window.session()));
    assert!(of_editor.received().is_empty());

    // Without the wrapper, the same belongs to the editor's session.
    let asked = client.questions();
    assert_eq!(converse(window.command(&claude)), ["the answer", "the answer"]);
    let received = of_editor.wait_for(|received| complete(received, client.questions() - asked), DEADLINE);
    assert!(items(&received).iter().all(|item| item.resource["ccrun.session"] == window.session()));
    code.ask("--close", "a");
    client.wait_for_end();
}

/// Claude Code starts its background service and its jobs through a wrapper from its configuration.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn the_background_service_also_runs_through_the_wrapper() {
    let (mut client, [_, of_project], _) = client();
    client.settle_in();
    // Claude Code resolves a link, and under the binary's real name this would be an ordinary launch.
    let wrapper = json!([client.home().parent().unwrap().join("bin/ccrun"), "wrap"]);
    client.set("CLAUDE_CODE_PROCESS_WRAPPER", wrapper.to_string());
    let output = finish(client.claude(&["-p", "project"], ["--bg", "a question"]).spawn().unwrap());
    assert!(output.status.success(), "{output:?}");
    let job = job(&output);
    let received = of_project.wait_for(|received| complete(received, 1), DEADLINE);
    assert!(!received.is_empty());
    // The job keeps its original arguments, and neither the service nor its parts are sessions.
    let sessions: Value = serde_json::from_slice(&client.run(["sessions", "--all", "--json"]).stdout).unwrap();
    assert_eq!(sessions.as_array().unwrap().len(), 1, "{sessions:#?}");
    stop(&client, &job);
    client.wait_for_end();
}
