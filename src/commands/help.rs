//! `ccrun help`: prints the same help as a verb's `--help`, and finds the verb that a mistyped word is close to.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Command, CommandFactory};

use super::complain;
use crate::cli::{self, Cli};
use crate::profile::schema::guess;
use crate::terminal::printable::printable;

/// The exit code for a verb that does not exist.
const USAGE: u8 = 2;

pub(super) fn run(options: &cli::Help) -> Result<ExitCode> {
    let definition = Cli::definition();
    let mut command = &definition;
    for word in &options.verb {
        let Some(inner) = command.find_subcommand(word) else {
            let meant = meant(command, word).map(|meant| format!(": did you mean `{meant}`?")).unwrap_or_default();
            complain(&format!("`{}` has no verb `{}`{meant}", name(command), printable(word)));
            return Ok(ExitCode::from(USAGE));
        };
        command = inner;
    }
    let words = [OsString::from("ccrun")].into_iter().chain(options.verb.iter().map(OsString::from));
    // The same text and colours as `--help`.
    if let Err(help) = Cli::command().try_get_matches_from(words.chain([OsString::from("--help")])) {
        help.print()?;
    }
    Ok(ExitCode::SUCCESS)
}

fn name(command: &Command) -> &str {
    command.get_bin_name().unwrap_or_else(|| command.get_name())
}

/// The verb of `ccrun` that is closest to a word, if one is close.
pub(super) fn nearly(word: &str) -> Option<String> {
    meant(&Cli::definition(), word)
}

fn meant(command: &Command, word: &str) -> Option<String> {
    let verbs: Vec<_> = command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(Command::get_name).collect();
    guess(word, &verbs).map(str::to_owned)
}
