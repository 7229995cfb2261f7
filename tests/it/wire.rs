//! `ccrun wire` adds `ccrun` to the settings of other programs, and `ccrun unwire` restores them exactly.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::support::sandbox::{Sandbox, text};

/// Settings with a comment and a trailing comma, as users write them.
const MINE: &str =
    "// mine\n{\n  \"editor.fontSize\": 12, // large\n\n  /* and */ \"files.exclude\": {\"**/x\": true,},\n}\n";

/// A home with these settings of Visual Studio Code.
fn sandbox(settings: &str) -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    for name in ["team", "other"] {
        sandbox.profile(name, "description = \"one of mine\"\n");
    }
    let path = sandbox.write("home/.config/Code/User/settings.json", settings);
    (sandbox, path)
}

/// The stdout and stderr of a command that exits with this code.
#[track_caller]
fn printed(output: &Output, code: i32) -> (String, String) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stdout}\n{stderr}");
    (stdout, stderr)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The files in the state directory, without the lock.
fn kept(sandbox: &Sandbox) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.state().join("wired")).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "lock").collect()
}

#[test]
fn an_editor_is_wired_once_and_unwired_byte_for_byte() {
    let (sandbox, path) = sandbox(MINE);
    let (said, _) = printed(&sandbox.run(["wire", "code"]), 0);
    assert!(said.starts_with("added to `~/.config/Code/User/settings.json`: `claudeCode.claudeProcessWrapper`\n"));
    let backup = sandbox.home().join(said.split("`~/").nth(2).unwrap().split('`').next().unwrap());
    assert_eq!(read(&backup), MINE);
    let wired = read(&path);
    let link = sandbox.state().join("wired/ccrun-wrap");
    let entry = format!("{{\n  \"claudeCode.claudeProcessWrapper\": \"{}\",\n  \"editor", link.display());
    assert_eq!(wired, MINE.replace("{\n  \"editor", &entry));
    assert_eq!(std::fs::read_link(&link).unwrap(), sandbox.home().with_file_name("bin/ccrun"));

    let (said, _) = printed(&sandbox.run(["wire", "code"]), 0);
    assert!(said.contains("is already wired") && read(&path) == wired && read(&backup) == MINE, "{said}");
    let (said, _) = printed(&sandbox.run(["unwire", "code", "--dry-run"]), 0);
    assert!(said.contains("would remove ccrun from") && read(&path) == wired);
    printed(&sandbox.run(["unwire", "code"]), 0);
    assert_eq!(read(&path), MINE);
    assert_eq!(kept(&sandbox), Vec::<String>::new());
    assert_eq!(printed(&sandbox.run(["unwire", "code"]), 0).0, "nothing is wired\n");
}

#[test]
fn a_profile_and_variables_can_be_wired_and_changed() {
    let (sandbox, path) = sandbox("{}");
    let (said, _) = printed(&sandbox.run(["wire", "code", "-p", "team", "-e", "KEY=sk-canary"]), 0);
    assert!(said.contains("`CCRUN_PROFILE` in `claudeCode.environmentVariables`") && !said.contains("sk-canary"));
    let variables =
        |path: &Path| serde_json::from_str::<Value>(&read(path)).unwrap()["claudeCode.environmentVariables"].clone();
    let expected = json!([{"name": "CCRUN_PROFILE", "value": "team"}, {"name": "KEY", "value": "sk-canary"}]);
    assert_eq!(variables(&path), expected);
    printed(&sandbox.run(["wire", "code", "-p", "other"]), 0);
    assert_eq!(variables(&path), json!([{"name": "CCRUN_PROFILE", "value": "other"}]));
    printed(&sandbox.run(["unwire", "code"]), 0);
    assert_eq!(read(&path), "{}");
}

#[test]
fn unwiring_keeps_changes_by_others() {
    let (sandbox, path) = sandbox(MINE);
    printed(&sandbox.run(["wire", "code", "-p", "team"]), 0);
    std::fs::write(&path, read(&path).replace("12, // large", "14, // larger")).unwrap();
    printed(&sandbox.run(["wire", "code", "-p", "other"]), 0);
    printed(&sandbox.run(["unwire", "code"]), 0);
    assert_eq!(read(&path), MINE.replace("12, // large", "14, // larger"));

    printed(&sandbox.run(["wire", "code"]), 0);
    let link = sandbox.state().join("wired/ccrun-wrap").display().to_string();
    std::fs::write(&path, read(&path).replace(&link, "/mine")).unwrap();
    let (_, said) = printed(&sandbox.run(["unwire", "code"]), 0);
    assert!(said.contains("`claudeCode.claudeProcessWrapper` has changed since ccrun wrote it, and stays"), "{said}");
    assert!(read(&path).contains("\"/mine\""));
}

#[test]
fn settings_of_others_are_not_touched() {
    for (settings, reason) in [
        (
            r#"{"claudeCode.claudeProcessWrapper": "/theirs"}"#,
            "already has `claudeCode.claudeProcessWrapper`, `/theirs`, which is not from ccrun",
        ),
        (
            r#"{"claudeCode.environmentVariables": [{"name": "CCRUN_PROFILE", "value": "sk-x"}]}"#,
            "CCRUN_PROFILE`, which is not from ccrun",
        ),
        ("{\n  \"a\": 1\n  \"b\": 2\n}", "settings.json:2:9 is not valid JSON with comments"),
        ("[]", "does not contain an object"),
    ] {
        let (sandbox, path) = sandbox(settings);
        let (said, why) = printed(&sandbox.run(["wire", "code", "-p", "team"]), 1);
        assert!(why.contains(reason) && why.lines().count() == 1 && said.is_empty(), "{why}");
        assert_eq!(read(&path), settings);
        assert_eq!(kept(&sandbox), Vec::<String>::new());
        let path = path.to_str().unwrap();
        assert!(printed(&sandbox.run(["unwire", "code", "--settings", path]), 0).0.contains("is not wired by ccrun"));
    }
}

#[test]
fn links_and_permissions_are_kept() {
    let sandbox = Sandbox::new();
    let real = sandbox.write("home/dotfiles/settings.json", MINE);
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    let path = sandbox.home().join(".vscode-server/data/Machine/settings.json");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(&real, &path).unwrap();
    printed(&sandbox.run(["wire", "code", "--editor", "code"]), 0);
    assert!(path.is_symlink() && read(&real).contains("claudeProcessWrapper"));
    assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    printed(&sandbox.run(["unwire", "code", "--editor", "code"]), 0);
    assert!(path.is_symlink() && read(&real) == MINE);
    assert_eq!(std::fs::read_dir(real.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn a_created_file_is_removed_again() {
    let (sandbox, path) = sandbox("");
    std::fs::remove_file(&path).unwrap();
    let (said, _) = printed(&sandbox.run(["wire", "code", "--dry-run"]), 0);
    assert!(said.contains("would add to") && !path.exists() && !sandbox.state().join("wired").exists());
    printed(&sandbox.run(["wire", "code"]), 0);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    printed(&sandbox.run(["unwire", "code"]), 0);
    assert!(!path.exists());
}

#[test]
fn a_removed_editor_is_no_longer_wired() {
    let (sandbox, path) = sandbox(MINE);
    printed(&sandbox.run(["wire", "code"]), 0);
    std::fs::remove_dir_all(sandbox.home().join(".config/Code")).unwrap();
    printed(&sandbox.run(["unwire", "code"]), 0);
    assert!(kept(&sandbox).is_empty() && !path.exists());
}

#[test]
fn editors_are_detected_or_must_be_named() {
    let sandbox = Sandbox::new();
    let (_, said) = printed(&sandbox.run(["wire", "code"]), 1);
    assert!(said.contains("no editor was found") && said.contains("~/.config/VSCodium/User/settings.json"));
    printed(&sandbox.run(["wire", "code", "--editor", "emacs"]), 2);
    let own = sandbox.write("project/own.json", "{ }");
    let cursor = sandbox.write("home/.config/Cursor/User/settings.json", "{}\n");
    let server = sandbox.write("home/.local/share/code-server/User/settings.json", "{}\n");
    printed(&sandbox.run(["wire", "code", "--editor", "cursor"]), 0);
    assert!(read(&cursor).len() > 3 && read(&server) == "{}\n");
    printed(&sandbox.run(["wire", "code"]), 0);
    printed(&sandbox.run(["wire", "code", "--settings", "own.json"]), 0);
    assert!(read(&server).len() > 3 && read(&own).len() > 3);
    printed(&sandbox.run(["unwire", "code"]), 0);
    assert_eq!([read(&cursor), read(&server), read(&own)], ["{}\n", "{}\n", "{ }"]);
}

#[test]
fn concurrent_runs_wire_an_editor_once() {
    let (sandbox, path) = sandbox(MINE);
    let all: Vec<_> = (0..8).map(|_| sandbox.ccrun(["wire", "code", "-p", "team"]).spawn().unwrap()).collect();
    for child in all {
        printed(&child.wait_with_output().unwrap(), 0);
    }
    assert_eq!(read(&path).matches("CCRUN_PROFILE").count(), 1);
    printed(&sandbox.run(["unwire", "code"]), 0);
    assert_eq!(read(&path), MINE);
}

#[test]
fn wiring_through_a_link_survives_an_upgrade() {
    let (sandbox, _) = sandbox("{}");
    let bin = sandbox.home().join("bin");
    std::fs::create_dir(&bin).unwrap();
    symlink(sandbox.home().with_file_name("bin/ccrun"), bin.join("ccrun")).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let output = sandbox.command("sh").env("PATH", path).args(["-c", "ccrun wire code"]).output().unwrap();
    printed(&output, 0);
    assert_eq!(std::fs::read_link(sandbox.state().join("wired/ccrun-wrap")).unwrap(), bin.join("ccrun"));
}

#[test]
fn wire_is_refused_inside_claude() {
    let (mut sandbox, path) = sandbox(MINE);
    sandbox.set("CLAUDECODE", "1");
    for verb in ["wire", "unwire"] {
        let (said, why) = printed(&sandbox.run([verb, "code"]), 1);
        assert!(said.is_empty() && why.contains("inside a Claude session"));
    }
    assert_eq!(read(&path), MINE);
}

#[test]
fn a_profile_is_written_to_claudes_settings_and_removed_again() {
    let sandbox = Sandbox::new();
    let mine = "{\n  \"model\": \"opus\",\n  \"env\": {\n    \"MINE\": \"1\"\n  }\n}\n";
    let path = sandbox.write("home/.claude/settings.json", mine);
    sandbox.profile(
        "team",
        "team.id = \"platform\"\n[env]\nA = \"b\"\n[destination.d]\nendpoint = \"https://h\"\n\
         headers.Authorization = { env = \"TEAM_TOKEN\", format = \"Bearer {}\" }\n",
    );
    // A project's file must not be written into settings that apply to all projects.
    sandbox.write("project/.ccrun.toml", "[team]\nid = \"one\"\n");
    printed(&sandbox.run(["trust", "--yes"]), 0);
    let (said, _) = printed(&sandbox.run(["wire", "claude", "-p", "team"]), 0);
    assert!(said.contains("`otelHeadersHelper`") && said.contains("`OTEL_EXPORTER_OTLP_ENDPOINT`"), "{said}");
    let wired: Value = serde_json::from_str(&read(&path)).unwrap();
    let ccrun = sandbox.home().with_file_name("bin/ccrun");
    assert_eq!(wired["otelHeadersHelper"], format!("{} headers -p team", ccrun.display()));
    for (name, value) in [
        ("MINE", "1"),
        ("A", "b"),
        ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://h"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team.id=platform"),
    ] {
        assert_eq!(wired["env"][name], value, "{name}");
    }
    assert!(wired["env"].get("OTEL_EXPORTER_OTLP_HEADERS").is_none() && wired["model"] == "opus");
    assert!(printed(&sandbox.run(["unwire", "code"]), 0).0.contains("nothing is wired"));
    printed(&sandbox.run(["unwire", "claude"]), 0);
    assert_eq!(read(&path), mine);
}

#[test]
fn what_claudes_settings_cannot_express_is_refused() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("home/.claude/settings.json", "{\"env\": {\"OTEL_METRICS_EXPORTER\": \"none\"}}");
    let before = read(&path);
    let destination = "[destination.d]\nendpoint = \"https://h\"\n";
    for (profile, reason) in [
        (String::new(), "has no destination"),
        (format!("[redact]\ndrop = [\"x\"]\n{destination}"), "nothing is redacted"),
        (format!("[env]\nKEY = {{ env = \"HOME\" }}\n{destination}"), "`env.KEY` is fetched at each launch"),
        (format!("{destination}protocol = \"grpc\"\nheaders.K = {{ env = \"V\" }}\n"), "calls no header helper"),
        (destination.to_owned(), "already has `OTEL_METRICS_EXPORTER`, `none`, which is not from ccrun"),
    ] {
        sandbox.profile("team", profile);
        let (_, why) = printed(&sandbox.run(["wire", "claude", "-p", "team"]), 1);
        assert!(why.contains(reason), "{why}");
        assert_eq!(read(&path), before);
    }
    printed(&sandbox.run(["wire", "claude"]), 2);
}

#[test]
fn a_profile_that_does_not_exist_is_not_wired() {
    let sandbox = Sandbox::new();
    let settings = sandbox.write("home/.config/Code/User/settings.json", "{}\n");
    for more in [&[][..], &["--dry-run"]] {
        let output = sandbox.run([&["wire", "code", "-p", "nope"], more].concat());
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains("nope"), "{said}");
    }
    assert_eq!(std::fs::read_to_string(settings).unwrap(), "{}\n");
    assert!(!sandbox.state().join("wired").exists(), "nothing is written");
}

#[test]
fn with_several_files_each_change_and_failure_is_reported() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.config/Code/User/settings.json", "{}\n");
    sandbox.write("home/.config/Cursor/User/settings.json", "{ broken\n");
    let output = sandbox.run(["wire", "code"]);
    let said = text(&output.stderr);
    let last = "changed: `~/.config/Code/User/settings.json`; not changed: `~/.config/Cursor/User/settings.json`\n";
    assert!(output.status.code() == Some(1) && said.ends_with(last), "{said}");
    assert!(text(&output.stdout).contains("Code/User/settings.json"), "{}", text(&output.stdout));
}

#[test]
fn doctor_reports_wired_editors_and_broken_wiring() {
    let sandbox = Sandbox::new();
    let settings = sandbox.write("home/.config/Code/User/settings.json", "{}\n");
    let found = || -> Vec<(String, String)> {
        let output = sandbox.run(["doctor", "--json"]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let wiring = report["findings"].as_array().unwrap().iter().filter(|one| one["group"] == "wiring");
        let part = |one: &serde_json::Value, key: &str| one[key].as_str().unwrap().to_owned();
        wiring.map(|one| (part(one, "id"), part(one, "level"))).collect()
    };
    let pair = |id: &str, level: &str| (id.to_owned(), level.to_owned());
    assert!(found().is_empty());
    assert!(sandbox.run(["wire", "code", "-p", "local"]).status.success());
    assert_eq!(found(), [pair("wiring.files", "ok"), pair("wiring.wrapper", "ok")]);
    std::fs::write(&settings, "{}\n").unwrap();
    std::fs::remove_file(sandbox.state().join("wired/ccrun-wrap")).unwrap();
    assert_eq!(found(), [pair("wiring.files", "warning"), pair("wiring.wrapper", "failed")]);
}
