//! A destination's secret exists only in the profile and in the collector's memory.

use std::path::Path;

use super::{complete, profile};
use crate::support::backend::Backend;
use crate::support::claude::{Client, USAGE, finish, pid};
use crate::support::sandbox::{DEADLINE, cmdline, environ, pids};
use ccrun::doctor::live::model::Script;

/// No other process on the machine has this value.
const SECRET: &str = "sk-destination-secret-4f1c";

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn no_secret_and_no_token_is_visible_to_other_processes() {
    let look = "cat /proc/self/environ > \"$HOME/environ\"; ps -A -o args > \"$HOME/ps\"";
    let (backend, client) = (Backend::start(), Client::new(Script::text("done").usage(USAGE).bash(look).stalling()));
    let headers = format!("[destination.backend.headers]\nAuthorization = \"Bearer {SECRET}\"\n");
    client.profile("team", profile(&backend, "http/protobuf") + &headers);
    let child = client.stall(&["-p", "team"], "a question");
    let token = client.token();

    // The session is running: claude, its collector, and the files written so far.
    assert!(holds(&environ(pid(&child)), &token), "the search finds the token in claude's environment");
    for pid in pids() {
        assert!(!holds(&environ(pid), SECRET), "the environment of {pid}");
        assert!(!holds(&cmdline(pid), SECRET) && !holds(&cmdline(pid), &token), "the arguments of {pid}");
    }
    for collector in client.collectors() {
        assert!(!holds(&environ(collector), &token), "the environment of the collector");
    }
    let tool = std::fs::read(client.home().join("environ")).unwrap();
    assert!(holds(&tool, "CCRUN_SESSION=") && !holds(&tool, SECRET) && !holds(&tool, &token));
    let ps = std::fs::read(client.home().join("ps")).unwrap();
    assert!(holds(&ps, "collector") && !holds(&ps, SECRET) && !holds(&ps, &token));
    assert_eq!(files_with(&client.state(), SECRET), [""; 0]);

    client.model.release();
    let output = finish(child);
    assert!(output.status.success());
    assert!(!holds(&output.stdout, SECRET) && !holds(&output.stderr, SECRET));
    let received = backend.wait_for(|received| complete(received, client.questions()), DEADLINE);
    assert!(received.iter().all(|received| received.header("authorization") == format!("Bearer {SECRET}")));
    // The backend may belong to someone else, so it must not get the session's token.
    assert!(!received.iter().any(|received| holds(&received.body, &token)));

    for words in [["report", "--json"], ["queue", "status"]] {
        let output = client.run(words);
        assert!(
            output.status.success() && !holds(&output.stdout, SECRET) && !holds(&output.stdout, &token),
            "{words:?}"
        );
    }
    client.wait_for_end();
    assert_eq!(files_with(&client.home(), SECRET), ["team.toml"]);
    assert_eq!(files_with(&client.home(), &token), [""; 0]);
}

/// Verbs that change profiles or trust or reveal a secret, with the file that each would create.
const REFUSED: [&str; 12] = [
    "profile new other --extends team",
    "profile add added.toml --yes",
    "profile edit team",
    "trust --yes",
    "untrust",
    "env -p team --format shell --reveal",
    "secret set team/key",
    "secret list",
    "secret remove team/key",
    "queue purge --yes",
    "queue flush -p team --to backend",
    "headers -p team",
];

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn claudes_own_shell_is_refused() {
    // Checks each verb's exit code and message, because these are what a prompt-injected shell gets.
    let tries: Vec<_> = REFUSED
        .iter()
        .enumerate()
        .map(|(number, verb)| format!("ccrun {verb} > ~/out-{number} 2> ~/err-{number}; echo $? > ~/code-{number}"))
        .collect();
    let script = Script::text("done").usage(USAGE).bash(tries.join("; "));
    let (backend, mut client) = (Backend::start(), Client::new(script));
    client.set("KEY", SECRET);
    client.write("project/added.toml", "[vars]\na = \"b\"\n");
    client.write("project/.ccrun.toml", "profile = \"team\"\n");
    let headers = "[destination.backend.headers]\nx-key = { env = \"KEY\" }\n";
    client.profile("team", profile(&backend, "http/protobuf") + headers);
    let output = client.claude(&["-p", "team"], ["-p", "a question", "--allowedTools", "Bash"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = |name: String| std::fs::read_to_string(client.home().join(name)).unwrap();
    for (number, verb) in REFUSED.iter().enumerate() {
        let words = said(format!("err-{number}"));
        assert_eq!(said(format!("code-{number}")), "1\n", "{verb}: {words}");
        assert!(words.lines().count() == 1 && words.contains("inside a Claude session"), "{verb}: {words}");
        assert_eq!(said(format!("out-{number}")), "", "{verb}");
    }
    assert!(!client.state().join("trust").exists());
    let profiles = std::fs::read_dir(client.home().join(".config/ccrun/profiles")).unwrap().count();
    assert_eq!(profiles, 1, "no file was written");
    client.wait_for_end();
    assert_eq!(files_with(&client.home(), SECRET), [""; 0]);
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The names of the files below a directory that contain the text.
fn files_with(directory: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        // A file may disappear between listing and reading.
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            found.extend(files_with(&entry.path(), text));
        } else if kind.is_file() && holds(&std::fs::read(entry.path()).unwrap_or_default(), text) {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found
}
