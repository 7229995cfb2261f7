//! Every command in the README and in docs/ runs as written.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::backend::Backend;
use crate::support::sandbox::{Sandbox, text};

/// Commands that do not run here, with the test that runs them or the reason.
const ELSEWHERE: [(&str, &str); 21] = [
    ("ccrun report --from team", "sources"),
    ("ccrun report --from team --by person,model --since 30d", "sources"),
    ("ccrun report --from team --by day --where team=platform --json", "sources"),
    ("ccrun report week --from team --seats 14", "sources"),
    ("ccrun tail", "tail: it does not end by itself"),
    ("ccrun tail --json", "tail"),
    ("ccrun tail --project . --event api_request,api_error", "tail"),
    ("ccrun top", "needs_claude::tmux::top: it wants a terminal"),
    ("ccrun top --project .", "needs_claude::tmux::top"),
    ("ccrun setup signoz", "setup, and needs_keyring by another name"),
    ("eval \"$(ccrun init bash)\"", "needs_shells"),
    ("scripts/demo.sh", "needs_claude::demo"),
    ("scripts/test.sh", "the run that this test is part of"),
    ("ccrun secret set otlp/token", "needs_keyring"),
    ("pass show otlp | ccrun secret set otlp/token", "needs_keyring"),
    ("ccrun secret list", "needs_keyring"),
    ("ccrun secret remove otlp/token", "needs_keyring"),
    ("./install.sh", "install"),
    ("./install.sh --uninstall", "install"),
    ("ccrun doctor -p team --live --offline", "needs_claude::doctor_live"),
    ("alias claude='ccrun claude'", "an alias lasts no longer than its shell"),
];

/// The README and the pages of docs/, with their paths.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    paths.sort();
    paths.insert(0, root.join("README.md"));
    paths.extend(["CONTRIBUTING.md", "profiles/README.md"].map(|name| root.join(name)));
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The code blocks of a page in this language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(&fence).skip(1).map(|block| block.split("```").next().unwrap()).collect::<Vec<_>>()
}

fn commands() -> Vec<String> {
    let pages = pages();
    let commands = pages.iter().flat_map(|(_, page)| blocks(page, "sh")).flat_map(str::lines);
    commands.map(|command| command.trim().to_owned()).filter(|command| !command.is_empty()).collect()
}

/// A home that has everything the pages mention, and the backend of its profile `team`.
pub fn prepared() -> (Sandbox, Backend) {
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
    // Otherwise every launch would report the untrusted project file.
    sandbox.run(["trust", "--yes"]);
    (sandbox, backend)
}

#[test]
fn every_command_in_the_documentation_runs() {
    let (sandbox, _backend) = prepared();
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        if ELSEWHERE.iter().any(|(elsewhere, _)| *elsewhere == command) {
            continue;
        }
        assert!(command.contains("ccrun ") || command.starts_with("claude "), "no test runs `{command}`");
        let output = sandbox.command("sh").args(["-c", &command]).output().unwrap();
        let said = text(&output.stderr);
        let expected = ["is not trusted, so it is ignored", "this is the whole file"];
        assert!(said.is_empty() || expected.iter().any(|expected| said.contains(expected)), "{command}: {said}");
        assert!(output.status.success(), "{command}");
    }
}

#[test]
fn every_profile_in_the_documentation_is_valid() {
    let sandbox = Sandbox::new();
    let pages =
        [include_str!("../../README.md"), include_str!("../../docs/profiles.md"), include_str!("../../docs/teams.md")];
    for page in pages {
        sandbox.profile("team", blocks(page, "toml")[0]);
        let output = sandbox.run(["-p", "team", "--require", "true"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

#[test]
fn the_links_between_the_pages_are_valid() {
    for (path, page) in pages() {
        for target in page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(file.exists(), "`{}` links to `{target}`, which does not exist", path.display());
            if !anchor.is_empty() {
                let found = fs::read_to_string(&file).unwrap().lines().any(|line| slug(line) == anchor);
                assert!(found, "`{}` links to `{target}`, which has no such heading", path.display());
            }
        }
    }
}

/// The anchor of a heading.
fn slug(line: &str) -> String {
    let heading = line.trim_start_matches('#').trim().to_lowercase();
    heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn the_readme_stays_short() {
    assert!(include_str!("../../README.md").len() <= 10 * 1024, "README.md is too long: details belong in docs/");
}
