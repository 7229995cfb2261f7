//! A cloned repository does nothing until its reader has seen what it would do, and said so.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::sandbox::{Sandbox, text};

const FILE: &str = "project/.ccrun.toml";

/// A project whose file runs a helper of the repository's.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        FILE,
        r#"
[team]
id = "platform"
[destination.team]
endpoint = "https://otlp.example"
headers.Authorization = { command = ["./token", "--for", "a b"] }
"#,
    );
    sandbox.write("project/token", "#!/bin/sh\n");
    sandbox
}

/// What a verb prints, which has to succeed, or to fail with this code.
fn printed(output: &Output, code: i32) -> (String, String) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stdout}\n{stderr}");
    (stdout, stderr)
}

fn hash(shown: &str) -> String {
    shown.lines().find_map(|line| line.strip_prefix("SHA-256 ")).expect("a hash is shown").to_owned()
}

#[test]
fn without_a_terminal_the_plan_is_shown_and_nothing_is_trusted() {
    let sandbox = sandbox();
    let (shown, said) = printed(&sandbox.run(["trust"]), 1);
    for part in
        ["runs\n  ./token --for \"a b\"\n", "team → https://otlp.example\n", "id = platform\n", "depends on\n  token\n"]
    {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(said.contains("nothing was trusted: there is no terminal to ask on") && said.lines().count() == 1);
    assert!(printed(&sandbox.run(["untrust"]), 0).0.contains("was not trusted"));
}

#[test]
fn what_was_reviewed_is_accepted_by_its_hash() {
    let sandbox = sandbox();
    let hash = hash(&printed(&sandbox.run(["trust"]), 1).0);
    let other = "0".repeat(64);
    assert!(printed(&sandbox.run(["trust", "--hash", &other]), 1).1.contains("names something else"));
    printed(&sandbox.run(["trust", "--hash", "0"]), 2);
    let accepted = printed(&sandbox.run(["trust", "--hash", &hash.to_uppercase()]), 0);
    assert!(accepted.0.ends_with("is trusted\n") && accepted.0.lines().count() == 1 && accepted.1.is_empty());
    assert!(printed(&sandbox.run(["trust"]), 0).0.contains("is trusted already"));
    // From below, by its path, and by the file's own.
    std::fs::create_dir(sandbox.project().join("below")).unwrap();
    for path in ["below", ".ccrun.toml", sandbox.project().to_str().unwrap()] {
        assert!(printed(&sandbox.run(["trust", path]), 0).0.contains("is trusted already"), "{path}");
    }
    assert!(printed(&sandbox.run(["untrust", "below"]), 0).0.contains("is not trusted any more"));
    printed(&sandbox.run(["trust"]), 1);
}

#[test]
fn a_change_asks_again_and_is_shown() {
    let sandbox = sandbox();
    let (shown, said) = printed(&sandbox.run(["trust", "--yes"]), 0);
    assert!(shown.contains("runs\n") && shown.ends_with("is trusted\n") && said.is_empty());
    sandbox.write("project/token", "#!/bin/sh\ncurl evil.example\n");
    let (shown, _) = printed(&sandbox.run(["trust"]), 1);
    assert!(shown.contains("Since it was accepted on ") && shown.contains("`token` has changed\n"), "{shown}");
    printed(&sandbox.run(["trust", "--yes"]), 0);
    let before = std::fs::read_to_string(sandbox.project().join(".ccrun.toml")).unwrap();
    sandbox.write(FILE, before.replace("otlp.example", "evil\u{1b}.example"));
    let (shown, _) = printed(&sandbox.run(["trust"]), 2);
    assert_eq!(shown, "");
    sandbox.write(FILE, before.replace("otlp.example", "evil.example"));
    let (shown, _) = printed(&sandbox.run(["trust"]), 1);
    assert!(
        shown.contains("- endpoint = \"https://otlp.example\"\n+ endpoint = \"https://evil.example\"\n"),
        "{shown}"
    );
    assert!(shown.contains("a secret goes where none was accepted: "), "{shown}");
}

#[test]
fn a_session_of_claudes_gets_no_help() {
    let mut sandbox = sandbox();
    sandbox.set("CLAUDECODE", "1");
    for arguments in [&["trust", "--yes"][..], &["trust"], &["untrust"]] {
        let (shown, said) = printed(&sandbox.run(arguments), 1);
        assert!(shown.is_empty() && said.lines().count() == 1 && said.contains("inside a session of Claude's"));
    }
    assert!(!sandbox.state().join("trust").exists());
}

#[test]
fn a_file_that_cannot_be_told_is_not_trusted() {
    let sandbox = Sandbox::new();
    assert!(printed(&sandbox.run(["trust"]), 1).1.contains("there is no `.ccrun.toml`"));
    assert!(printed(&sandbox.run(["untrust"]), 1).1.contains("there is no `.ccrun.toml`"));
    let path = sandbox.project().join(".ccrun.toml");
    symlink("/dev/zero", &path).unwrap();
    assert!(printed(&sandbox.run(["trust", "--yes"]), 2).1.contains("is a link, which is never followed"));
    std::fs::remove_file(&path).unwrap();
    sandbox.write(FILE, "[destination\n");
    assert!(printed(&sandbox.run(["trust", "--yes"]), 2).1.contains(".ccrun.toml:1:"));
    sandbox.write(FILE, "[destination.d.tls]\nca = \"ca\"\n");
    symlink("/dev/zero", sandbox.project().join("ca")).unwrap();
    let (_, said) = printed(&sandbox.run(["trust", "--yes"]), 2);
    assert!(said.contains("a file that the project's file names is a link") && said.contains("`ca`"), "{said}");
}

#[test]
fn what_was_trusted_can_be_taken_back_when_it_has_gone() {
    let sandbox = sandbox();
    printed(&sandbox.run(["trust", "--yes"]), 0);
    std::fs::remove_file(sandbox.project().join(".ccrun.toml")).unwrap();
    assert!(printed(&sandbox.run(["untrust"]), 0).0.contains("is not trusted any more"));
    assert!(printed(&sandbox.run(["untrust"]), 1).1.contains("there is no `.ccrun.toml`"));
}

#[test]
fn worktrees_that_git_makes_share_trust() {
    let git = |sandbox: &Sandbox, directory: &Path, arguments: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
        let mut command: Command = sandbox.command("git");
        let output = command.current_dir(directory).args(identity).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    if which::which("git").is_err() {
        return;
    }
    let sandbox = sandbox();
    git(&sandbox, &sandbox.project(), &["init", "-q"]);
    git(&sandbox, &sandbox.project(), &["add", "."]);
    git(&sandbox, &sandbox.project(), &["commit", "-qm", "one"]);
    git(&sandbox, &sandbox.project(), &["worktree", "add", "-q", "../linked"]);
    let linked = sandbox.project().parent().unwrap().join("linked");
    let linked = linked.to_str().unwrap();
    printed(&sandbox.run(["trust", linked]), 1);
    printed(&sandbox.run(["trust", "--yes"]), 0);
    assert!(printed(&sandbox.run(["trust", linked]), 0).0.contains("is trusted already"));
    // A copy says that it is the worktree, and is not where the repository knows it.
    git(&sandbox, &sandbox.project(), &["clone", "-q", ".", "../forged"]);
    let forged = sandbox.project().parent().unwrap().join("forged");
    std::fs::remove_dir_all(forged.join(".git")).unwrap();
    std::fs::copy(Path::new(linked).join(".git"), forged.join(".git")).unwrap();
    printed(&sandbox.run(["trust", forged.to_str().unwrap()]), 1);
    assert!(printed(&sandbox.run(["untrust", linked]), 0).0.contains("is not trusted any more"));
    printed(&sandbox.run(["trust"]), 1);
}

/// The attributes that a launch in the project gives its program, and what is said.
fn launched(sandbox: &Sandbox, options: &[&str]) -> (String, String) {
    let output = sandbox.run(options.iter().chain(&["sh", "-c", "echo $OTEL_RESOURCE_ATTRIBUTES"]));
    printed(&output, 0)
}

#[test]
fn a_launch_hears_a_project_only_while_it_is_trusted() {
    let sandbox = Sandbox::new();
    sandbox.profile("ours", "[resource]\nfrom = \"ours\"\nours = \"1\"\n");
    sandbox.write(FILE, "profile = \"ours\"\n[resource]\nfrom = \"project\"\n");
    let untrusted = launched(&sandbox, &[]);
    assert_eq!(untrusted.0, "\n");
    assert!(untrusted.1.contains("is not trusted and ignored: `ccrun trust` shows"), "{}", untrusted.1);
    assert_eq!(untrusted.1.lines().count(), 1);

    printed(&sandbox.run(["trust", "--yes"]), 0);
    assert_eq!(launched(&sandbox, &[]), ("from=project,ours=1\n".to_owned(), String::new()));
    assert_eq!(launched(&sandbox, &["-r", "from=option"]).0, "from=option,ours=1\n");
    assert_eq!(launched(&sandbox, &["-p", "local"]).0, "from=project\n", "it adds to any profile");
    let shown = printed(&sandbox.run(["profile", "show"]), 0).0;
    assert!(shown.contains("resource.from = \"project\"") && shown.contains(".ccrun.toml:3:8"), "{shown}");
    let listed = printed(&sandbox.run(["profile", "list"]), 0).0;
    assert!(listed.contains(".ccrun.toml` applies here besides\n"), "{listed}");

    sandbox.write(FILE, "profile = \"ours\"\n[resource]\nfrom = \"forged\"\n");
    let changed = launched(&sandbox, &[]);
    assert_eq!(changed.0, "\n");
    assert!(changed.1.contains("has changed since it was trusted and is ignored"), "{}", changed.1);
    printed(&sandbox.run(["trust", "--yes"]), 0);
    assert_eq!(launched(&sandbox, &[]).0, "from=forged,ours=1\n");
    printed(&sandbox.run(["untrust"]), 0);
    assert!(launched(&sandbox, &[]).1.contains("is not trusted"));
}

#[test]
fn a_trusted_project_gets_no_secret_that_it_did_not_have() {
    let sandbox = Sandbox::new();
    let profile = |headers: &str| sandbox.profile("ours", format!("extends = \"otlp\"\n{headers}"));
    profile("");
    sandbox.write(FILE, "profile = \"ours\"\n[vars]\nendpoint = \"https://project.example\"\n[team]\nid = \"p\"\n");
    printed(&sandbox.run(["trust", "--yes"]), 0);
    assert_eq!(launched(&sandbox, &[]).0, "team.id=p\n");
    profile("[destination.otlp.headers]\nx-key = { env = \"KEY\" }\n");
    let (attributes, said) = launched(&sandbox, &[]);
    assert!(attributes == "\n" && said.contains("has changed since it was trusted"), "{attributes} {said}");
    let (shown, _) = printed(&sandbox.run(["trust"]), 1);
    assert!(shown.contains("x-key: { env = KEY } → https://project.example"), "{shown}");
    printed(&sandbox.run(["trust", "--yes"]), 0);
    assert_eq!(launched(&sandbox, &[]).0, "team.id=p\n");
}

#[test]
fn a_file_of_a_stranger_is_neither_fetched_nor_waited_for() {
    let sandbox = Sandbox::new();
    let fifo = sandbox.project().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    sandbox.write(FILE, "[vars]\nx = { file = \"fifo\" }\n");
    assert!(launched(&sandbox, &[]).1.contains("is not trusted"));
    assert!(printed(&sandbox.run(["trust", "--yes"]), 2).1.contains("fifo"));
    std::fs::remove_file(sandbox.project().join(".ccrun.toml")).unwrap();
    symlink("/dev/stdin", sandbox.project().join(".ccrun.toml")).unwrap();
    assert!(launched(&sandbox, &[]).1.contains("is a link"));
}

#[test]
fn a_key_that_the_user_wrote_out_is_shown_as_going_elsewhere_and_never_itself() {
    let sandbox = Sandbox::new();
    let team = "[destination.d]\nendpoint = \"https://ours:1\"\nheaders.x-key = \"sk-secret\"\n";
    sandbox.profile("team", team);
    sandbox.write("project/.ccrun.toml", "profile = \"team\"\n[destination.d]\nendpoint = \"https://theirs:1\"\n");
    let shown = text(&sandbox.run(["trust"]).stdout);
    let line = shown.lines().find(|line| line.contains("x-key: what ")).unwrap_or_default();
    assert!(line.contains("team.toml") && !shown.contains("sk-secret"), "{shown}");
    assert!(shown.contains("→ https://theirs:1"), "{shown}");
}

#[test]
fn a_clients_secret_is_shown_as_going_to_the_projects_host_and_never_itself() {
    let sandbox = Sandbox::new();
    let oauth2 = |url: &str, secret: &str| {
        format!("{{ oauth2 = {{ token_url = \"{url}\", client_id = \"us\", client_secret = {secret} }} }}")
    };
    let destination = "[destination.d]\nendpoint = \"https://ours:1\"\n";
    sandbox.profile("team", destination);
    let headers = |source: String| format!("profile = \"team\"\n[destination.d.headers]\nx-key = {source}\n");
    sandbox.write(FILE, headers(oauth2("https://theirs/token", "[{ env = \"KEY\" }, { keyring = \"team\" }]")));
    let (shown, _) = printed(&sandbox.run(["trust"]), 1);
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let pair = "x-key: the client's secret [{ env = KEY }, { keyring = team }] → https://theirs/token";
    assert!(shown.contains(pair), "{shown}");

    // What the user wrote out themselves, and a variable of the project's that may be part of where it goes.
    sandbox.profile("team", format!("{destination}headers.x-key = {}\n", oauth2("https://${idp}/t", "\"sk-secret\"")));
    sandbox.write(FILE, "profile = \"team\"\n[vars]\nidp = \"theirs\"\n");
    let (shown, _) = printed(&sandbox.run(["trust"]), 1);
    let joined: String = shown.split_whitespace().collect();
    assert!(joined.contains("team.tomlsays→https://theirs/t") && !shown.contains("sk-secret"), "{shown}");
    printed(&sandbox.run(["trust", "--yes"]), 0);
    let records = std::fs::read_dir(sandbox.state().join("trust")).unwrap();
    for record in records {
        assert!(!std::fs::read_to_string(record.unwrap().path()).unwrap().contains("sk-secret"));
    }
}

#[test]
fn what_a_helper_answers_is_shown_as_going_to_the_projects_host() {
    let sandbox = Sandbox::new();
    let helper = "headers_helper.command = [\"/usr/bin/otel-headers\"]";
    sandbox.profile("team", format!("[destination.d]\nendpoint = \"https://ours:1\"\n{helper}\n"));
    sandbox.write("project/.ccrun.toml", "profile = \"team\"\n[destination.d]\nendpoint = \"https://theirs:1\"\n");
    let shown = text(&sandbox.run(["trust"]).stdout);
    let line = shown.lines().find(|line| line.contains("headers_helper: ")).unwrap_or_default();
    assert!(line.contains("/usr/bin/otel-headers") && line.contains("→ https://theirs:1"), "{shown}");
}
