//! Secrets in the kernel's keyring. It is the user's own keyring, so the entry has a unique name.

use std::io::Write;
use std::process::{Output, Stdio};

use crate::support::sandbox::{Sandbox, text};

/// Removes an entry even if the test fails.
struct Entry<'a> {
    sandbox: &'a Sandbox,
    name: String,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        drop(self.run(&["secret", "remove", &self.name], ""));
    }
}

impl Entry<'_> {
    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.sandbox.ccrun(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }
}

#[test]
#[ignore = "needs the kernel's keyrings; scripts/test.sh runs it"]
fn an_entry_is_stored_used_and_removed() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.config/ccrun/config.toml", "keyring = \"keyutils\"\n");
    let name = format!("test/{}", sandbox.home().parent().unwrap().file_name().unwrap().display());
    sandbox.profile("mine", format!("[env]\nKEY = {{ keyring = \"{name}\" }}\n"));
    let entry = Entry { sandbox: &sandbox, name };
    let name = entry.name.as_str();
    let variable = || sandbox.run(["-p", "mine", "sh", "-c", "echo $KEY"]);
    let missing = format!("the keyring's {name} does not exist: `ccrun secret set {name}` stores it\n");
    assert!(text(&variable().stderr).ends_with(&missing));

    for secret in ["sk-1", "sk-2"] {
        let output = entry.run(&["secret", "set", name], secret);
        assert_eq!(text(&output.stdout), format!("stored `{name}`\n"), "{}", text(&output.stderr));
        // Also with a different session keyring.
        let output = variable();
        assert_eq!(text(&output.stdout), format!("{secret}\n"), "{}", text(&output.stderr));
    }
    let output = sandbox.run(["secret", "list"]);
    let table = text(&output.stdout);
    let row = table.lines().find(|line| line.contains(name)).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), [name, "yes", "mine"]);
    assert_eq!(text(&output.stderr), "ccrun: the keyring cannot list its other entries\n");

    assert_eq!(text(&entry.run(&["secret", "remove", name], "").stdout), format!("removed `{name}`\n"));
    assert_eq!(text(&entry.run(&["secret", "remove", name], "").stderr), format!("ccrun: {missing}"));
    assert!(text(&variable().stderr).ends_with(&missing));
}

#[test]
#[ignore = "needs the kernel's keyrings; scripts/test.sh runs it"]
fn an_entry_is_found_from_every_session() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.config/ccrun/config.toml", "keyring = \"keyutils\"\n");
    let name = format!("test/{}/sessions", sandbox.home().parent().unwrap().file_name().unwrap().display());
    sandbox.profile("mine", format!("[env]\nKEY = {{ keyring = \"{name}\" }}\n"));
    let entry = Entry { sandbox: &sandbox, name };
    let name = entry.name.as_str();
    let variable = || text(&sandbox.run(["-p", "mine", "sh", "-c", "echo $KEY"]).stdout);
    // Stores an entry with keyctl, with the same description and in the same keyring as every version of `ccrun`.
    let add = format!("keyctl add user 'ccrun:{name}' sk-0 $(keyctl get_persistent @s)");
    let added = sandbox.command("keyctl").args(["session", "-", "sh", "-c", &add]).output().unwrap();
    assert!(added.status.success(), "{}", text(&added.stderr));
    assert_eq!(variable(), "sk-0\n");
    for secret in ["sk-1", "sk-2"] {
        let set = format!("echo {secret} | keyctl session - ccrun secret set {name}");
        let output = sandbox.command("sh").args(["-c", &set]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(variable(), format!("{secret}\n"));
    }
    let remove = ["session", "-", "ccrun", "secret", "remove", name];
    assert!(sandbox.command("keyctl").args(remove).output().unwrap().status.success());
    assert_eq!(variable(), "\n");
}
