//! `ccrun PROGRAM`: whatever fails on the way, the program starts.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::{colour, complain};
use crate::claude::{self, is_claude};
use crate::cli;
use crate::environment;
use crate::launch::{self, ExecError, Prepared, Program};
use crate::notice;
use crate::printable::visible;
use crate::profile::{DEFAULT, Faults, INHERITED, Selection};
use crate::sentinel::{self, Launch, Sentinel};
use crate::setting::Setting;
use crate::state;
use crate::surroundings::{Surroundings, identity};

/// Becomes the program; gives an exit code only if that failed.
pub(super) fn run(launch: cli::Launch, words: Vec<OsString>, surroundings: &Surroundings) -> ExitCode {
    let mut words = words.into_iter();
    let Some(name) = words.next() else { return ExitCode::from(2) };
    let off = surroundings.switch("CCRUN_OFF");
    let (path, round) = match find(&name, off, surroundings) {
        Ok(found) => found,
        Err(error) => return cannot_run(&error),
    };
    let program = Program { name, path, arguments: words.collect() };
    let prepared = match round {
        Round::Off => launch::untouched(&program),
        Round::Again(sentinel) => launch::untouched(&program).with(&sentinel),
        Round::First(sentinel) => match prepare(&program, launch, surroundings) {
            Ok(prepared) => {
                prepared.warnings.iter().for_each(|warning| complain(&visible(warning)));
                prepared.with(&sentinel)
            }
            Err(Failure { error, required: true }) => return refuse(&error, surroundings),
            Err(Failure { error, required: false }) => {
                complain(&format!("telemetry is off for this session: {}", visible(&format!("{error:#}"))));
                launch::without_telemetry(&program, surroundings).with(&sentinel)
            }
        },
    };
    cannot_run(&launch::exec(&program, &prepared))
}

/// What kind of launch this is.
enum Round {
    /// `ccrun` keeps out of it.
    Off,
    /// A session of its own.
    First(Sentinel),
    /// The program ran `ccrun` again, as a shim does: the session that has begun stands.
    Again(Sentinel),
}

/// Finds the program. One that this very process was already is passed over.
fn find(name: &OsStr, off: bool, surroundings: &Surroundings) -> Result<(PathBuf, Round), ExecError> {
    let path = launch::find(name, surroundings, |_| false)?;
    let Some(file) = identity(&path).filter(|_| !off) else { return Ok((path, Round::Off)) };
    let outer = surroundings.text(sentinel::VARIABLE).and_then(Sentinel::parse);
    match Sentinel::judge(outer.as_ref(), nix::unistd::getpid().as_raw(), file, is_claude(name)) {
        Launch::Session(sentinel) => Ok((path, Round::First(sentinel))),
        Launch::Endless => Err(ExecError::Endless { program: path }),
        Launch::Again(sentinel) => {
            let next = launch::find(name, surroundings, |candidate| sentinel.has_seen(candidate))?;
            let file = identity(&next).filter(|_| !sentinel.has_seen(&next));
            let file = file.ok_or_else(|| ExecError::Endless { program: next.clone() })?;
            Ok((next, Round::Again(sentinel.and(file))))
        }
    }
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

fn prepare(program: &Program, launch: cli::Launch, surroundings: &Surroundings) -> Result<Prepared, Failure> {
    let mut required = launch.require;
    let result = (|| {
        let (setting, config) = Setting::gather(surroundings)?;
        if config.off {
            return Ok(launch::untouched(program));
        }
        let mut selection = selection(launch, surroundings);
        let is_unchosen = selection.profiles.is_empty() && config.profile.is_none();
        let (resolved, notice, seal) = setting.resolve_sealed(&selection)?;
        let mut profile = resolved.profile;
        required |= profile.require;
        if config.is_editor(&program.name) {
            // Its terminals' programs inherit the endpoint; what they send is nobody's business here.
            let own = [profile.resource.get("service.name").cloned(), setting.variable(environment::SERVICE_NAME)];
            profile.collector.accept.get_or_insert_with(|| claude::services(own.into_iter().flatten()));
        }
        if selection.profiles.is_empty() {
            // Whatever is the default by the time that what is left is delivered.
            selection.profiles.push(profile.name.clone());
        }
        let news = Some(()).filter(|()| is_unchosen).and_then(|()| news(&setting, &profile.name));
        let mut prepared = launch::prepare(program, profile, seal, selection, setting.clone(), surroundings)?;
        prepared.warnings.extend(notice);
        prepared.warnings.extend(notice::take(&setting.places));
        if let Some(news) = news
            && state::once(&setting.places.inherited(), &news)
        {
            prepared.warnings.push(news);
        }
        Ok(prepared)
    })();
    result.map_err(|error| Failure { error, required })
}

/// What is to be known of telemetry that was set up without us, where nobody chose a profile.
fn news(setting: &Setting, profile: &str) -> Option<String> {
    let found = setting.inherited()?;
    let applies = profile == if found.is_profile() { INHERITED } else { DEFAULT };
    found.notice().filter(|_| applies)
}

/// What was chosen: by option, else by `CCRUN_PROFILE`.
pub(super) fn selection(launch: cli::Launch, surroundings: &Surroundings) -> Selection {
    let cli::Launch { mut profiles, variables, resource, env, .. } = launch;
    if profiles.is_empty() {
        profiles.extend(surroundings.text("CCRUN_PROFILE").map(str::to_owned));
    }
    Selection { profiles, variables, resource, env, directory: Some(surroundings.directory.clone()) }
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
