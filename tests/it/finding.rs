//! How the program is found: where `claude` is, and which programs of that name only run `ccrun` again.

use crate::support::sandbox::{Sandbox, text};

#[test]
fn claude_is_never_ccrun_itself() {
    let sandbox = Sandbox::new();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ccrun"), sandbox.home().join("claude")).unwrap();
    let script = format!("PATH={}:$PATH exec ccrun claude", sandbox.home().display());
    let output = sandbox.command("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(output.status.code(), Some(127), "{}", text(&output.stderr));
    sandbox.program("claude", "#!/bin/sh\necho the real one\n");
    let output = sandbox.command("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(text(&output.stdout), "the real one\n");
}

#[test]
fn a_shim_that_runs_ccrun_again_is_skipped_and_the_first_session_continues() {
    let sandbox = Sandbox::new();
    for shims in ["one", "two"] {
        let shim = sandbox.write(format!("{shims}/claude"), "#!/bin/sh\nexec ccrun claude \"$@\"\n");
        std::fs::set_permissions(shim, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    sandbox.program("claude", "#!/bin/sh\necho $$ $CCRUN_SESSION \"$@\"\n");
    let root = sandbox.home().parent().unwrap().display().to_string();
    let script = format!("PATH={root}/one:{root}/two:$PATH exec ccrun claude -p hi");
    let child = sandbox.command("sh").args(["-c", &script]).spawn().unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stderr), "");
    let stdout = text(&output.stdout);
    let words: Vec<_> = stdout.split_whitespace().collect();
    let settings = sandbox.settings();
    assert_eq!(settings.len(), 1, "one session");
    let expected = [&pid.to_string(), words[1], "--settings", settings[0].to_str().unwrap(), "-p", "hi"];
    assert_eq!(words, expected);
    assert_eq!(sandbox.collectors().len(), 2);
}

#[test]
fn an_endless_shim_is_reported() {
    let sandbox = Sandbox::new();
    for (shim, sessions) in [("exec ccrun claude", 1), ("ccrun claude", 10)] {
        sandbox.program("claude", &format!("#!/bin/sh\n{shim} \"$@\"\n"));
        let output = sandbox.run(["claude"]);
        assert!(matches!(output.status.code(), Some(126 | 127)), "{shim}");
        assert_eq!(text(&output.stderr).lines().count(), 1, "{}", text(&output.stderr));
        assert!(sandbox.settings().len() <= sessions, "{shim}");
    }
}

#[test]
fn a_program_runs_at_any_nesting_depth() {
    let sandbox = Sandbox::new();
    let nest =
        "#!/bin/sh\n[ $1 = 0 ] && echo \"bottom $CCRUN_SESSION\" && exit 7\nccrun sh \"$0\" $(($1 - 1)); exit $?\n";
    let nest = sandbox.program("nest", nest);
    let output = sandbox.run(["sh", nest.to_str().unwrap(), "15"]);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    let printed = text(&output.stdout);
    let last = printed.trim().strip_prefix("bottom ").unwrap();
    assert!(!last.is_empty(), "the program is in a session: {printed}");
    // A script that runs `ccrun` is different from a shim.
    sandbox.program("tool", "#!/bin/sh\nccrun tool\n");
    let output = sandbox.run(["tool"]);
    assert_eq!(output.status.code(), Some(126));
    assert!(text(&output.stderr).contains("put the directory of the real program first on PATH"));
    sandbox.wait_for_end();
}

#[test]
fn ccrun_claude_names_claude_or_is_an_error() {
    let mut sandbox = Sandbox::new();
    sandbox.program("claude", "#!/bin/sh\necho on the PATH\n");
    let other = sandbox.write("elsewhere/claude-native", "#!/bin/sh\necho named\n");
    std::fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    sandbox.set("CCRUN_CLAUDE", other.to_str().unwrap());
    assert_eq!(text(&sandbox.run(["claude"]).stdout), "named\n");
    // An explicit path is used as given. Other programs are not affected.
    assert_eq!(text(&sandbox.run(["../bin/claude"]).stdout), "on the PATH\n");
    assert_eq!(text(&sandbox.run(["echo", "hi"]).stdout), "hi\n");
    let ourselves = env!("CARGO_BIN_EXE_ccrun");
    for (value, reason) in [
        ("claude", "the path must be absolute"),
        ("/nonexistent/claude", "there is no such file"),
        (ourselves, "that is ccrun itself"),
    ] {
        sandbox.set("CCRUN_CLAUDE", value);
        let output = sandbox.run(["claude"]);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(127), ""), "{value}");
        assert!(said.contains(reason) && said.contains(value) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn claude_is_found_where_its_installers_put_it() {
    for place in [".local/bin", ".claude/local", ".npm-global/bin"] {
        let sandbox = Sandbox::new();
        // A file that is not executable is skipped.
        sandbox.write("home/.local/bin/claude", "no program");
        let path = sandbox.write(format!("home/{place}/claude"), format!("#!/bin/sh\necho {place}\n"));
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(text(&sandbox.run(["claude"]).stdout), format!("{place}\n"));
    }
}

#[test]
fn every_kind_of_shim_leads_to_the_real_claude_with_one_session() {
    let sandbox = Sandbox::new();
    let root = sandbox.home().parent().unwrap().to_owned();
    let script = |name: &str, text: &str| {
        let path = sandbox.write(format!("{name}/claude"), text);
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    script("exec", "#!/bin/sh\nexec ccrun claude \"$@\"\n");
    script("fork", "#!/bin/sh\nccrun claude \"$@\"\n");
    script("function", "#!/bin/bash\nclaude() { ccrun claude \"$@\"; }\nclaude \"$@\"\n");
    script("chain", "#!/bin/sh\nexec sh -c 'exec env A=b ccrun claude \"$@\"' sh \"$@\"\n");
    std::fs::create_dir(root.join("link")).unwrap();
    std::os::unix::fs::symlink(root.join("fork/claude"), root.join("link/claude")).unwrap();
    std::fs::create_dir(root.join("us")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ccrun"), root.join("us/claude")).unwrap();
    sandbox.program("claude", "#!/bin/sh\necho the real one \"$@\"\n");
    for shims in [
        &["exec"][..],
        &["fork"],
        &["function"],
        &["chain"],
        &["link"],
        &["us", "exec"],
        &["exec", "fork"],
        &["fork", "exec", "us", "chain", "link"],
    ] {
        let before = sandbox.settings().len();
        let path = shims.iter().map(|shim| format!("{}:", root.join(shim).display())).collect::<Vec<_>>().concat();
        let output =
            sandbox.command("sh").args(["-c", &format!("PATH={path}$PATH exec ccrun claude -p hi")]).output().unwrap();
        assert_eq!(text(&output.stderr), "", "{shims:?}");
        let stdout = text(&output.stdout);
        assert!(
            stdout.starts_with("the real one --settings ") && stdout.ends_with(".json -p hi\n"),
            "{shims:?} {stdout}"
        );
        assert_eq!(sandbox.settings().len(), before + 1, "{shims:?}");
    }
}

#[test]
fn shims_that_fork_each_other_are_stopped() {
    let sandbox = Sandbox::new();
    let root = sandbox.home().parent().unwrap().to_owned();
    for name in ["one", "two"] {
        let path = sandbox.write(format!("{name}/claude"), "#!/bin/sh\nccrun claude \"$@\"\n");
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    sandbox.program("again", "#!/bin/sh\nccrun run env again\n");
    let path = format!("{}:{}", root.join("one").display(), root.join("two").display());
    for command in ["claude", "again"] {
        let script = format!("PATH={path}:$PATH exec ccrun {command}");
        let output = sandbox.command("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(output.status.code(), Some(126), "{}", text(&output.stderr));
        assert_eq!(text(&output.stderr).lines().count(), 1, "{}", text(&output.stderr));
    }
}

#[test]
fn a_misspelled_verb_gets_a_suggestion() {
    let sandbox = Sandbox::new();
    for (word, hint) in [("reprot", ": did you mean `ccrun report`?\n"), ("quxy", "\n"), ("./reprot", "\n")] {
        let output = sandbox.run([word]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(127), "{word}: {said}");
        assert!(said.ends_with(hint) && said.contains("did you mean") == (word == "reprot"), "{word}: {said}");
    }
    // An existing program runs, and a likely program name gets no suggestion.
    sandbox.program("reprot", "#!/bin/sh\nexit 5\n");
    assert_eq!(sandbox.run(["reprot"]).status.code(), Some(5));
    assert!(!text(&sandbox.run(["run", "sesions"]).stderr).contains("did you mean"));
}

#[test]
fn help_works_as_a_verb() {
    let sandbox = Sandbox::new();
    for (words, same) in [
        (&["help"][..], &["--help"][..]),
        (&["help", "report"], &["report", "--help"]),
        (&["help", "queue", "flush"], &["queue", "flush", "--help"]),
    ] {
        let (helped, shown) = (sandbox.run(words), sandbox.run(same));
        assert_eq!((text(&helped.stdout), text(&helped.stderr)), (text(&shown.stdout), String::new()), "{words:?}");
        assert!(helped.status.success());
    }
    let output = sandbox.run(["help", "reprot"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stderr), "ccrun: `ccrun` has no verb `reprot`: did you mean `report`?\n");
}

#[test]
fn options_before_a_verb_apply_to_the_verb() {
    let sandbox = Sandbox::new();
    sandbox.profile("team", "[destination.own]\nendpoint = \"http://127.0.0.1:9\"\nheaders = { x = \"1\" }\n");
    for (before, behind) in [
        (&["-p", "team", "headers"][..], &["headers", "-p", "team"][..]),
        (&["-p", "team", "report"], &["report", "-p", "team"]),
        (&["-p", "nope", "report"], &["report", "-p", "nope"]),
        (&["-p", "team", "profile", "show"], &["profile", "show", "-p", "team"]),
        (&["--direct", "-p", "team", "env"], &["env", "--direct", "-p", "team"]),
    ] {
        let (before, behind) = (sandbox.run(before), sandbox.run(behind));
        assert_eq!(text(&before.stdout), text(&behind.stdout));
        assert_eq!(text(&before.stderr), text(&behind.stderr));
        assert_eq!(before.status.code(), behind.status.code());
    }
    assert_eq!(text(&sandbox.run(["-p", "team", "headers"]).stdout), "{\"x\":\"1\"}\n");
    assert_eq!(sandbox.run(["-p", "nope", "report"]).status.code(), Some(2));
    let refused = sandbox.run(["-p", "team", "secret", "list"]);
    let expected = "ccrun: this verb does not take the options before it: launch options apply to a program\n";
    assert_eq!((text(&refused.stderr).as_str(), refused.status.code()), (expected, Some(2)));
}
