//! A destination's secret stays in the profile and in the collector's memory.

use std::path::Path;

use super::{complete, profile};
use crate::support::backend::Backend;
use crate::support::claude::{Client, USAGE, finish, pid};
use crate::support::model::Script;
use crate::support::sandbox::{DEADLINE, cmdline, environ, pids};

/// In no other process of the machine.
const SECRET: &str = "sk-destination-secret-4f1c";

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn no_secret_and_no_token_is_where_others_look() {
    let look = "cat /proc/self/environ > \"$HOME/environ\"; ps -A -o args > \"$HOME/ps\"";
    let (backend, client) = (Backend::start(), Client::new(Script::text("done").usage(USAGE).bash(look).stalling()));
    let headers = format!("[destination.backend.headers]\nAuthorization = \"Bearer {SECRET}\"\n");
    client.profile("team", profile(&backend, "http/protobuf") + &headers);
    let child = client.stall(&["-p", "team"], "a question");
    let token = client.token();

    // The session runs: claude, its collector, and what it has written until now.
    assert!(holds(&environ(pid(&child)), &token), "the look would find what there is");
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
    // The backend is another's: the way here must not stand in what it gets.
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

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The names of the files below a directory that hold the text.
fn files_with(directory: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        // A file may go between the listing and the reading.
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            found.extend(files_with(&entry.path(), text));
        } else if kind.is_file() && holds(&std::fs::read(entry.path()).unwrap_or_default(), text) {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found
}
