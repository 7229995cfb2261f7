//! `ccrun PROGRAM`: the program starts even if ccrun fails.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::selection::{requires, selection};
use super::{colour, complain, dry_run, help};
use crate::claude::Use;
use crate::cli;
use crate::launch::policy::Request;
use crate::launch::sentinel::Sentinel;
use crate::launch::{self, ExecError, LaunchKind, OverBudget, PrepareError, PreparedLaunch, Program, StartedSession};
use crate::profile::Faults;
use crate::state::{self, Places, notice};
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal::printable::visible;
use crate::workspace::{Config, Workspace};

/// The same for a word that may be a verb with a typing error: what is no program either is guessed at.
pub(super) fn run_or_guess(start: cli::Start, words: Vec<OsString>, process: &ProcessEnvironment) -> ExitCode {
    let first = words.first().cloned().unwrap_or_default();
    match launch::locate(&first, process) {
        Err(error @ ExecError::NotFound { .. }) => {
            let meant = first.to_str().and_then(help::nearly).map(|verb| format!(": did you mean `ccrun {verb}`?"));
            complain(&(visible(&error.to_string()) + &meant.unwrap_or_default()));
            ExitCode::from(error.exit_code())
        }
        found => run_found(found, first, start, words.into_iter().skip(1).collect(), process),
    }
}

/// Becomes the program, or stays as its parent. Returns only if `exec` failed or the supervised program ended.
pub(super) fn run(start: cli::Start, words: Vec<OsString>, process: &ProcessEnvironment) -> ExitCode {
    let mut words = words.into_iter();
    let Some(name) = words.next() else { return ExitCode::from(2) };
    run_found(launch::locate(&name, process), name, start, words.collect(), process)
}

fn run_found(
    found: Result<(PathBuf, LaunchKind), ExecError>,
    name: OsString,
    start: cli::Start,
    arguments: Vec<OsString>,
    process: &ProcessEnvironment,
) -> ExitCode {
    match found {
        Ok((path, kind)) => launch(&Program::new(name, path, arguments), kind, start, process),
        Err(error) => cannot_run(&error),
    }
}

/// The same, for a program that has been found.
pub(super) fn launch(program: &Program, kind: LaunchKind, start: cli::Start, process: &ProcessEnvironment) -> ExitCode {
    if start.dry_run {
        return dry_run::run(program, kind, start.launch, process);
    }
    let (verbose, session_file) = (start.verbose, start.session_file.clone());
    let mut ours = None;
    let prepared = match kind {
        LaunchKind::Off => launch::untouched(program),
        LaunchKind::SameSession(sentinel) => launch::untouched(program).with(sentinel),
        LaunchKind::NewSession(sentinel, _) if program.purpose() == Use::Question => {
            launch::untouched(program).with(sentinel)
        }
        LaunchKind::NewSession(sentinel, found) => {
            let places = found.as_ref().as_ref().ok().map(|(workspace, _)| workspace.places.clone());
            match prepare(program, *found, start, process) {
                Ok(prepared) => {
                    ours = Some((sentinel.clone(), places, prepared.is_required));
                    prepared.with(sentinel)
                }
                Err(refused) => return refused,
            }
        }
    };
    if let Some((file, session)) = session_file.zip(prepared.session.as_ref())
        && let Err(error) = state::write_unsettled(&file, session.id.as_bytes())
    {
        complain(&visible(&format!("cannot write `{}`: {error}", file.display())));
    }
    if verbose {
        describe(program, &prepared);
    }
    match (become_or_supervise(program, prepared, launch::is_last(process)), ours) {
        (Ok(code), _) => code,
        (Err(error), Some((_, _, true))) if error.is_too_long() => refuse(&anyhow!("{TOO_LONG}"), process),
        (Err(error), Some((sentinel, places, _))) if error.is_too_long() => {
            become_without_ours(program, &sentinel, places.as_ref(), process)
        }
        (Err(error), _) => cannot_run(&error),
    }
}

/// How long to deliver once the program has ended.
const DRAIN_TIMEOUT: &str = "CCRUN_DRAIN_TIMEOUT";

/// Why the system refuses a launch (E2BIG).
const TOO_LONG: &str = "with those that telemetry adds, its arguments and environment exceed the system's limit; pass \
                        a long prompt on stdin or in a file";

/// Starts a program whose arguments and environment are too long together with a session's: with telemetry off, or, if
/// that is still too long, without any change.
fn become_without_ours(
    program: &Program,
    sentinel: &Sentinel,
    places: Option<&Places>,
    process: &ProcessEnvironment,
) -> ExitCode {
    complain(&format!("telemetry is off for this session: {TOO_LONG}"));
    let off = launch::exec(program, &launch::without_telemetry(program, places, process).with(sentinel.clone()));
    if !off.is_too_long() {
        return cannot_run(&off);
    }
    cannot_run(&launch::exec(program, &launch::untouched(program).with(sentinel.clone())))
}

/// Prepares a session and prints its messages. If that fails, the program starts without one, unless a session is
/// required.
fn prepare(
    program: &Program,
    found: Result<(Workspace, Config)>,
    start: cli::Start,
    process: &ProcessEnvironment,
) -> Result<PreparedLaunch, ExitCode> {
    let cli::Launch { direct: is_direct, require: is_required, .. } = start.launch;
    let drain_timeout = start.drain_timeout.or_else(|| drain_timeout(process));
    let selection = selection(start.launch, process);
    let request = Request { is_direct, is_required, waits: start.wait, selection, drain_timeout };
    let places = found.as_ref().ok().map(|(workspace, _)| workspace.places.clone());
    let prepared = match found {
        Ok((workspace, config)) => {
            let warnings = config.warnings.iter().filter(|_| !config.off);
            warnings.for_each(|warning| complain(&visible(warning)));
            launch::prepare(program, &request, (&workspace, &config), process)
        }
        Err(error) => Err(PrepareError { error, is_required }),
    };
    let is_required = |error: &PrepareError| error.is_required || requires(&error.error, &request.selection, process);
    let prepared = match prepared {
        Ok(prepared) => Ok(prepared),
        Err(error) if is_required(&error) => Err(refuse(&error.error, process)),
        Err(PrepareError { error, .. }) if program.purpose() == Use::Management => {
            complain(&format!("the profile does not apply: {}", visible(&format!("{error:#}"))));
            Ok(launch::untouched(program))
        }
        Err(PrepareError { error, .. }) => {
            complain(&format!("telemetry is off for this session: {}", visible(&format!("{error:#}"))));
            Ok(launch::without_telemetry(program, places.as_ref(), process))
        }
    };
    for warning in prepared.iter().flat_map(|prepared| &prepared.warnings) {
        complain(&visible(warning));
    }
    prepared
}

/// What `CCRUN_DRAIN_TIMEOUT` says, for jobs whose command line is not to be changed.
fn drain_timeout(process: &ProcessEnvironment) -> Option<Duration> {
    let text = process.text(DRAIN_TIMEOUT).filter(|text| !text.is_empty())?;
    cli::duration(text)
        .inspect_err(|reason| complain(&visible(&format!("{DRAIN_TIMEOUT} is `{text}` and is ignored: {reason}"))))
        .ok()
}

/// Runs the program. If the kernel reaps children by itself, there is no child to wait for and no reason to stay.
fn become_or_supervise(program: &Program, mut prepared: PreparedLaunch, is_last: bool) -> Result<ExitCode, ExecError> {
    if let Some(StartedSession { id, places, doctor, collector, stays: Some(drain), .. }) = prepared.session.take()
        && !collector.reaps_itself
    {
        let code = launch::supervise(program, &prepared, collector, drain)?;
        say_what_is_left(&places, &id, &doctor, is_last);
        return Ok(ExitCode::from(code));
    }
    Err(launch::exec(program, &prepared))
}

/// Reports what is undelivered when the launcher exits. In a job there may be no next launch to report it, and no disk
/// that survives.
fn say_what_is_left(places: &Places, session: &str, doctor: &str, is_last: bool) {
    let is_waiting = notice::speaks_of_deliveries(places);
    let notices = notice::take(places);
    for line in &notices {
        complain(&visible(line));
    }
    // A collector that has finished removes its lock file.
    let is_unfinished = places.lock(session).exists();
    if notices.is_empty() && is_unfinished {
        complain(&visible(&format!("some telemetry may be undelivered: see `ccrun queue status` and `{doctor}`")));
    }
    if is_waiting || is_unfinished {
        let place = visible(&Places::shortened(&places.state));
        let job = if is_last {
            "; it is lost with this machine: keep that directory, or run `ccrun queue flush --wait 5m` before"
        } else {
            ", and goes out with the next launch"
        };
        complain(&format!("undelivered telemetry is kept in {place}{job}"));
    }
}

/// Prints the choices made for this launch.
fn describe(program: &Program, prepared: &PreparedLaunch) {
    complain(&visible(&format!("program: `{}`", program.path.display())));
    let Some(session) = &prepared.session else {
        complain(match program.purpose() {
            Use::Question | Use::Management => "no session was started: Claude Code emits no telemetry for this",
            _ => "no session was started: telemetry is as the line above says, or belongs to the outer session",
        });
        return;
    };
    complain(&visible(&format!("profile: `{}`, session: {}", session.profile, session.id)));
    if let Some(settings) = &session.settings {
        complain(&visible(&format!("settings file: `{}`", settings.display())));
    }
    if session.stays.is_some() {
        complain("ccrun waits until the program has exited and its telemetry is delivered");
    }
}

pub(super) fn cannot_run(error: &ExecError) -> ExitCode {
    complain(&visible(&error.to_string()));
    ExitCode::from(error.exit_code())
}

/// Explains why the program was not started.
fn refuse(error: &anyhow::Error, process: &ProcessEnvironment) -> ExitCode {
    if error.is::<OverBudget>() {
        complain(&format!("the program was not started: {}", visible(&error.to_string())));
        return ExitCode::from(OverBudget::EXIT_CODE);
    }
    match error.downcast_ref::<Faults>() {
        Some(faults) => {
            let colour = colour(&std::io::stderr(), process);
            complain(&format!("the program was not started\n{}", faults.render(colour)));
        }
        None => complain(&format!("the program was not started: {}", visible(&format!("{error:#}")))),
    }
    ExitCode::from(2)
}
