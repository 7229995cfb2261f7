//! Every command in the README and in the pages beside it runs as it stands there.

use crate::support::backend::Backend;
use crate::support::sandbox::{Sandbox, text};

/// Commands that are not run here, each with who runs it.
const ELSEWHERE: [(&str, &str); 12] = [
    ("ccrun setup signoz", "setup, and needs_keyring by another name"),
    ("eval \"$(ccrun init bash)\"", "needs_shells"),
    ("scripts/demo.sh", "needs_claude::demo"),
    ("scripts/test.sh", "whoever runs this"),
    ("ccrun secret set otlp/token", "needs_keyring"),
    ("pass show otlp | ccrun secret set otlp/token", "needs_keyring"),
    ("ccrun secret list", "needs_keyring"),
    ("ccrun secret remove otlp/token", "needs_keyring"),
    ("./install.sh", "install"),
    ("./install.sh --uninstall", "install"),
    ("ccrun doctor -p team --live --offline", "needs_claude::doctor_live"),
    ("alias claude='ccrun claude'", "an alias lasts no longer than its shell"),
];

fn commands() -> Vec<String> {
    let pages = concat!(include_str!("../../README.md"), include_str!("../../docs/rolling-out.md"));
    let blocks = pages.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

#[test]
fn the_readmes_commands_run() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.program("claude", "#!/bin/sh\necho \"claude $*\"\n");
    for program in ["code", "report"] {
        sandbox.program(program, "#!/bin/sh\n");
    }
    let endpoint = backend.endpoint();
    sandbox.profile("team", format!("extends = \"otlp\"\n[vars]\nendpoint = \"{endpoint}\"\n"));
    for path in ["home/.config/Code/User/settings.json", "home/.claude/settings.json"] {
        sandbox.write(path, "{}\n");
    }
    sandbox.write("project/.ccrun.toml", "[team]\nid = \"platform\"\n");
    // A project that nobody has said yes to is told of with every launch.
    sandbox.run(["trust", "--yes"]);
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        if ELSEWHERE.iter().any(|(elsewhere, _)| *elsewhere == command) {
            continue;
        }
        assert!(command.contains("ccrun ") || command.starts_with("claude "), "nothing runs `{command}`");
        let output = sandbox.command("sh").args(["-c", &command]).output().unwrap();
        let said = text(&output.stderr);
        let expected = ["is not trusted and ignored", "this is the whole file"];
        assert!(said.is_empty() || expected.iter().any(|expected| said.contains(expected)), "{command}: {said}");
        assert!(output.status.success(), "{command}");
    }
}

#[test]
fn the_readmes_profile_is_valid() {
    let readme = include_str!("../../README.md");
    let profile = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let sandbox = Sandbox::new();
    sandbox.profile("team", profile);
    let output = sandbox.run(["-p", "team", "--require", "true"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}
