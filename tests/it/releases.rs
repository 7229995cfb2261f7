//! `scripts/release.sh`, and what `install.sh` makes of its archives. The fake `cargo` builds nothing; what it says about
//! dependencies is real.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::install::{run, sandbox};
use crate::support::sandbox::{Sandbox, text};

const KIND: &str = "x86_64-unknown-linux-gnu";

/// Where releases are written, and the real cargo's own directory.
fn prepared() -> (Sandbox, PathBuf) {
    let mut sandbox = sandbox();
    sandbox.link("rustc", Path::new(env!("CARGO")).with_file_name("rustc"));
    let home = std::env::var("HOME").unwrap_or_default();
    let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    sandbox.set("CARGO_HOME", cargo).set("CARGO_NET_OFFLINE", "true");
    let out = sandbox.home().with_file_name("dist");
    (sandbox, out)
}

/// Runs the release script.
fn try_release(sandbox: &Sandbox, out: &Path, options: &[&str]) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/release.sh");
    let mut command = sandbox.command("bash");
    command.arg(script).args(["--own-glibc", "--target", KIND, "--out"]).arg(out).args(options);
    command.output().unwrap()
}

/// Runs the release script, and returns the archive's path.
fn release(sandbox: &Sandbox, out: &Path, options: &[&str]) -> PathBuf {
    let output = try_release(sandbox, out, options);
    assert!(output.status.success(), "{}", text(&output.stderr));
    out.join(format!("ccrun-{}-{KIND}.tar.gz", env!("CARGO_PKG_VERSION")))
}

/// Whether a program is there. If not, prints that this proves nothing.
#[expect(clippy::print_stderr, reason = "the output must show that it proved nothing")]
fn has(sandbox: &Sandbox, program: &str) -> bool {
    let found = sandbox.command("sh").args(["-c", &format!("command -v {program}")]).output().unwrap().status.success();
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

#[test]
fn an_archive_is_installed_only_with_the_right_checksum() {
    let (sandbox, out) = prepared();
    if !has(&sandbox, "python3") {
        return;
    }
    let archive = release(&sandbox, &out, &[]);
    let first = std::fs::read(&archive).unwrap();
    release(&sandbox, &out, &[]);
    assert!(std::fs::read(&archive).unwrap() == first, "the same source gives the same archive");
    let from = archive.to_str().unwrap();
    let (code, said, _) = run(&sandbox, &["--from", from]);
    assert!(code == Some(0) && said.contains("installed"), "{said}");
    let output = sandbox.command(sandbox.home().join(".local/bin/ccrun")).arg("--version").output().unwrap();
    assert!(text(&output.stdout).starts_with(concat!("ccrun ", env!("CARGO_PKG_VERSION"), " (")), "{output:?}");

    // The unpacked archive installs itself.
    let unpacked = sandbox.command("tar").args(["-xzf", from, "-C"]).arg(&out).status().unwrap();
    assert!(unpacked.success());
    let own = out.join(format!("ccrun-{}-{KIND}", env!("CARGO_PKG_VERSION")));
    let output = sandbox.command("sh").arg(own.join("install.sh")).output().unwrap();
    assert!(text(&output.stdout).contains("already up to date"), "{}", text(&output.stderr));
    assert_describes_itself(&own, &sandbox.home().join(".local/share"));

    let mut other = first.clone();
    *other.last_mut().unwrap() ^= 1;
    std::fs::write(&archive, other).unwrap();
    let (code, _, said) = run(&sandbox, &["--from", from]);
    assert!(code == Some(1) && said.contains("does not match its checksum"), "{said}");
    std::fs::remove_file(out.join(format!("{}.sha256", archive.file_name().unwrap().to_str().unwrap()))).unwrap();
    let (code, _, said) = run(&sandbox, &["--from", from]);
    assert!(code == Some(1) && said.contains("cannot be checked"), "{said}");
}

/// Checks that an unpacked archive has the man pages and completions that `install.sh` installs, the licences of all that
/// is linked into the program, and its list.
fn assert_describes_itself(unpacked: &Path, installed: &Path) {
    for file in ["man/man1/ccrun.1", "man/man1/ccrun-queue-flush.1"] {
        let own = std::fs::read(unpacked.join("share").join(file)).unwrap();
        assert!(own == std::fs::read(installed.join(file)).unwrap(), "{file}");
    }
    let files =
        ["bash-completion/completions/ccrun", "zsh/site-functions/_ccrun", "fish/vendor_completions.d/ccrun.fish"];
    for file in files {
        let (own, here) = (unpacked.join("share").join(file), installed.join(file));
        let here = std::fs::read_to_string(here).unwrap();
        // A package's program is on the PATH, and this one is not.
        let path = installed.with_file_name("bin").join("ccrun").display().to_string();
        assert!(here.contains(&format!("{path} complete ")), "{file}: {here}");
        assert!(std::fs::read_to_string(own).unwrap() == here.replace(&path, "ccrun"), "{file}");
    }
    let licences = std::fs::read_to_string(unpacked.join("THIRD-PARTY.txt")).unwrap();
    // The terms of the C code that two crates contain, and of a crate without any text of its own.
    for part in [
        "vendor/dbus/COPYING",
        "Academic Free License",
        "fiat",
        "opentelemetry-proto 0",
        "Permission is hereby granted",
    ] {
        assert!(licences.contains(part), "{part}");
    }
    let list: Value = serde_json::from_slice(&std::fs::read(unpacked.join("ccrun.cdx.json")).unwrap()).unwrap();
    assert_eq!((&list["bomFormat"], &list["metadata"]["component"]["name"]), (&"CycloneDX".into(), &"ccrun".into()));
    assert_eq!(list["metadata"]["tools"]["components"][0]["name"], "rustc");
    let components = list["components"].as_array().unwrap();
    let names: BTreeSet<_> = components.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(["rusqlite", "ring", "tokio", "linux-keyutils"].iter().all(|name| names.contains(name)), "{names:?}");
    // What only tests or compiles it, or is for another system.
    assert!(["criterion", "serde_derive", "cc", "security-framework"].iter().all(|name| !names.contains(name)));
    for one in components {
        assert!(!one["licenses"][0]["expression"].as_str().unwrap().is_empty(), "{one}");
        assert_eq!(one["hashes"][0]["content"].as_str().unwrap().len(), 64, "{one}");
        let line = format!("\n{} {}: ", one["name"].as_str().unwrap(), one["version"].as_str().unwrap());
        assert!(licences.contains(&line), "{line}");
    }
}

#[test]
fn two_builds_are_compared() {
    let (sandbox, out) = prepared();
    if !has(&sandbox, "python3") || !has(&sandbox, "dpkg-deb") {
        return;
    }
    // A small program, because the package is compressed well.
    let small = format!("#!/bin/sh\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_ccrun"));
    let small = sandbox.program("small/ccrun", &small).display().to_string();
    let cargo = std::fs::read_to_string(sandbox.home().with_file_name("bin").join("cargo")).unwrap();
    let cargo = cargo.replace(env!("CARGO_BIN_EXE_ccrun"), &small);
    sandbox.program("cargo", &cargo);
    let output = try_release(&sandbox, &out, &["--deb", "--compare"]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let compared: Vec<_> = said.lines().filter(|line| line.starts_with("two builds in two directories")).collect();
    assert!(compared.len() == 3 && compared[2].ends_with("_amd64.deb"), "{said}");
    // A program that names its directory.
    sandbox.program("cargo", &(cargo + "echo \"# $PWD\" >>\"$CARGO_TARGET_DIR\"/$kind/release/ccrun\n"));
    let output = try_release(&sandbox, &out, &["--compare"]);
    let complaint = text(&output.stderr);
    assert!(output.status.code() == Some(1) && complaint.contains("two builds differ: ccrun"), "{complaint}");
}

#[test]
fn a_signature_is_checked_against_the_given_keys() {
    let (sandbox, out) = prepared();
    if !has(&sandbox, "python3") || !has(&sandbox, "ssh-keygen") {
        return;
    }
    let (key, other) = (new_key(&sandbox, "key"), new_key(&sandbox, "other"));
    let archive = release(&sandbox, &out, &["--sign", key.to_str().unwrap()]);
    let from = archive.to_str().unwrap();
    let public = |key: &Path| std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let signers = sandbox.write("signers", format!("# these\nreleases namespaces=\"ccrun\" {}", public(&key)));
    let install = |signers: &Path| run(&sandbox, &["--from", from, "--signers", signers.to_str().unwrap()]);
    let refused = |signers: &Path, why: &str| {
        let (code, _, said) = install(signers);
        assert!(code == Some(1) && said.contains(why) && said.contains("nothing has been installed"), "{said}");
        assert!(!sandbox.home().join(".local").exists());
    };
    // Keys that did not sign it, or may not sign this.
    refused(&sandbox.write("others", format!("releases {}", public(&other))), "no key in");
    let elsewhere = sandbox.write("elsewhere", format!("releases namespaces=\"git\" {}", public(&key)));
    refused(&elsewhere, "");
    // Another archive, with the right checksum.
    let (good, signature) = (std::fs::read(&archive).unwrap(), out.join(format!("{}.sig", name(&archive))));
    let unsigned = [good.clone(), b"more".to_vec()].concat();
    replace(&sandbox, &archive, &unsigned);
    refused(&signers, "is not the signature of");
    replace(&sandbox, &archive, &good);
    let signed = std::fs::read(&signature).unwrap();
    std::fs::write(&signature, "not a signature").unwrap();
    refused(&signers, "");
    std::fs::remove_file(&signature).unwrap();
    refused(&signers, "is not signed");

    std::fs::write(&signature, signed).unwrap();
    let (code, said, _) = run(&sandbox, &["--from", from, "--dry-run"]);
    assert!(code == Some(0), "{said}");
    let (code, said, complaint) = install(&signers);
    assert!(code == Some(0) && said.contains("is signed by releases"), "{said}{complaint}");
    // Without keys, its checksum decides.
    let (code, said, _) = run(&sandbox, &["--from", from]);
    assert!(code == Some(0) && said.contains("give --signers FILE"), "{said}");
    let (code, _, said) = run(&sandbox, &["--signers", signers.to_str().unwrap()]);
    assert!(code == Some(2) && said.contains("--signers goes with --from"), "{said}");
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// Makes an SSH key.
fn new_key(sandbox: &Sandbox, name: &str) -> PathBuf {
    let path = sandbox.home().with_file_name(name);
    let made = sandbox.command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).status().unwrap();
    assert!(made.success());
    path
}

/// Writes an archive and its checksum.
fn replace(sandbox: &Sandbox, archive: &Path, bytes: &[u8]) {
    std::fs::write(archive, bytes).unwrap();
    let sum = "sha256sum \"$1\" >\"$1.sha256\" || shasum -a 256 \"$1\" >\"$1.sha256\"";
    let mut command: Command = sandbox.command("sh");
    assert!(command.args(["-c", sum, "sh"]).arg(archive).stderr(Stdio::null()).status().unwrap().success());
}
