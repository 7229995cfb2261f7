//! `install.sh` and `scripts/release.sh`, with a `cargo` that takes the program that the tests have built anyway.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use nix::sys::signal::Signal;

use crate::support::backend::Backend;
use crate::support::emitter::{ids, ids_of};
use crate::support::sandbox::{Sandbox, text};
use crate::support::session::Session;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh");

/// Builds whatever it is asked for, and so at once.
fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    let target = sandbox.home().join("target");
    sandbox.set("CARGO_TARGET_DIR", target.to_str().unwrap()).set("SHELL", "/bin/bash");
    let build = format!(
        "#!/bin/sh\nfor word; do case $last in --target) kind=$word;; esac; last=$word; done\n\
         mkdir -p '{0}'/$kind/release && cp '{1}' '{0}'/$kind/release\n",
        target.display(),
        env!("CARGO_BIN_EXE_ccrun")
    );
    sandbox.program("cargo", &build);
    sandbox
}

/// Runs the installer; gives its exit code and what it said on either stream.
fn run(sandbox: &Sandbox, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = sandbox.command("sh").arg(SCRIPT).args(arguments).output().unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// All files below the home directory but those of the build.
fn files(sandbox: &Sandbox) -> BTreeSet<String> {
    let listed = sandbox.command("find").args([".", "-type", "f"]).current_dir(sandbox.home()).output().unwrap();
    text(&listed.stdout).lines().filter(|path| !path.starts_with("./target/")).map(str::to_owned).collect()
}

#[test]
fn it_installs_updates_and_goes_again() {
    let sandbox = sandbox();
    let installed = sandbox.home().join(".local/bin/ccrun");
    let run = |arguments: &[&str]| run(&sandbox, arguments);
    let (code, said, _) = run(&[]);
    assert!(code == Some(0) && said.contains(&format!("installed {}", installed.display())), "{said}");
    assert!(said.contains("is not on your PATH"), "{said}");
    assert_eq!(std::fs::metadata(&installed).unwrap().mode() & 0o777, 0o755);
    let (code, said, _) = run(&[]);
    assert!(code == Some(0) && said.contains("already up to date"), "{said}");
    let output = sandbox.command(&installed).arg("--version").output().unwrap();
    assert_eq!(text(&output.stdout), format!("ccrun {}\n", env!("CARGO_PKG_VERSION")));

    let (code, said, _) = run(&["--uninstall"]);
    assert!(code == Some(0) && said.contains("removed") && !installed.exists(), "{said}");
    assert_eq!(files(&sandbox), BTreeSet::new());
    let (code, said, _) = run(&["--uninstall"]);
    assert!(code == Some(0) && said.contains("nothing to remove"), "{said}");
    let (code, _, said) = run(&["--unknown"]);
    assert!(code == Some(2) && said.contains("unknown option `--unknown`"), "{said}");
}

#[test]
fn it_goes_where_it_is_told_and_says_what_is_in_the_way() {
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
fn man_pages_and_completions_come_along_and_nothing_happens_in_a_dry_run() {
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
    assert!(page.contains("Launches Claude Code"), "{page}");
    assert!(!files.iter().any(|file| file.ends_with("ccrun-collector.1") || file.ends_with("rc")), "{files:?}");
    let (code, said, _) = run(&sandbox, &["--uninstall", "--dry-run"]);
    assert!(code == Some(0) && said.contains("would remove"), "{said}");
    assert_eq!(self::files(&sandbox), files);
}

#[test]
fn the_alias_comes_where_it_is_asked_for_and_goes_again() {
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
fn what_is_wired_keeps_it_and_purging_removes_everything() {
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
fn an_archive_is_installed_if_it_is_what_its_checksum_says() {
    let sandbox = sandbox();
    let release = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/release.sh");
    let (kind, out) = ("x86_64-unknown-linux-gnu", sandbox.home().with_file_name("dist"));
    let pack = || {
        let output = sandbox.command("bash").arg(release).args(["--target", kind, "--out"]).arg(&out).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    pack();
    let archive = out.join(format!("ccrun-{}-{kind}.tar.gz", env!("CARGO_PKG_VERSION")));
    let first = std::fs::read(&archive).unwrap();
    pack();
    assert_eq!(std::fs::read(&archive).unwrap(), first, "the same source is the same archive");
    let from = archive.to_str().unwrap();
    let (code, said, _) = run(&sandbox, &["--from", from]);
    assert!(code == Some(0) && said.contains("installed"), "{said}");
    let output = sandbox.command(sandbox.home().join(".local/bin/ccrun")).arg("--version").output().unwrap();
    assert_eq!(text(&output.stdout), format!("ccrun {}\n", env!("CARGO_PKG_VERSION")));

    // Unpacked, it installs itself.
    let unpacked = sandbox.command("tar").args(["-xzf", from, "-C"]).arg(&out).status().unwrap();
    assert!(unpacked.success());
    let own = out.join(format!("ccrun-{}-{kind}/install.sh", env!("CARGO_PKG_VERSION")));
    let output = sandbox.command("sh").arg(own).output().unwrap();
    assert!(text(&output.stdout).contains("already up to date"), "{}", text(&output.stderr));

    let mut other = first.clone();
    *other.last_mut().unwrap() ^= 1;
    std::fs::write(&archive, other).unwrap();
    let (code, _, said) = run(&sandbox, &["--from", from]);
    assert!(code == Some(1) && said.contains("is not what its checksum says"), "{said}");
    std::fs::remove_file(out.join(format!("{}.sha256", archive.file_name().unwrap().to_str().unwrap()))).unwrap();
    let (code, _, said) = run(&sandbox, &["--from", from]);
    assert!(code == Some(1) && said.contains("cannot be checked"), "{said}");
}

#[test]
fn an_upgrade_under_a_running_session_disturbs_it_in_nothing() {
    let (sandbox, backend) = (sandbox(), Backend::start());
    let mut session = Session::to(&sandbox, &backend.endpoint());
    let mut client = session.client();
    client.export(&ids("before", 3));
    // Another build of the same program.
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
