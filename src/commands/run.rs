//! `ccrun PROGRAM`: whatever fails on the way, the program starts.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use super::{colour, complain};
use crate::cli::Launch;
use crate::launch::{self, ExecError, Prepared, Program};
use crate::printable::visible;
use crate::profile::{Faults, Selection};
use crate::surroundings::Surroundings;

/// Becomes the program; gives an exit code only if that failed.
pub(super) fn run(launch: Launch, words: Vec<OsString>, surroundings: &Surroundings) -> ExitCode {
    let mut words = words.into_iter();
    let Some(name) = words.next() else { return ExitCode::from(2) };
    let path = match launch::find(&name, surroundings) {
        Ok(path) => path,
        Err(error) => return cannot_run(&error),
    };
    let program = Program { name, path, arguments: words.collect() };
    let prepared = if surroundings.switch("CCRUN_OFF") {
        launch::untouched(&program)
    } else {
        match prepare(&program, launch, surroundings) {
            Ok(prepared) => prepared,
            Err(Failure { error, required: true }) => return refuse(&error, surroundings),
            Err(Failure { error, required: false }) => {
                complain(&format!("telemetry is off for this session: {}", visible(&format!("{error:#}"))));
                launch::without_telemetry(&program, surroundings)
            }
        }
    };
    cannot_run(&launch::exec(&program, &prepared))
}

fn cannot_run(error: &ExecError) -> ExitCode {
    complain(&visible(&error.to_string()));
    ExitCode::from(error.exit_code())
}

/// Why a session could not be started, and whether the program may not start without one.
struct Failure {
    error: anyhow::Error,
    required: bool,
}

fn prepare(program: &Program, launch: Launch, surroundings: &Surroundings) -> Result<Prepared, Failure> {
    let mut required = launch.require;
    let selection = selection(launch, surroundings);
    let result = (|| {
        let profile = launch::resolve(&selection, &surroundings.places()?)?;
        required |= profile.require;
        launch::prepare(program, profile, selection, surroundings)
    })();
    result.map_err(|error| Failure { error, required })
}

/// What was chosen: by option, else by `CCRUN_PROFILE`.
fn selection(launch: Launch, surroundings: &Surroundings) -> Selection {
    let mut profiles = launch.profiles;
    if profiles.is_empty() {
        profiles.extend(surroundings.text("CCRUN_PROFILE").map(str::to_owned));
    }
    Selection { profiles, variables: launch.variables, resource: launch.resource }
}

/// Says at length why the program was not started.
fn refuse(error: &anyhow::Error, surroundings: &Surroundings) -> ExitCode {
    match error.downcast_ref::<Faults>() {
        Some(faults) => {
            let colour = colour(&std::io::stderr(), surroundings);
            complain(&format!("the program was not started\n{}", faults.render(colour)));
        }
        None => complain(&format!("the program was not started: {}", visible(&format!("{error:#}")))),
    }
    ExitCode::from(2)
}
