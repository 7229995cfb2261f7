//! How doctor shows its findings to people and programs. It changes nothing.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{claude, findings, healthy, troubles};
use crate::support::backend::Backend;
use crate::support::sandbox::text;

#[test]
fn a_healthy_system_shows_no_warning() {
    let (sandbox, backend) = (healthy(), Backend::start());
    sandbox.profile(
        "team",
        format!(
            "[destination.backend]\nendpoint = \"{}\"\n[destination.backend.headers]\n\
             Authorization = {{ command = [\"echo\", \"token-of-the-team\"], ttl = \"15m\" }}\n",
            backend.endpoint()
        ),
    );
    // Only the backend knows whether it accepts a key.
    for (options, well) in
        [([].as_slice(), "all is well"), (&["-p", "team"], "all is well, as far as this machine can tell")]
    {
        let output = sandbox.run(["doctor", "--strict", "--json"].iter().chain(options));
        assert_eq!(troubles(&findings(&output)), Vec::<serde_json::Value>::new());
        let output = sandbox.run(["doctor", "--strict"].iter().chain(options));
        let shown = text(&output.stdout);
        assert!(output.status.success() && shown.ends_with(&format!("\n{well}\n")), "{shown}");
        assert!(shown.contains("\nprogram\n  ok       Claude Code is `"), "{shown}");
        assert!(shown.contains("  ok       its version is 2.1.332\n") && !shown.contains('\x1b'), "{shown}");
        assert_eq!(text(&output.stderr), "");
    }
}

#[test]
fn strict_fails_on_warnings() {
    let mut sandbox = healthy();
    sandbox.set("OTEL_EXPORTER_OTLP_PROTOCOL", "http");
    let output = sandbox.run(["doctor"]);
    let shown = text(&output.stdout);
    assert!(output.status.success() && shown.ends_with("\n1 warning\n"), "{shown}");
    assert!(
        shown.contains("\nenvironment\n  warning  OTEL_EXPORTER_OTLP_PROTOCOL in the environment is `http`"),
        "{shown}"
    );
    assert!(shown.contains("\n           fix: set it to `http/protobuf` "), "{shown}");
    assert_eq!(sandbox.run(["doctor", "--strict"]).status.code(), Some(1));
    assert_eq!(sandbox.run(["doctor", "--offline"]).status.code(), Some(2));
}

/// All files and directories below a place, with everything that a check might change.
fn snapshot(place: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(place).unwrap().flatten() {
        let (path, metadata) = (entry.path(), entry.metadata().unwrap());
        if metadata.is_dir() {
            all.extend(snapshot(&path));
        }
        let content = if metadata.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        if path.extension().is_some_and(|extension| extension == "db-shm") {
            // Readers of the store register in this shared memory.
            continue;
        }
        all.insert(path, (metadata.mode(), metadata.mtime(), metadata.mtime_nsec(), content));
    }
    all
}

#[test]
fn doctor_changes_no_file() {
    let sandbox = healthy();
    let header = "headers.Authorization = { command = [\"echo\", \"token\"] }";
    sandbox.profile("team", format!("[destination.backend]\nendpoint = \"http://127.0.0.1:9\"\n{header}\n"));
    sandbox.run(["doctor", "-p", "team"]);
    assert!(!sandbox.state().exists());
    assert!(sandbox.run(["-p", "team", "true"]).status.success());
    sandbox.wait_for_end();
    let before = snapshot(&sandbox.home());
    assert!(before.keys().any(|path| path.ends_with("ccrun/store-2.db")), "{:?}", before.keys());
    sandbox.run(["doctor", "-p", "team"]);
    let after = snapshot(&sandbox.home());
    assert!(before == after, "{:?}\n{:?}", before.keys(), after.keys());
}

#[test]
fn doctors_output_contains_no_private_data() {
    let mut sandbox = healthy();
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
    let script = "echo \"Authorization: Bearer $TEAM_SECRET of max@mail.example in $HOME\" >&2; exit 1";
    sandbox.set("TEAM_SECRET", "a-word-without-a-sign").set("ANTHROPIC_API_KEY", "keyed-up").set("USER", &user);
    sandbox.set("ANTHROPIC_BASE_URL", "http://127.0.0.1:9/0123456789abcdef0123456789abcdef?key=keyed-up");
    sandbox.program("fails", &format!("#!/bin/sh\n{script}\n"));
    let header = "headers.Authorization = { command = [\"fails\"] }\nheaders.X-Key = \"literally-secret\"";
    sandbox.profile("team", format!("[destination.backend]\nendpoint = \"http://127.0.0.1:9\"\n{header}\n"));
    for (options, report) in
        [(["doctor", "-p", "team"].as_slice(), "text"), (&["doctor", "-p", "team", "--json"], "json")]
    {
        let output = sandbox.run(options.iter().chain(&["--report", report]));
        assert_eq!(output.status.code(), Some(1));
        let path = sandbox.project().join(report);
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text(&output.stdout), written);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(text(&output.stderr).contains("the report is in `"), "{output:?}");
        for secret in ["a-word", "keyed-up", "literally", "max@", "0123456789abcdef"] {
            assert!(!written.contains(secret), "{secret}: {written}");
        }
        assert!(!written.contains(&sandbox.home().display().to_string()), "{written}");
        assert!(written.contains("Bearer <hidden> of <e-mail> in ~"), "{written}");
    }
}

#[test]
fn doctor_works_on_a_broken_system() {
    let mut sandbox = healthy();
    sandbox.profile("broken", "[");
    assert_eq!(sandbox.run(["doctor", "-p", "broken"]).status.code(), Some(1));
    // Claude may run doctor itself, and sees no secrets.
    sandbox.set("CLAUDECODE", "1");
    assert_eq!(troubles(&findings(&sandbox.run(["doctor", "--json"]))), Vec::<serde_json::Value>::new());
    let nowhere = sandbox.home().join("not/there").display().to_string();
    sandbox.set("HOME", &nowhere);
    assert_eq!(troubles(&findings(&sandbox.run(["doctor", "--json"]))), Vec::<serde_json::Value>::new());
    assert!(!Path::new(&nowhere).exists());
}

#[test]
fn foreign_text_is_escaped_for_the_terminal() {
    let sandbox = healthy();
    claude(&sandbox, "printf '\\033[31mred\\033[0m\\n'");
    for options in [["doctor"].as_slice(), &["doctor", "--json"]] {
        let output = sandbox.run(options);
        assert!(text(&output.stdout).contains("[31mred") && !output.stdout.contains(&0x1b), "{output:?}");
    }
}

/// On a terminal, the output is coloured.
#[test]
fn the_output_on_a_terminal_is_coloured() {
    let sandbox = healthy();
    let output = sandbox.command("script").args(["-qec", "ccrun doctor", "/dev/null"]).output().unwrap();
    assert!(text(&output.stdout).contains("\x1b[32mok"), "{output:?}");
}
