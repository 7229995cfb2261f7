//! `ccrun wrap CLAUDE`: for editor extensions, which pass the program to run.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use super::run;
use crate::cli;
use crate::launch::{self, Program};
use crate::system::process_environment::ProcessEnvironment;

/// Becomes exactly the Claude Code that is given. If an extension gives none or a bare name, it is the one that `ccrun
/// claude` runs.
pub(super) fn run(wrap: cli::Wrap, process: &ProcessEnvironment) -> ExitCode {
    let cli::Wrap { start, mut words } = wrap;
    let is_named = words.first().is_some_and(|first| !first.as_encoded_bytes().starts_with(b"-"));
    if !is_named {
        words.insert(0, OsString::from("claude"));
    }
    let mut words = words.into_iter();
    let name = words.next().unwrap_or_default();
    let mut arguments: Vec<_> = words.collect();
    let before = arguments.drain(..launch::words_before(&name, &arguments)).collect();
    let path = PathBuf::from(&name);
    let mut program = Program { name, path, before, arguments, is_claude: true, is_wrapped: true, is_editor: false };
    let kind = if program.path.components().count() > 1 {
        launch::kind_of_wrapped(&program, process)
    } else {
        launch::locate(&program.name, process).map(|(path, kind)| {
            program.path = path;
            kind
        })
    };
    match kind {
        Ok(kind) => run::launch(&program, kind, start, process),
        Err(error) => run::cannot_run(&error),
    }
}
