//! `ccrun init`: the alias and completions that a shell evaluates, and the answers that the completions ask for. Also
//! the man pages, which repeat the help texts.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::print;
use crate::cli::completion::{Names, Offer, named_profiles, offer};
use crate::cli::{self, Cli, Shell};
use crate::environment::quoting;
use crate::profile::{Declaration, Selection, backends};
use crate::report::ledger::LedgerSource;
use crate::report::{Dimension, Source};
use crate::store;
use crate::system::file_identity::file_identity;
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal::printable::visible;
use crate::workspace::{Config, Workspace};

/// How many sessions are offered, the latest.
const LATEST: u32 = 50;

pub(super) fn run(options: &cli::Init, process: &ProcessEnvironment) -> Result<ExitCode> {
    let own = own_name(process);
    let ccrun = if options.shell == Shell::Fish { quoting::fish_word(&own) } else { quoting::word(&own) };
    let mut script = match options.shell {
        _ if options.without_alias => String::new(),
        Shell::Bash | Shell::Zsh => format!("alias claude={}\n", quoting::word(&format!("{ccrun} claude"))),
        Shell::Fish => {
            format!(
                "function claude --wraps claude --description 'Claude Code, through ccrun'\n    {ccrun} claude $argv\nend\n"
            )
        }
    };
    let completions = match options.shell {
        Shell::Bash => include_str!("ccrun.bash"),
        Shell::Zsh => include_str!("ccrun.zsh"),
        Shell::Fish => include_str!("ccrun.fish"),
    };
    script += &completions.replace("@CCRUN@", &ccrun);
    print(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// How a shell calls this binary: by name if the PATH leads to it, else by path.
fn own_name(process: &ProcessEnvironment) -> String {
    let path = process.variable("PATH");
    let found = which::which_in("ccrun", path, Path::new("/")).ok();
    let is_us = found.is_some_and(|found| file_identity(&found) == file_identity(&process.executable));
    if is_us { "ccrun".to_owned() } else { own_path(process) }
}

/// The path that this binary was called by, which survives an upgrade. If it is unknown, the path of the binary itself.
pub(super) fn own_path(process: &ProcessEnvironment) -> String {
    process.called().display().to_string()
}

/// Prints a line for each offer: `program AT`, `programs`, or `word WORD<TAB>MEANING`.
pub(super) fn complete(asked: &cli::Complete, process: &ProcessEnvironment) -> Result<ExitCode> {
    let mut out = String::new();
    match offer(Cli::definition(), &names(&asked.line, process), &process.directory, &asked.line, asked.at) {
        Offer::Program(first) => writeln!(out, "program {first}")?,
        Offer::Words { words, programs } => {
            // Do not offer words with terminal control characters.
            for (word, meaning) in words.into_iter().filter(|(word, _)| visible(word) == *word) {
                writeln!(out, "word {word}\t{}", visible(&meaning))?;
            }
            if programs {
                writeln!(out, "programs")?;
            }
        }
    }
    print(&out)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a man page for `ccrun` and one for each verb, `ccrun-VERB.1`.
pub(super) fn man(directory: &Path) -> Result<ExitCode> {
    let context = || format!("cannot write man pages into `{}`", directory.display());
    std::fs::create_dir_all(directory).with_context(context)?;
    clap_mangen::generate_to(Cli::definition(), directory).with_context(context)?;
    Ok(ExitCode::SUCCESS)
}

/// The user's names. What cannot be read is left out: a key press must not print errors.
fn names(line: &[OsString], process: &ProcessEnvironment) -> Names {
    let Ok((workspace, config)) = Workspace::gather(process) else { return Names::default() };
    let profiles: Vec<_> = workspace.profiles().into_iter().map(|(name, _)| name).collect();
    let secrets: BTreeSet<_> =
        profiles.iter().filter_map(|name| workspace.keyring_entries(name).ok()).flatten().collect();
    let chosen = named_profiles(line);
    let chosen = if chosen.is_empty() { vec![workspace.default_profile(&config)] } else { chosen };
    let has = |word: &str| line.iter().any(|one| one == word);
    let destinations = if has("--destination") || has("--to") {
        destinations(&workspace, &config, chosen.clone())
    } else {
        Vec::new()
    };
    let sources = if has("--from") { sources(&workspace, &config, chosen.clone()) } else { Vec::new() };
    let sessions = if has("sessions") { sessions(&workspace).unwrap_or_default() } else { Vec::new() };
    let usage =
        if has("report") || has("ledger") { Usage::known(&workspace).unwrap_or_default() } else { Usage::default() };
    Names {
        variables: workspace.declarations(chosen).iter().flat_map(assignments).collect(),
        secrets: secrets.into_iter().collect(),
        backends: backends().map(str::to_owned).collect(),
        usage: usage.conditions,
        claude_sessions: usage.sessions,
        prompts: usage.prompts,
        persons: usage.persons,
        profiles,
        destinations,
        sources,
        sessions,
    }
}

/// The destinations of the profiles that are chosen.
fn destinations(workspace: &Workspace, config: &Config, profiles: Vec<String>) -> Vec<String> {
    let selection = Selection { profiles, ..Selection::default() };
    let resolved = workspace.outline(&selection, config).ok();
    let destinations = resolved.map(|(resolved, _)| resolved.profile.destinations).unwrap_or_default();
    destinations.into_iter().map(|destination| destination.name).collect()
}

/// The teams' stores of the profiles that are chosen, and of `config.toml`.
fn sources(workspace: &Workspace, config: &Config, profiles: Vec<String>) -> Vec<String> {
    let selection = Selection { profiles, ..Selection::default() };
    let resolved = workspace.outline(&selection, config).ok();
    let stores = resolved.map_or_else(|| config.team_stores.clone(), |(resolved, _)| resolved.profile.team_stores);
    let names: BTreeSet<_> = stores.into_iter().map(|store| store.name).collect();
    names.into_iter().collect()
}

/// The latest sessions.
fn sessions(workspace: &Workspace) -> Option<Vec<String>> {
    let connection = store::open_to_read(&workspace.places.store()).ok()??;
    let records = store::sessions::latest(&connection, LATEST).ok()?;
    Some(records.into_iter().map(|record| record.session.id).collect())
}

/// The values that `--var` accepts for a variable.
fn assignments(declared: &Declaration) -> Vec<String> {
    match declared.values.as_slice() {
        [] => vec![format!("{}=", declared.name)],
        values => values.iter().map(|value| format!("{}={value}", declared.name)).collect(),
    }
}

/// What the ledger knows, by names that options take.
#[derive(Default)]
struct Usage {
    conditions: Vec<String>,
    sessions: Vec<String>,
    prompts: Vec<String>,
    persons: Vec<String>,
}

impl Usage {
    /// Conditions are made of every value by which usage can be told apart, except ids. Of a project the name of its
    /// directory is enough.
    fn known(workspace: &Workspace) -> Option<Self> {
        let connection = store::open_to_read(&workspace.places.ledger()).ok()??;
        let source = LedgerSource::new(&connection).ok()?;
        let mut usage = Self::default();
        for dimension in Dimension::all() {
            let values = source.values(dimension).ok()?;
            match dimension {
                Dimension::Session => usage.sessions = values,
                Dimension::Prompt => usage.prompts = values,
                _ => {
                    for value in &values {
                        let value = if dimension == Dimension::Project { value.rsplit('/').next()? } else { value };
                        usage.conditions.push(format!("{}={value}", dimension.name()));
                    }
                    if dimension == Dimension::Person {
                        usage.persons = values;
                    }
                }
            }
        }
        usage.conditions.dedup();
        Some(usage)
    }
}
