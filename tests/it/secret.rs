//! `ccrun secret` where there is no keyring, or none that answers.

use std::os::unix::net::UnixListener;

use crate::support::sandbox::{Sandbox, text};

#[test]
fn without_a_keyring_names_are_listed_all_the_same() {
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
    assert!(complaint.starts_with("ccrun: the keyring cannot be asked for, there is no session bus: "), "{complaint}");
    assert!(complaint.contains("`keyring = \"keyutils\"` in config.toml"), "{complaint}");

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
fn a_bus_that_never_answers_keeps_no_program_from_starting() {
    let mut sandbox = Sandbox::new();
    let socket = sandbox.home().with_file_name("bus");
    // What connects is never spoken to.
    let _listener = UnixListener::bind(&socket).unwrap();
    sandbox.set("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", socket.display()));
    sandbox.profile("mine", "[env]\nKEY = { keyring = \"team/key\" }\n");
    let output = sandbox.run(["-p", "mine", "echo", "started"]);
    assert_eq!(text(&output.stdout), "started\n");
    let complaint = text(&output.stderr);
    assert!(complaint.contains("the keyring's team/key cannot be had: the keyring does not answer"), "{complaint}");
}

#[test]
fn no_secret_is_an_argument_and_no_name_is_strange() {
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
    // Nothing is on stdin.
    let refusal = sandbox.run(["secret", "set", "name"]);
    assert_eq!(text(&refusal.stderr), "ccrun: nothing was stored: the secret is empty\n");
}

#[test]
fn nothing_of_it_works_inside_claude() {
    let mut sandbox = Sandbox::new();
    sandbox.set("CLAUDECODE", "1");
    for words in [&["secret", "list"][..], &["secret", "set", "a"], &["secret", "remove", "a"]] {
        let refusal = sandbox.run(words);
        assert_eq!((refusal.status.code(), text(&refusal.stdout)), (Some(1), String::new()));
        assert!(text(&refusal.stderr).contains("`secret` does nothing inside a session of Claude's"));
    }
}
