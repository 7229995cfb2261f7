//! Every example in a help text runs as written.

use ccrun::cli::Cli;
use clap::Command;

use crate::readme::prepared;
use crate::support::emitter::ids;
use crate::support::sandbox::text;
use crate::support::session::Session;

/// Examples that do not run here, with the test that runs them or the reason.
const ELSEWHERE: [(&str, &str); 31] = [
    ("ccrun report --from team --by person", "sources"),
    ("ccrun report --by model --open", "report, with an opener that is a stand-in"),
    ("ccrun tail --session 7a64b203 -n 50", "tail, by an id that is there"),
    ("ccrun top", "needs_claude::tmux::top: it wants a terminal"),
    ("ccrun top --project .", "needs_claude::tmux::top"),
    ("ccrun top --session 7a64b203", "needs_claude::tmux::top, by a project"),
    ("ccrun metrics", "metrics: it serves until it is ended"),
    ("ccrun metrics --label team,project", "metrics"),
    ("ccrun metrics --listen 0.0.0.0:9464 --token-file metrics.token", "metrics"),
    ("alias claude='ccrun claude'", "an alias lasts no longer than its shell"),
    ("eval \"$(ccrun init bash)\"", "needs_shells"),
    ("eval \"$(ccrun init zsh)\"", "needs_shells"),
    ("ccrun init fish | source", "needs_shells"),
    ("ccrun env -p gateway --format fish | source", "fish alone has `source`; env"),
    ("ccrun secret set signoz/ingestion-key", "needs_keyring"),
    ("pass show signoz | ccrun secret set signoz/ingestion-key", "needs_keyring"),
    ("ccrun secret list", "needs_keyring"),
    ("ccrun setup signoz", "needs_keyring by another name"),
    ("printf %s \"$KEY\" | ccrun setup signoz --var region=eu --default --no-alias", "needs_keyring by another name"),
    ("ccrun report session 7a64b203", "report, by an id that is there"),
    ("ccrun ledger forget --person me@example.org", "report, with usage that can be forgotten"),
    ("ccrun ledger forget --project . --before 2026-01-01", "report, with usage that can be forgotten"),
    ("ccrun budget lift 2h", "budget, with a budget to lift"),
    ("ccrun budget lift 30m", "budget, with a budget to lift"),
    ("ccrun budget lift 2h -p team", "budget, with a budget to lift"),
    ("ccrun trust", "trust: without a terminal it only shows"),
    ("ccrun trust --hash $SHA", "trust, with a hash that was shown"),
    ("ccrun doctor --live --offline", "needs_claude::doctor_live"),
    ("ccrun wrap /path/to/claude -p hi", "wrap, by a path that is there"),
    ("ccrun wrap /usr/bin/node /path/to/cli.js", "wrap, by a path that is there"),
    ("ccrun queue flush -p team --to otlp", "queue: without orphaned batches there is nothing to send"),
];

/// Collects the examples of a verb and of its subcommands, each with its verb.
fn examples(command: &Command, found: &mut Vec<(String, String)>) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let block = help.split_once("Examples:\n").map_or("", |(_, block)| block);
    for line in block.lines().take_while(|line| !line.trim().is_empty()) {
        let name = command.get_bin_name().unwrap_or_default();
        assert!(line.starts_with("  ") && line.len() > 2, "`{name}`: examples must be indented: `{line}`");
        let shown = &line[2..];
        if shown.starts_with(['{', '"']) || shown.starts_with("      ") {
            // Settings, and continued explanations of the line above.
            continue;
        }
        assert!(!shown.starts_with(' '), "`{name}`: examples must be indented by two spaces: `{line}`");
        // Two spaces separate a command from its explanation.
        found.push((name.to_owned(), shown.split("  ").next().unwrap().to_owned()));
    }
    for verb in command.get_subcommands() {
        examples(verb, found);
    }
}

#[test]
fn the_examples_of_help_texts_run() {
    let (sandbox, _backend) = prepared();
    sandbox.profile("gateway", "[env]\nANTHROPIC_BASE_URL = \"https://litellm:4000\"\n");
    std::fs::create_dir_all(sandbox.home().join(".local/bin")).unwrap();
    for directory in ["backup/.claude/projects", "Dropbox/ccrun"] {
        std::fs::create_dir_all(sandbox.home().join(directory)).unwrap();
    }
    let price = "{\"input_cost_per_token\": 5e-6, \"output_cost_per_token\": 25e-6}";
    sandbox.write("project/prices.json", format!("{{\"claude-opus-5-5\": {price}}}\n"));
    sandbox.program("jq", "#!/bin/sh\ncat >/dev/null\n");
    sandbox.write("home/.config/Cursor/User/settings.json", "{}\n");
    let session = Session::start(&sandbox, &["-p", "local"]);
    session.client().export(&ids("record", 1));
    let id = session.id.clone();
    session.end();
    sandbox.wait_for_end();
    let mut found = Vec::new();
    examples(&Cli::definition(), &mut found);
    assert!(found.len() > 40, "{found:?}");
    for (verb, example) in &found {
        if ELSEWHERE.iter().any(|(elsewhere, _)| elsewhere == example) {
            continue;
        }
        let command = example.replace("ccrun sessions 3f0a", &format!("ccrun sessions {}", &id[..4]));
        assert!(command.contains("ccrun"), "`{verb}`: no test runs `{command}`");
        // A verb that follows sessions ends only on a signal.
        let follows = verb == "ccrun tail";
        let mut run = sandbox.command(if follows { "timeout" } else { "sh" });
        if follows {
            run.args(["--preserve-status", "-s", "INT", "2", "sh"]);
        }
        let output = run.args(["-c", &command]).output().unwrap();
        let said = text(&output.stderr);
        let expected = ["this is the whole file", "the report is in"];
        assert!(said.is_empty() || expected.iter().any(|part| said.contains(part)), "`{verb}`: {command}: {said}");
        assert!(follows || output.status.success(), "`{verb}`: {command}: {}", text(&output.stdout));
    }
    for (elsewhere, _) in ELSEWHERE {
        assert!(found.iter().any(|(_, example)| example == elsewhere), "`{elsewhere}` is no longer in any help text");
    }
}
