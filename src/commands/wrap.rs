//! `ccrun wrap CLAUDE`: for editors' extensions, which name the program that they want.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use super::run::{self, Round};
use crate::launch::{self, ExecError, Program};
use crate::sentinel::{Caller, Launch, Sentinel};
use crate::setting::Setting;
use crate::surroundings::{Surroundings, identity};
use crate::{claude, cli, environment};

/// Becomes Claude Code, exactly the one that is named. An extension that has none to name, and a bare name, mean the
/// one that `ccrun claude` runs.
pub(super) fn run(wrap: cli::Wrap, surroundings: &Surroundings) -> ExitCode {
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
    let mut program = Program { name, path, before, arguments, is_claude: true, is_wrapped: true };
    let round = if program.path.components().count() > 1 {
        round(&program, surroundings)
    } else {
        run::find(&program.name, surroundings).map(|(path, round)| {
            program.path = path;
            round
        })
    };
    match round {
        Ok(round) => run::launch(&program, round, start, surroundings),
        Err(error) => run::cannot_run(&error),
    }
}

/// What kind of launch this is. A `ccrun` that is to be wrapped begins the session itself.
fn round(program: &Program, surroundings: &Surroundings) -> Result<Round, ExecError> {
    let off = surroundings.switch("CCRUN_OFF");
    let file = identity(&program.path).filter(|file| !off && identity(&surroundings.executable) != Some(*file));
    let Some(file) = file else { return Ok(Round::Off) };
    let outer = run::outer(surroundings);
    let is_shim = launch::is_shim(&program.path);
    match Sentinel::judge(outer.as_ref(), Caller::current(), file, true, |_| false) {
        Launch::Session(sentinel) if is_told(&program.arguments, surroundings) => Ok(Round::Again(sentinel)),
        Launch::Session(sentinel) => Ok(Round::First(if is_shim { sentinel.of_shim() } else { sentinel })),
        Launch::Again(sentinel) if !sentinel.has_seen(&program.path) => Ok(Round::Again(sentinel.and(file))),
        // Claude Code relaunches itself in its own process, through what is to wrap it.
        Launch::Again(sentinel) if !is_shim => Ok(Round::Again(sentinel)),
        Launch::Again(_) | Launch::Endless(_) => Err(ExecError::Endless { program: program.path.clone() }),
    }
}

/// Whether Claude Code starts something through us that has been told already where to export: a part of its background
/// service, that service from a session, or a job in it, which was handed over with its session's settings.
fn is_told(arguments: &[OsString], surroundings: &Surroundings) -> bool {
    let settings = || Setting::gather(surroundings).ok().map(|(setting, _)| setting.places.settings_directory());
    claude::is_part_of_the_service(arguments)
        || (claude::is_the_service(arguments) && environment::is_of_a_session(&surroundings.texts()))
        || settings().is_some_and(|directory| claude::are_of_a_session(arguments, &directory))
}
