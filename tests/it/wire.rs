//! `ccrun wire` and `ccrun unwire`: settings of others name `ccrun`, and are as they were afterwards.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::support::sandbox::{Sandbox, text};

/// Settings as people keep them.
const MINE: &str =
    "// mine\n{\n  \"editor.fontSize\": 12, // large\n\n  /* and */ \"files.exclude\": {\"**/x\": true,},\n}\n";

/// A home in which Visual Studio Code has been, with these settings.
fn sandbox(settings: &str) -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    let path = sandbox.write("home/.config/Code/User/settings.json", settings);
    (sandbox, path)
}

/// What a verb prints, which has to end with this code.
#[track_caller]
fn printed(output: &Output, code: i32) -> (String, String) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stdout}\n{stderr}");
    (stdout, stderr)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// What is in the state directory but the lock.
fn kept(sandbox: &Sandbox) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.state().join("wired")).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "lock").collect()
}

#[test]
fn it_is_wired_once_and_unwired_to_the_byte() {
    let (sandbox, path) = sandbox(MINE);
    let (said, _) = printed(&sandbox.run(["wire", "code"]), 0);
    assert!(said.starts_with("`~/.config/Code/User/settings.json` was given `claudeCode.claudeProcessWrapper`\n"));
    let backup = sandbox.home().join(said.split("`~/").nth(2).unwrap().split('`').next().unwrap());
    assert_eq!(read(&backup), MINE);
    let wired = read(&path);
    let link = sandbox.state().join("wired/ccrun-wrap");
    let entry = format!("{{\n  \"claudeCode.claudeProcessWrapper\": \"{}\",\n  \"editor", link.display());
    assert_eq!(wired, MINE.replace("{\n  \"editor", &entry));
    assert_eq!(std::fs::read_link(&link).unwrap(), sandbox.home().with_file_name("bin/ccrun"));

    let (said, _) = printed(&sandbox.run(["wire", "code"]), 0);
    assert!(said.contains("is wired already") && read(&path) == wired && read(&backup) == MINE, "{said}");
    let (said, _) = printed(&sandbox.run(["unwire", "code", "--dry-run"]), 0);
    assert!(said.contains("would be without ccrun") && read(&path) == wired);
    printed(&sandbox.run(["unwire", "code"]), 0);
    assert_eq!(read(&path), MINE);
    assert_eq!(kept(&sandbox), Vec::<String>::new());
    assert_eq!(printed(&sandbox.run(["unwire", "code"]), 0).0, "nothing is wired\n");
}

#[test]
fn a_profile_and_variables_go_with_it_and_may_change() {
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
fn what_others_write_meanwhile_stays() {
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
    assert!(said.contains("`claudeCode.claudeProcessWrapper` is not what ccrun had put there, and stays"), "{said}");
    assert!(read(&path).contains("\"/mine\""));
}

#[test]
fn nothing_of_somebody_elses_is_touched() {
    for (settings, reason) in [
        (
            r#"{"claudeCode.claudeProcessWrapper": "/theirs"}"#,
            "has `claudeCode.claudeProcessWrapper` already, `/theirs`, which is not ours",
        ),
        (
            r#"{"claudeCode.environmentVariables": [{"name": "CCRUN_PROFILE", "value": "sk-x"}]}"#,
            "CCRUN_PROFILE` already, which is not ours",
        ),
        ("{\n  \"a\": 1\n  \"b\": 2\n}", "settings.json:2:9 is no JSON with comments"),
        ("[]", "holds something else than an object"),
    ] {
        let (sandbox, path) = sandbox(settings);
        let (said, why) = printed(&sandbox.run(["wire", "code", "-p", "team"]), 1);
        assert!(why.contains(reason) && why.lines().count() == 1 && said.is_empty(), "{why}");
        assert_eq!(read(&path), settings);
        assert_eq!(kept(&sandbox), Vec::<String>::new());
        let path = path.to_str().unwrap();
        assert!(printed(&sandbox.run(["unwire", "code", "--settings", path]), 0).0.contains("was not wired by ccrun"));
    }
}

#[test]
fn a_link_stays_a_link_and_permissions_stay() {
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
    assert_eq!(std::fs::read_dir(real.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_file_that_was_not_there_goes_again() {
    let (sandbox, path) = sandbox("");
    std::fs::remove_file(&path).unwrap();
    let (said, _) = printed(&sandbox.run(["wire", "code", "--dry-run"]), 0);
    assert!(said.contains("would be given") && !path.exists() && !sandbox.state().join("wired").exists());
    printed(&sandbox.run(["wire", "code"]), 0);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    printed(&sandbox.run(["unwire", "code"]), 0);
    assert!(!path.exists());
}

#[test]
fn an_editor_that_was_removed_is_not_wired_any_more() {
    let (sandbox, path) = sandbox(MINE);
    printed(&sandbox.run(["wire", "code"]), 0);
    std::fs::remove_dir_all(sandbox.home().join(".config/Code")).unwrap();
    printed(&sandbox.run(["unwire", "code"]), 0);
    assert!(kept(&sandbox).is_empty() && !path.exists());
}

#[test]
fn which_editors_are_meant_is_found_or_said() {
    let sandbox = Sandbox::new();
    let (_, said) = printed(&sandbox.run(["wire", "code"]), 1);
    assert!(said.contains("no editor has been here yet") && said.contains("~/.config/VSCodium/User/settings.json"));
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
fn many_at_once_wire_it_once() {
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
fn a_link_to_the_program_outlasts_its_upgrade() {
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
fn a_session_of_claudes_gets_no_help() {
    let (mut sandbox, path) = sandbox(MINE);
    sandbox.set("CLAUDECODE", "1");
    for verb in ["wire", "unwire"] {
        let (said, why) = printed(&sandbox.run([verb, "code"]), 1);
        assert!(said.is_empty() && why.contains("inside a session of Claude's"));
    }
    assert_eq!(read(&path), MINE);
}

#[test]
fn a_profile_goes_into_claudes_own_settings_and_out_again() {
    let sandbox = Sandbox::new();
    let mine = "{\n  \"model\": \"opus\",\n  \"env\": {\n    \"MINE\": \"1\"\n  }\n}\n";
    let path = sandbox.write("home/.claude/settings.json", mine);
    sandbox.profile(
        "team",
        "team.id = \"platform\"\n[env]\nA = \"b\"\n[destination.d]\nendpoint = \"https://h\"\n\
         headers.Authorization = { env = \"TEAM_TOKEN\", format = \"Bearer {}\" }\n",
    );
    // A project's file would be written down for all projects.
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
fn what_claudes_settings_cannot_say_is_refused() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("home/.claude/settings.json", "{\"env\": {\"OTEL_METRICS_EXPORTER\": \"none\"}}");
    let before = read(&path);
    let destination = "[destination.d]\nendpoint = \"https://h\"\n";
    for (profile, reason) in [
        (String::new(), "sends nothing anywhere"),
        (format!("[redact]\ndrop = [\"x\"]\n{destination}"), "nothing is redacted"),
        (format!("[env]\nKEY = {{ env = \"HOME\" }}\n{destination}"), "`env.KEY` is fetched at each launch"),
        (format!("{destination}protocol = \"grpc\"\nheaders.K = {{ env = \"V\" }}\n"), "asks nobody for headers"),
        (destination.to_owned(), "has `OTEL_METRICS_EXPORTER` already, `none`, which is not ours"),
    ] {
        sandbox.profile("team", profile);
        let (_, why) = printed(&sandbox.run(["wire", "claude", "-p", "team"]), 1);
        assert!(why.contains(reason), "{why}");
        assert_eq!(read(&path), before);
    }
    printed(&sandbox.run(["wire", "claude"]), 2);
}
