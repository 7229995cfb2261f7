//! `install.sh`, with a fake `cargo` that returns the binary under test. `releases` installs archives.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use nix::sys::signal::Signal;

use crate::support::backend::Backend;
use crate::support::emitter::{ids, ids_of};
use crate::support::sandbox::{Sandbox, text};
use crate::support::session::Session;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh");

/// A sandbox with a fake cargo, which builds instantly.
pub fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    let target = sandbox.home().join("target");
    sandbox.set("CARGO_TARGET_DIR", target.to_str().unwrap()).set("SHELL", "/bin/bash");
    let build = format!(
        "#!/bin/sh\ncase $1 in tree | metadata) exec '{1}' \"$@\";; esac\n\
         for word; do case $last in --target) kind=$word;; esac; last=$word; done\n\
         mkdir -p \"$CARGO_TARGET_DIR\"/$kind/release && cp '{0}' \"$CARGO_TARGET_DIR\"/$kind/release\n",
        env!("CARGO_BIN_EXE_ccrun"),
        env!("CARGO"),
    );
    sandbox.program("cargo", &build);
    sandbox
}

/// Runs the installer, and returns its exit code and its output on both streams.
pub fn run(sandbox: &Sandbox, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = sandbox.command("sh").arg(SCRIPT).args(arguments).output().unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// All files below the home directory, except those of the build.
fn files(sandbox: &Sandbox) -> BTreeSet<String> {
    let listed = sandbox.command("find").args([".", "-type", "f"]).current_dir(sandbox.home()).output().unwrap();
    text(&listed.stdout).lines().filter(|path| !path.starts_with("./target/")).map(str::to_owned).collect()
}

#[test]
fn it_installs_updates_and_uninstalls() {
    let sandbox = sandbox();
    let installed = sandbox.home().join(".local/bin/ccrun");
    let run = |arguments: &[&str]| run(&sandbox, arguments);
    let (code, said, _) = run(&[]);
    assert!(code == Some(0) && said.contains(&format!("installed {}", installed.display())), "{said}");
    assert!(said.contains("is not on your PATH"), "{said}");
    // Running the suggested line adds the directory.
    let line = said.lines().map(str::trim).find(|line| line.starts_with("export PATH=")).unwrap().to_owned();
    assert_eq!(line, "export PATH=\"$HOME/.local/bin:$PATH\"");
    let found = sandbox.command("sh").args(["-c", &format!("{line}\ncommand -v ccrun")]).output().unwrap();
    assert_eq!(text(&found.stdout).trim(), installed.display().to_string());
    assert_eq!(std::fs::metadata(&installed).unwrap().mode() & 0o777, 0o755);
    let (code, said, _) = run(&[]);
    assert!(code == Some(0) && said.contains("already up to date"), "{said}");
    let output = sandbox.command(&installed).arg("--version").output().unwrap();
    assert!(text(&output.stdout).starts_with(concat!("ccrun ", env!("CARGO_PKG_VERSION"), " (")), "{output:?}");

    let (code, said, _) = run(&["--uninstall"]);
    assert!(code == Some(0) && said.contains("removed") && !installed.exists(), "{said}");
    assert_eq!(files(&sandbox), BTreeSet::new());
    let (code, said, _) = run(&["--uninstall"]);
    assert!(code == Some(0) && said.contains("nothing to remove"), "{said}");
    let (code, _, said) = run(&["--unknown"]);
    assert!(code == Some(2) && said.contains("unknown option `--unknown`"), "{said}");
}

#[test]
fn it_installs_into_a_given_directory_and_reports_conflicts() {
    let sandbox = sandbox();
    let prefix = sandbox.home().join("elsewhere");
    let install =
        |prefix: &std::path::Path| sandbox.command("sh").arg(SCRIPT).arg("--prefix").arg(prefix).output().unwrap();
    assert!(install(&prefix).status.success());
    assert!(prefix.join("bin/ccrun").exists());
    let file = sandbox.write("home/file", "");
    let output = install(&file);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("is not a directory"), "{}", text(&output.stderr));
}

#[test]
fn man_pages_and_completions_are_installed_and_a_dry_run_changes_nothing() {
    let sandbox = sandbox();
    let (code, said, _) = run(&sandbox, &["--dry-run", "--with-alias"]);
    assert!(code == Some(0) && said.contains("would install"), "{said}");
    assert_eq!(files(&sandbox), BTreeSet::new());
    let (code, _, said) = run(&sandbox, &[]);
    assert_eq!(code, Some(0), "{said}");
    let files = files(&sandbox);
    for file in [
        "bin/ccrun",
        "share/man/man1/ccrun.1",
        "share/man/man1/ccrun-queue-flush.1",
        "share/bash-completion/completions/ccrun",
        "share/zsh/site-functions/_ccrun",
        "share/fish/vendor_completions.d/ccrun.fish",
    ] {
        assert!(files.contains(&format!("./.local/{file}")), "{file}: {files:?}");
    }
    let page = std::fs::read_to_string(sandbox.home().join(".local/share/man/man1/ccrun.1")).unwrap();
    assert!(page.contains("Launch Claude Code"), "{page}");
    assert!(!files.iter().any(|file| file.ends_with("ccrun-collector.1") || file.ends_with("rc")), "{files:?}");
    let (code, said, _) = run(&sandbox, &["--uninstall", "--dry-run"]);
    assert!(code == Some(0) && said.contains("would remove"), "{said}");
    assert_eq!(self::files(&sandbox), files);
}

#[test]
fn the_alias_is_added_on_request_and_removed_again() {
    let mut sandbox = sandbox();
    for (shell, rc) in [("bash", ".bashrc"), ("zsh", ".zshrc"), ("fish", ".config/fish/config.fish")] {
        sandbox.set("SHELL", format!("/bin/{shell}"));
        let before = "# the user's own, ccrun and all, without an end";
        let path = sandbox.write(format!("home/{rc}"), before);
        for _ in 0..2 {
            let (code, _, said) = run(&sandbox, &["--with-alias", "--prefix", "it's a prefix"]);
            assert_eq!(code, Some(0), "{said}");
        }
        let now = std::fs::read_to_string(&path).unwrap();
        assert_eq!(now.lines().count(), 2, "{now}");
        assert!(now.starts_with(before) && now.contains(&format!("init {shell}")), "{now}");
        if shell == "bash" {
            let script = format!(". '{}'; shopt -s expand_aliases; alias claude", path.display());
            let output = sandbox.command("bash").args(["-c", &script]).output().unwrap();
            assert!(text(&output.stdout).contains("ccrun"), "{}", text(&output.stderr));
        }
    }
    let (code, _, said) = run(&sandbox, &["--uninstall", "--prefix", "it's a prefix"]);
    assert_eq!(code, Some(0), "{said}");
    let now = std::fs::read_to_string(sandbox.home().join(".bashrc")).unwrap();
    assert_eq!(now, "# the user's own, ccrun and all, without an end\n");
    sandbox.set("SHELL", "/bin/tcsh");
    let (code, _, said) = run(&sandbox, &["--with-alias"]);
    assert!(code == Some(1) && said.contains("bash, zsh and fish"), "{said}");
}

#[test]
fn wired_settings_block_uninstalling_and_purging_removes_everything() {
    let sandbox = sandbox();
    assert_eq!(run(&sandbox, &[]).0, Some(0));
    sandbox.profile("team", "");
    let record = sandbox.write("home/.local/state/ccrun/wired/a.record", "{}");
    let (code, _, said) = run(&sandbox, &["--uninstall"]);
    assert!(code == Some(1) && said.contains("ccrun unwire code"), "{said}");
    assert!(sandbox.home().join(".local/bin/ccrun").exists());
    std::fs::remove_file(record).unwrap();
    let (code, said, _) = run(&sandbox, &["--uninstall"]);
    assert!(code == Some(0) && said.contains("kept"), "{said}");
    assert!(files(&sandbox).contains("./.config/ccrun/profiles/team.toml"));
    let (code, said, _) = run(&sandbox, &["--uninstall", "--purge"]);
    assert!(code == Some(0) && said.contains("keyring stays"), "{said}");
    assert_eq!(files(&sandbox), BTreeSet::new());
}

#[test]
fn purging_removes_only_ccruns_own_files() {
    let mut sandbox = sandbox();
    assert_eq!(run(&sandbox, &[]).0, Some(0));
    let (state, backend) = (sandbox.home().join("mine"), Backend::start());
    sandbox.set("CCRUN_STATE_DIR", state.to_str().unwrap());
    let endpoint = format!("endpoint={}", backend.endpoint());
    let program = sandbox.program("claude", "#!/bin/sh\n");
    assert!(sandbox.run(["-p", "otlp", "--var", &endpoint, "claude"]).status.success());
    std::fs::remove_file(program).unwrap();
    sandbox.wait_for_end();
    assert!(state.join("key").exists() && state.join("settings").exists());
    sandbox.profile("team", "[budget]\ndaily = 1\n");
    assert!(sandbox.run(["budget", "lift", "1h", "-p", "team"]).status.success());
    let told = "budgets/2026-11-30-0123456789abcdef";
    for left in [format!("{told}-50"), format!("{told}-notify-100"), "hooks/0123456789abcdef".to_owned()] {
        sandbox.write(format!("home/mine/{left}"), "");
    }
    let own = [
        "mine/thesis.db",
        "mine/logs/2026.log",
        "mine/settings/editor.json",
        "mine/budgets/2026.txt",
        ".config/ccrun/notes.txt",
    ];
    for file in own {
        sandbox.write(format!("home/{file}"), "the user's own");
    }
    let (code, said, complaint) = run(&sandbox, &["--uninstall", "--purge"]);
    assert_eq!(code, Some(0), "{complaint}");
    assert!(said.contains(&format!("removed ccrun's files in {}, and kept the others", state.display())), "{said}");
    assert_eq!(files(&sandbox), own.map(|file| format!("./{file}")).into());
    assert!(!state.join("locks").exists());
}

#[test]
fn purging_knows_every_place_of_the_state() {
    let (script, places) = (include_str!("../../install.sh"), include_str!("../../src/state/places.rs"));
    let purge = script.split_once("\npurge() {").unwrap().1.split_once("\n}").unwrap().0;
    let named: Vec<_> =
        places.split("state.join(\"").skip(1).map(|rest| rest.split(['-', '"']).next().unwrap()).collect();
    assert!(named.contains(&"ledger") && named.contains(&"hooks"), "{named:?}");
    let is_unknown = |name: &&&str| !purge.split(|c: char| !c.is_ascii_lowercase()).any(|word| word == **name);
    let unknown: Vec<_> = named.iter().filter(is_unknown).collect();
    assert!(unknown.is_empty(), "install.sh does not remove {unknown:?}");
}

#[test]
fn wired_settings_are_found_in_a_configured_state_directory() {
    let sandbox = sandbox();
    assert_eq!(run(&sandbox, &[]).0, Some(0));
    for (line, record) in [
        ("state_dir = \"/tmp\" # not this\n[x]\nstate_dir = 'y'\n", None),
        ("  state_dir='records' # there\n", Some("home/.config/ccrun/records/wired/settings-a.record")),
    ] {
        sandbox.write("home/.config/ccrun/config.toml", line);
        let record = record.map(|record| sandbox.write(record, "{}"));
        let (code, said, complaint) = run(&sandbox, &["--uninstall", "--dry-run"]);
        if record.is_none() {
            assert!(
                code == Some(0) && said.contains("kept your profiles and what ccrun has recorded: /tmp\n"),
                "{said}"
            );
        } else {
            assert!(code == Some(1) && complaint.contains("ccrun unwire code"), "{complaint}");
        }
    }
}

#[test]
fn an_upgrade_does_not_disturb_a_running_session() {
    let (sandbox, backend) = (sandbox(), Backend::start());
    let mut session = Session::to(&sandbox, &backend.endpoint());
    let mut client = session.client();
    client.export(&ids("before", 3));
    // A different binary of the same program.
    let root = sandbox.home().parent().unwrap().display().to_string();
    let newer = sandbox.write("newer", std::fs::read(env!("CARGO_BIN_EXE_ccrun")).unwrap());
    std::fs::OpenOptions::new().append(true).open(&newer).unwrap().write_all(b"newer").unwrap();
    let target = sandbox.home().join("target/release");
    let build = format!(
        "#!/bin/sh\nmkdir -p '{0}' && cp '{1}' '{0}/ccrun' && chmod 755 '{0}/ccrun'\n",
        target.display(),
        newer.display()
    );
    sandbox.program("cargo", &build);
    let (code, said, complaint) = run(&sandbox, &["--prefix", &root]);
    assert!(code == Some(0) && said.contains("updated"), "{said}{complaint}");
    client.export(&ids("after", 3));
    session.end_worker(Signal::SIGKILL);
    session.worker();
    let mut client = session.client();
    client.export(&ids("again", 3));
    drop(client);
    session.end();
    sandbox.wait_for_end();
    let delivered: BTreeSet<_> = ids_of(&backend.received()).into_iter().collect();
    let expected = [ids("before", 3), ids("after", 3), ids("again", 3)].concat();
    assert_eq!(delivered, expected.into_iter().collect());
}

#[test]
fn the_suggested_path_line_suits_the_users_shell() {
    let sandbox = sandbox();
    let odd = sandbox.home().join("it's $(touch pwned)");
    for (shell, prefix, expected) in [
        ("/usr/bin/fish", sandbox.home().join(".local"), "fish_add_path $HOME/.local/bin".to_owned()),
        ("/bin/bash", odd, format!("export PATH='{}/it'\\''s $(touch pwned)/bin':\"$PATH\"", sandbox.home().display())),
    ] {
        let installer = concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh");
        let mut command = sandbox.command("sh");
        let output =
            command.arg(installer).args(["--prefix".as_ref(), prefix.as_os_str()]).env("SHELL", shell).output();
        let output = output.unwrap();
        let said = text(&output.stdout);
        assert!(said.lines().any(|line| line.trim() == expected), "{expected}: {said}{}", text(&output.stderr));
        assert!(!sandbox.project().join("pwned").exists());
    }
}
