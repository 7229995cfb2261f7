//! `ccrun init`: the alias and the completions, for a shell to evaluate, and the answers that these ask for; and the man
//! pages, which say the same as the help texts.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::print;
use crate::cli::{self, Cli, Shell};
use crate::completion::{Names, Offer, offer};
use crate::printable::visible;
use crate::quoting;
use crate::setting::Setting;
use crate::surroundings::{Surroundings, identity};

pub(super) fn run(options: &cli::Init, surroundings: &Surroundings) -> Result<ExitCode> {
    let ccrun = quoting::word(&own_name(surroundings));
    let mut script = match options.shell {
        _ if options.without_alias => String::new(),
        Shell::Bash | Shell::Zsh => format!("alias claude={}\n", quoting::word(&format!("{ccrun} claude"))),
        Shell::Fish => {
            format!(
                "function claude --wraps claude --description 'Claude Code, by ccrun'\n    {ccrun} claude $argv\nend\n"
            )
        }
    };
    let completions = match options.shell {
        Shell::Bash => include_str!("init/ccrun.bash"),
        Shell::Zsh => include_str!("init/ccrun.zsh"),
        Shell::Fish => include_str!("init/ccrun.fish"),
    };
    script += &completions.replace("@CCRUN@", &ccrun);
    print(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// What a shell calls us by: the name, where the PATH leads to this binary by it, else the path.
fn own_name(surroundings: &Surroundings) -> String {
    let path = surroundings.variable("PATH");
    let found = which::which_in("ccrun", path, Path::new("/")).ok();
    let is_us = found.is_some_and(|found| identity(&found) == identity(&surroundings.executable));
    if is_us { "ccrun".to_owned() } else { own_path(surroundings) }
}

/// The path by which this binary was called, which an upgrade keeps; where that is not known, the binary itself.
pub(super) fn own_path(surroundings: &Surroundings) -> String {
    surroundings.called().display().to_string()
}

/// A line for each offer: `program AT`, `programs`, or `word WORD<TAB>MEANING`.
pub(super) fn complete(asked: &cli::Complete, surroundings: &Surroundings) -> Result<ExitCode> {
    let mut out = String::new();
    match offer(Cli::definition(), &names(surroundings), &asked.line, asked.at) {
        Offer::Program(first) => writeln!(out, "program {first}")?,
        Offer::Words { words, programs } => {
            // A word that would act on a terminal is nobody's to choose.
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

/// A page for us and one for each verb, `ccrun-VERB.1`.
pub(super) fn man(directory: &Path) -> Result<ExitCode> {
    let context = || format!("cannot write man pages into `{}`", directory.display());
    std::fs::create_dir_all(directory).with_context(context)?;
    clap_mangen::generate_to(Cli::definition(), directory).with_context(context)?;
    Ok(ExitCode::SUCCESS)
}

/// The user's names. What cannot be read offers nothing: whoever presses a key wants no lecture.
fn names(surroundings: &Surroundings) -> Names {
    let Ok((setting, _)) = Setting::gather(surroundings) else { return Names::default() };
    let profiles: Vec<_> = setting.profiles().into_iter().map(|(name, _)| name).collect();
    let secrets: BTreeSet<_> =
        profiles.iter().filter_map(|name| setting.keyring_entries(name).ok()).flatten().collect();
    Names { profiles, secrets: secrets.into_iter().collect() }
}
