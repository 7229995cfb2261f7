//! `install.sh`, with a `cargo` that takes the program that the tests have built anyway.

use std::os::unix::fs::MetadataExt;

use crate::support::sandbox::{Sandbox, text};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh");

fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    let target = sandbox.home().join("target");
    sandbox.set("CARGO_TARGET_DIR", target.to_str().unwrap());
    let build = format!(
        "#!/bin/sh\nmkdir -p '{0}' && cp '{1}' '{0}'\n",
        target.join("release").display(),
        env!("CARGO_BIN_EXE_ccrun")
    );
    sandbox.program("cargo", &build);
    sandbox
}

#[test]
fn it_installs_updates_and_goes_again() {
    let sandbox = sandbox();
    let installed = sandbox.home().join(".local/bin/ccrun");
    let run = |arguments: &[&str]| {
        let output = sandbox.command("sh").arg(SCRIPT).args(arguments).output().unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
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
