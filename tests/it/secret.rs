//! `ccrun secret` without a keyring, or with one that never answers.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use crate::support::sandbox::{Sandbox, text};

#[test]
fn names_are_listed_without_a_keyring() {
    let sandbox = Sandbox::new();
    let oauth2 =
        "{ oauth2 = { token_url = \"https://t\", client_id = \"i\", client_secret = { keyring = \"client\" } } }";
    let headers =
        format!("{oauth2}\nheaders.b = {{ basic = {{ user = \"u\", password = {{ keyring = \"pass\" }} }} }}");
    sandbox.profile("other", format!("[destination.d]\nendpoint = \"https://h\"\nheaders.a = {headers}\n"));
    sandbox.profile("mine", "[env]\nKEY = [{ env = \"KEY\" }, { keyring = \"my key\" }]\n");
    let output = sandbox.run(["secret", "list"]);
    assert_eq!(output.status.code(), Some(1));
    let (table, complaint) = (text(&output.stdout), text(&output.stderr));
    let row = table.lines().find(|line| line.contains("my key")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["my", "key", "?", "mine"]);
    for name in ["client", "pass"] {
        assert!(table.lines().any(|line| line.contains(name) && line.contains("other")), "{table}");
    }
    assert!(complaint.starts_with("ccrun: the keyring is unavailable: there is no session bus: "), "{complaint}");
    assert!(complaint.contains("`keyring = \"keyutils\"` in ~/.config/ccrun/config.toml"), "{complaint}");

    let output = sandbox.run(["secret", "list", "--json"]);
    let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let entry = serde_json::json!({ "name": "my key", "there": null, "profiles": ["mine"] });
    assert!(list.contains(&entry), "{list:?}");
}

#[test]
fn the_projects_file_is_listed_once_it_is_trusted() {
    let sandbox = Sandbox::new();
    sandbox.write("project/.ccrun.toml", "[env]\nKEY = { keyring = \"theirs\" }\n");
    assert!(!text(&sandbox.run(["secret", "list"]).stdout).contains("theirs"));
    assert!(sandbox.run(["trust", "--yes"]).status.success());
    let table = text(&sandbox.run(["secret", "list"]).stdout);
    assert!(table.lines().any(|line| line.contains("theirs") && line.contains(".ccrun.toml")), "{table}");
}

#[test]
fn a_hanging_bus_does_not_prevent_the_start() {
    let mut sandbox = Sandbox::new();
    let socket = sandbox.home().with_file_name("bus");
    // The listener never answers.
    let _listener = UnixListener::bind(&socket).unwrap();
    sandbox.set("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", socket.display()));
    sandbox.profile("mine", "[env]\nKEY = { keyring = \"team/key\" }\n");
    let output = sandbox.run(["-p", "mine", "echo", "started"]);
    assert_eq!(text(&output.stdout), "started\n");
    let complaint = text(&output.stderr);
    assert!(complaint.contains("the keyring's team/key is unavailable: the keyring does not answer"), "{complaint}");
}

/// Both commands say what they are waiting for while they wait.
#[test]
fn a_hanging_bus_is_named_while_waiting() {
    let mut sandbox = Sandbox::new();
    let socket = sandbox.home().with_file_name("bus");
    let _listener = UnixListener::bind(&socket).unwrap();
    sandbox.set("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", socket.display()));
    let destination = "[destination.d]\nendpoint = \"https://h\"\nheaders.a = { keyring = \"team/key\" }\n";
    sandbox.profile("mine", destination);
    for (words, what) in [
        (&["secret", "list"][..], "the keyring"),
        (&["secret", "remove", "team/key"], "the keyring"),
        (&["secret", "set", "team/key"], "the keyring"),
        (&["headers", "-p", "mine"], "the keyring's team/key"),
    ] {
        let mut child = sandbox.ccrun(words).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"sk-1\n").unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, format!("ccrun: waiting for {what}; press Ctrl-C to stop\n"), "{words:?}");
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn secrets_are_never_arguments_and_names_are_checked() {
    let sandbox = Sandbox::new();
    let refusal = sandbox.run(["secret", "set", "name", "sk-1"]);
    assert_eq!(refusal.status.code(), Some(2));
    let long = "x".repeat(256);
    for name in ["", "a\nb", " a", &long] {
        for verb in ["set", "remove"] {
            let refusal = sandbox.run(["secret", verb, name]);
            assert_eq!(refusal.status.code(), Some(2), "{name:?}: {}", text(&refusal.stderr));
        }
    }
    // Stdin is empty.
    let refusal = sandbox.run(["secret", "set", "name"]);
    assert_eq!(text(&refusal.stderr), "ccrun: nothing was stored: the secret is empty\n");
}

#[test]
fn secret_is_disabled_inside_claude() {
    let mut sandbox = Sandbox::new();
    sandbox.set("CLAUDECODE", "1");
    for words in [&["secret", "list"][..], &["secret", "set", "a"], &["secret", "remove", "a"]] {
        let refusal = sandbox.run(words);
        assert_eq!((refusal.status.code(), text(&refusal.stdout)), (Some(1), String::new()));
        assert!(text(&refusal.stderr).contains("`secret` is disabled inside a Claude session"));
    }
}
