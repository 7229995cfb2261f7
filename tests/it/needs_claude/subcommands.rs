//! Subcommands of Claude Code behave as without `ccrun`.

use std::collections::BTreeSet;

use crate::support::claude::{Client, finish};
use crate::support::sandbox::text;
use ccrun::doctor::live::model::Script;

/// With `--settings` before them, these would become a prompt or an error.
const WITHOUT_SETTINGS: [&[&str]; 10] = [
    &["attach", "nonexistent"],
    &["daemon", "status"],
    &["kill", "nonexistent"],
    &["logs", "nonexistent"],
    &["rc", "--help"],
    &["remote-control", "--help"],
    &["respawn", "nonexistent"],
    &["rm", "nonexistent"],
    &["stop", "nonexistent"],
    &["stop"],
];

/// Runs a command with and without `ccrun`, and compares output and exit code.
fn same(client: &Client, words: &[&str]) -> Result<(), String> {
    let direct = finish(client.command(client.home().join("../bin/claude")).args(words).spawn().unwrap());
    let launched = finish(client.claude(&[], words).spawn().unwrap());
    if launched == direct { Ok(()) } else { Err(format!("{words:?}: {launched:?} instead of {direct:?}")) }
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn subcommands_that_would_become_a_prompt_do_not() {
    let client = Client::new(Script::text("this was taken for a prompt"));
    let wrong: Vec<_> = WITHOUT_SETTINGS.iter().filter_map(|words| same(&client, words).err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(client.model.requests().is_empty());
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn the_help_of_every_subcommand_still_works() {
    let client = Client::new(Script::text("this was taken for a prompt"));
    let help = finish(client.claude(&[], ["--help"]).spawn().unwrap());
    let help = text(&help.stdout);
    let names = help.split_once("\nCommands:\n").unwrap().1.lines().filter_map(|line| {
        let rest = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '))?;
        rest.split(' ').next()
    });
    let names: BTreeSet<_> = names.flat_map(|names| names.split('|')).collect();
    assert!(names.len() > 10, "{names:?}");
    let wrong: Vec<_> = names.iter().filter_map(|name| same(&client, &[name, "--help"]).err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(client.model.requests().is_empty());
}

/// A question through pipes. Stdin arrives completely and stdout goes to another program, with and without a launcher
/// that stays.
#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn claude_reads_and_writes_pipes_as_without_ccrun() {
    let client = Client::new(Script::text("the answer"));
    let question = (0..4000).map(|line| format!("line {line} of the question ü\n")).collect::<Vec<_>>().concat();
    client.write("project/question", &question);
    for launcher in ["claude", "ccrun claude", "ccrun --wait claude"] {
        let script = format!("{launcher} -p --output-format json <question | jq -r .result; echo ${{PIPESTATUS[*]}}");
        let output = finish(client.command("bash").args(["-c", &script]).spawn().unwrap());
        let expected = ("the answer\n0 0\n".to_owned(), String::new());
        assert_eq!((text(&output.stdout), text(&output.stderr)), expected, "{launcher}");
    }
    let prompts = client.prompts();
    assert_eq!(prompts.iter().filter(|prompt| prompt.contains(question.trim_end())).count(), 3);
    for words in [["--version"], ["--help"]] {
        same(&client, &words).unwrap();
    }
}
