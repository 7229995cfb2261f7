//! `ccrun --version`, and how a build finds out its commit.

use std::path::Path;
use std::process::Command;

use crate::support::sandbox::{Sandbox, text};

/// What the build script uses.
mod build {
    include!(concat!(env!("CARGO_MANIFEST_DIR"), "/build/commit.rs"));
}

#[test]
fn the_version_comes_with_the_target() {
    let sandbox = Sandbox::new();
    let said = |option| text(&sandbox.run([option]).stdout);
    let number = concat!("ccrun ", env!("CARGO_PKG_VERSION"));
    assert_eq!(said("-V"), format!("{number}\n"));
    let long = said("--version");
    let build = long.strip_prefix(&format!("{number} (")).and_then(|rest| rest.strip_suffix(")\n")).unwrap();
    let target = build.rsplit(", ").next().unwrap();
    assert!(target.starts_with(std::env::consts::ARCH), "{long}");
}

#[test]
fn the_commit_is_that_of_the_packed_crate_or_of_the_repository() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    // Not even of one around it, as where the sources were unpacked into another project.
    assert_eq!(build::commit(root), None);
    git(root, &["init", "--quiet"]);
    assert_eq!(build::commit(root), None, "there is no commit yet");
    let own = "-c user.name=a -c user.email=a@b -c commit.gpgsign=false commit --quiet --allow-empty -m one";
    git(root, &own.split(' ').collect::<Vec<_>>());
    let commit = build::commit(root).unwrap();
    assert_eq!(git(root, &["rev-parse", "--short=12", "HEAD"]), commit);
    assert!(build::watched(root).iter().any(|path| path.ends_with("HEAD")));
    let inner = root.join("vendored");
    std::fs::create_dir(&inner).unwrap();
    assert_eq!(build::commit(&inner), None);

    let packed = |text: &str| {
        std::fs::write(inner.join(".cargo_vcs_info.json"), text).unwrap();
        build::commit(&inner)
    };
    let info = "{\n  \"git\": {\n    \"sha1\": \"13a2dca9c7eaab4d0e6d5b1a5f8bf7a6b9c0d1e2\"\n  }\n}";
    assert_eq!(packed(info).as_deref(), Some("13a2dca9c7ea"));
    let changed = info.replace("\"\n  }", "\",\n    \"dirty\": true\n  }");
    assert_eq!(packed(&changed).as_deref(), Some("13a2dca9c7ea-modified"));
    assert_eq!(packed("{}"), None);
}

/// Runs git in a repository, and returns its output.
fn git(root: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}
