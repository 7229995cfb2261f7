//! Secrets in the kernel's keyring. It is the user's own, and so the entry has a name that nobody else has.

use std::io::Write;
use std::process::{Output, Stdio};

use crate::support::sandbox::{Sandbox, text};

/// Removes an entry, whatever has become of the test.
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
    let missing = format!("the keyring's {name} is not there: `ccrun secret set {name}` stores it\n");
    assert!(text(&variable().stderr).ends_with(&missing));

    for secret in ["sk-1", "sk-2"] {
        let output = entry.run(&["secret", "set", name], secret);
        assert_eq!(text(&output.stdout), format!("stored `{name}`\n"), "{}", text(&output.stderr));
        // Whatever keyrings a process was started with.
        let output = variable();
        assert_eq!(text(&output.stdout), format!("{secret}\n"), "{}", text(&output.stderr));
    }
    let output = sandbox.run(["secret", "list"]);
    let table = text(&output.stdout);
    let row = table.lines().find(|line| line.contains(name)).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), [name, "yes", "mine"]);
    assert_eq!(text(&output.stderr), "ccrun: the keyring does not tell which other entries it has\n");

    assert_eq!(text(&entry.run(&["secret", "remove", name], "").stdout), format!("removed `{name}`\n"));
    assert_eq!(text(&entry.run(&["secret", "remove", name], "").stderr), format!("ccrun: {missing}"));
    assert!(text(&variable().stderr).ends_with(&missing));
}
