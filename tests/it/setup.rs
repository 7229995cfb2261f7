//! `ccrun setup` with options only, as in a script. It changes everything or nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::backend::{Backend, Reply};
use crate::support::sandbox::{Sandbox, closed_port, kill, text, wait_until};

/// The user's files with their contents, except those that a test session leaves.
fn files(sandbox: &Sandbox) -> BTreeMap<PathBuf, Vec<u8>> {
    fn look(directory: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            if entry.path().is_dir() {
                look(&entry.path(), found);
            } else {
                found.insert(entry.path(), std::fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    look(&sandbox.home(), &mut found);
    found.retain(|path, _| !path.starts_with(sandbox.state()));
    found
}

fn endpoint(backend: &Backend) -> String {
    format!("endpoint={}", backend.endpoint())
}

#[test]
fn the_backends_are_listed_with_a_note_that_none_is_needed() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(["setup"]);
    let listed = text(&output.stdout);
    for (backend, word) in
        [("signoz ", "SigNoz Cloud"), ("prometheus ", "Prometheus 3"), ("otlp ", "Any OTLP receiver")]
    {
        assert!(
            listed.lines().any(|line| line.trim_start().starts_with(backend) && line.contains(word)),
            "{backend}: {listed}"
        );
    }
    assert!(!listed.contains("\n local ") && listed.contains("`ccrun claude` works without a\nbackend"), "{listed}");
    let output = sandbox.run(["setup", "sygnoz"]);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("there is no backend `sygnoz`: axiom, "), "{said}");
}

#[test]
fn a_backend_is_set_up_tested_and_made_the_default() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.set("SHELL", "/bin/bash").set("OTLP_TOKEN", "not needed");
    sandbox.write("home/.config/ccrun/config.toml", "# mine\noff = false\n");
    let variable = endpoint(&backend);
    let words = ["setup", "otlp", "--name", "work", "--var", &variable, "--default", "--alias"];
    let output = sandbox.run(words);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    assert!(
        said.contains("wrote ~/.config/ccrun/profiles/work.toml") && said.ends_with("done: run `ccrun claude`\n"),
        "{said}"
    );
    assert!(!backend.received().is_empty(), "the backend is tested");
    let config = std::fs::read_to_string(sandbox.home().join(".config/ccrun/config.toml")).unwrap();
    assert_eq!(config, "profile = \"work\"\n# mine\noff = false\n");
    let rc = std::fs::read_to_string(sandbox.home().join(".bashrc")).unwrap();
    assert!(rc.starts_with("eval \"$('") && rc.ends_with("/bin/ccrun' init bash)\"  # ccrun\n"), "{rc}");
    // A launch now uses the new profile.
    let shown = text(&sandbox.run(["profile", "list", "--json"]).stdout);
    let listed: Vec<serde_json::Value> = serde_json::from_str(&shown).unwrap();
    assert!(listed.iter().any(|one| one["name"] == "work" && one["default"] == true), "{shown}");

    let again = sandbox.run(words);
    let said = text(&again.stderr);
    assert!(again.status.code() == Some(1) && said.contains("`--replace` overwrites it"), "{said}");
    let replaced = sandbox.run([&words[..], &["--replace"]].concat());
    assert!(replaced.status.success() && text(&replaced.stdout).contains("already has the alias"));
    // The installer removes the same line.
    let installer = concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh");
    let prefix = sandbox.home().parent().unwrap().display().to_string();
    let output = sandbox.command("sh").args([installer, "--uninstall", "--prefix", &prefix]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_to_string(sandbox.home().join(".bashrc")).unwrap(), "");
}

#[test]
fn missing_answers_are_reported_and_nothing_is_changed() {
    let mut sandbox = Sandbox::new();
    let before = files(&sandbox);
    let output = sandbox.run(["setup", "signoz"]);
    let said = text(&output.stderr);
    assert!(said.contains("`region` is required: `--var region=VALUE` (your SigNoz region: us, eu or in)"), "{said}");
    // Without a keyring, it suggests another way.
    let output = sandbox.run(["setup", "signoz", "--var", "region=eu"]);
    let said = text(&output.stderr);
    assert!(said.contains("the keyring") && said.contains("set SIGNOZ_INGESTION_KEY to the key"), "{said}");
    let output = sandbox.run(["setup", "signoz", "--name", "a/b", "--var", "region=eu"]);
    assert!(text(&output.stderr).contains("`a/b` is not a valid profile name"));
    assert_eq!(files(&sandbox), before);
    sandbox.set("CLAUDECODE", "1");
    assert!(text(&sandbox.run(["setup", "otlp"]).stderr).contains("is disabled inside a Claude session"));
}

#[test]
fn a_failed_test_undoes_all_changes() {
    let mut sandbox = Sandbox::new();
    sandbox.set("HONEYCOMB_API_KEY", "key-7391");
    let before = files(&sandbox);
    let closed = format!("endpoint=http://127.0.0.1:{}", closed_port());
    let output = sandbox.run(["setup", "honeycomb", "--var", &closed, "--default"]);
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.code() == Some(1) && said.contains("all changes were undone"), "{shown}{said}");
    assert!(shown.contains("failed") && !shown.contains("7391") && !said.contains("7391"), "{shown}{said}");
    assert_eq!(files(&sandbox), before);

    // A backend that rejects the key reports it.
    let backend = Backend::start();
    for _ in 0..4 {
        backend.reply(Reply::http(401, "who are you?"));
    }
    let output = sandbox.run(["setup", "honeycomb", "--var", &endpoint(&backend)]);
    let shown = text(&output.stdout);
    assert!(output.status.code() == Some(1) && shown.contains("who are you?"), "{shown}");
    assert_eq!(files(&sandbox), before);

    let output = sandbox.run(["setup", "honeycomb", "--var", &closed, "--no-try"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(sandbox.home().join(".config/ccrun/profiles/honeycomb.toml").exists());
}

#[test]
fn an_interrupt_undoes_all_changes() {
    let mut sandbox = Sandbox::new();
    sandbox.set("HONEYCOMB_API_KEY", "key-7391");
    let backend = Backend::start();
    for _ in 0..8 {
        backend.reply(Reply::hang());
    }
    let before = files(&sandbox);
    let mut child = sandbox.ccrun(["setup", "honeycomb", "--var", &endpoint(&backend), "--default"]).spawn().unwrap();
    wait_until("the test to start", || !backend.received().is_empty());
    kill(i32::try_from(child.id()).unwrap(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(files(&sandbox), before);
}
