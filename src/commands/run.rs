//! `ccrun PROGRAM`: whatever fails on the way, the program starts.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use super::{colour, complain, dry_run};
use crate::claude::{self, is_claude};
use crate::cli;
use crate::editor::{self, is_editor};
use crate::environment;
use crate::launch::{self, Begun, Drain, ExecError, Prepared, Program};
use crate::notice;
use crate::printable::visible;
use crate::profile::{Config, DEFAULT, Faults, INHERITED, Profile, Selection};
use crate::sentinel::{self, Caller, Launch, Sentinel};
use crate::setting::Setting;
use crate::state;
use crate::surroundings::{Places, Surroundings, identity};

/// What the collector may take for everything but delivering, before it is left to itself.
const MARGIN: Duration = Duration::from_secs(5);

/// Becomes the program, or stays as its parent; gives an exit code only if the one failed or the other is done.
pub(super) fn run(start: cli::Start, words: Vec<OsString>, surroundings: &Surroundings) -> ExitCode {
    let mut words = words.into_iter();
    let Some(name) = words.next() else { return ExitCode::from(2) };
    let (path, round) = match find(&name, surroundings) {
        Ok(found) => found,
        Err(error) => return cannot_run(&error),
    };
    launch(&Program::new(name, path, words.collect()), round, start, surroundings)
}

/// The same for a program that is found.
pub(super) fn launch(program: &Program, round: Round, start: cli::Start, surroundings: &Surroundings) -> ExitCode {
    if start.dry_run {
        return dry_run::run(program, matches!(round, Round::First(_)), start.launch, surroundings);
    }
    let verbose = start.verbose;
    let prepared = match round {
        Round::Off => launch::untouched(program),
        Round::Again(sentinel) => launch::untouched(program).with(sentinel),
        Round::First(sentinel) => match prepare(program, start, surroundings) {
            Ok(prepared) => {
                prepared.warnings.iter().for_each(|warning| complain(&visible(warning)));
                prepared.with(sentinel)
            }
            Err(Failure { error, required: true }) => return refuse(&error, surroundings),
            Err(Failure { error, required: false }) => {
                complain(&format!("telemetry is off for this session: {}", visible(&format!("{error:#}"))));
                launch::without_telemetry(program, surroundings).with(sentinel)
            }
        },
    };
    if verbose {
        describe(program, &prepared);
    }
    become_or_supervise(program, prepared)
}

/// The last step. Where children are reaped by the kernel there is nobody to wait for, and nothing to stay for.
fn become_or_supervise(program: &Program, mut prepared: Prepared) -> ExitCode {
    if let Some(Begun { id, places, collector, stays: Some(drain), .. }) = prepared.session.take()
        && !collector.reaps_itself
    {
        return match launch::supervise(program, &prepared, collector, drain) {
            Ok(code) => {
                say_what_is_left(&places, &id);
                ExitCode::from(code)
            }
            Err(error) => cannot_run(&error),
        };
    }
    cannot_run(&launch::exec(program, &prepared))
}

/// Says what is not delivered by the time that the launcher leaves: in a job there may be no next launch to say it, and
/// no disk either.
fn say_what_is_left(places: &Places, session: &str) {
    let notices = notice::take(places);
    for line in &notices {
        complain(&visible(line));
    }
    // A collector that has done its part takes its lock's file away.
    if notices.is_empty() && places.lock(session).exists() {
        complain("not all of its telemetry is known to be delivered: see `ccrun queue status` and `ccrun doctor`");
    }
}

/// Says what was chosen.
fn describe(program: &Program, prepared: &Prepared) {
    complain(&visible(&format!("the program is `{}`", program.path.display())));
    let Some(session) = &prepared.session else {
        complain("there is no session of ours: telemetry is as the line above says, or as the outer session has it");
        return;
    };
    complain(&visible(&format!("the profile is `{}`, the session {}", session.profile, session.id)));
    if let Some(settings) = &session.settings {
        complain(&visible(&format!("Claude Code's settings file is `{}`", settings.display())));
    }
    if session.stays.is_some() {
        complain("ccrun stays until the program has ended and its telemetry is delivered");
    }
}

/// What kind of launch this is.
pub(super) enum Round {
    /// `ccrun` keeps out of it.
    Off,
    /// A session of its own.
    First(Sentinel),
    /// The program ran `ccrun` again, as a shim does: the session that has begun stands.
    Again(Sentinel),
}

/// Finds the program. One that runs us again is passed over.
pub(super) fn find(name: &OsStr, surroundings: &Surroundings) -> Result<(PathBuf, Round), ExecError> {
    let off = surroundings.switch("CCRUN_OFF");
    let path = launch::find(name, surroundings, |_| false)?;
    let Some(file) = identity(&path).filter(|_| !off) else { return Ok((path, Round::Off)) };
    let outer = outer(surroundings);
    let is_claude = is_claude(name);
    let is_shim = |last| {
        let found = launch::find(name, surroundings, |candidate| identity(candidate) != Some(last));
        found.is_ok_and(|path| launch::is_shim(&path))
    };
    match Sentinel::judge(outer.as_ref(), Caller::current(), file, is_claude, is_shim) {
        Launch::Session(sentinel) => Ok((path, Round::First(sentinel))),
        Launch::Endless(_) if !is_claude => Err(ExecError::Endless { program: path }),
        Launch::Again(sentinel) | Launch::Endless(sentinel) => {
            let next = launch::find(name, surroundings, |candidate| sentinel.has_seen(candidate));
            // With another directory on PATH there may be one; so far each that was found runs us again.
            let next = next.map_err(|_| ExecError::Endless { program: path.clone() })?;
            let file = identity(&next).filter(|_| !sentinel.has_seen(&next));
            let file = file.ok_or_else(|| ExecError::Endless { program: next.clone() })?;
            Ok((next, Round::Again(sentinel.and(file))))
        }
    }
}

/// What the launch around this one has left. One whose process has gone is around nothing any more: an editor goes on
/// handing out its environment.
pub(super) fn outer(surroundings: &Surroundings) -> Option<Sentinel> {
    surroundings.text(sentinel::VARIABLE).and_then(Sentinel::parse).filter(Sentinel::lives)
}

pub(super) fn cannot_run(error: &ExecError) -> ExitCode {
    complain(&visible(&error.to_string()));
    ExitCode::from(error.exit_code())
}

/// Why a session could not be started, and whether the program may not start without one.
struct Failure {
    error: anyhow::Error,
    required: bool,
}

fn prepare(program: &Program, start: cli::Start, surroundings: &Surroundings) -> Result<Prepared, Failure> {
    let cli::Start { launch, wait, .. } = start;
    let (mut required, direct) = (launch.require, launch.direct);
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
        let is_editor = !program.is_claude && is_editor(&program.name, config.editors.as_deref());
        let remark = Some(program).filter(|_| is_editor).and_then(|program| editor::remark(program, surroundings));
        if direct || profile.collector.direct {
            let mut prepared = launch::direct::prepare(program, &profile, seal, setting.clone(), surroundings)?;
            prepared.warnings.extend(remark.into_iter().chain(notice));
            prepared.warnings.extend(notices(program, &setting.places));
            return Ok(prepared);
        }
        if is_editor {
            // Its terminals' programs inherit the endpoint; what they send is nobody's business here.
            let own = [profile.resource.get("service.name").cloned(), setting.variable(environment::SERVICE_NAME)];
            profile.collector.accept.get_or_insert_with(|| claude::services(own.into_iter().flatten()));
        }
        if selection.profiles.is_empty() {
            // Whatever is the default by the time that what is left is delivered.
            selection.profiles.push(profile.name.clone());
        }
        let news = Some(()).filter(|()| is_unchosen).and_then(|()| news(&setting, &profile.name));
        let stays = stays(wait, surroundings).then(|| drain(program, wait, &profile, &config));
        // Before there is a collector of ours: what that leaves to be said is for the next.
        let notices = notices(program, &setting.places);
        let begun = launch::prepare(program, profile, seal, selection, setting.clone(), stays, surroundings);
        let mut prepared =
            begun.inspect_err(|_| notices.iter().for_each(|line| notice::leave(&setting.places, line)))?;
        prepared.warnings.extend(remark.into_iter().chain(notice).chain(notices));
        if let Some(from) = &setting.places.moved_from {
            let moved = format!(
                "`{}` is on another machine, where the store cannot be: it is in `{}`; CCRUN_STATE_DIR names another place",
                from.display(),
                setting.places.state.display()
            );
            prepared.warnings.extend(Some(moved).filter(|moved| state::once(&setting.places.moved(), moved)));
        }
        if let Some(news) = news
            && !program.is_wrapped
            && state::once(&setting.places.inherited(), &news)
        {
            prepared.warnings.push(news);
        }
        Ok(prepared)
    })();
    result.map_err(|error| Failure { error, required })
}

/// What sessions have left to be said, once: to somebody who sees it.
fn notices(program: &Program, places: &Places) -> Vec<String> {
    if program.is_wrapped { Vec::new() } else { notice::take(places) }
}

/// Whether the launcher stays as the program's parent: asked to, or where nothing would outlive the program.
fn stays(wait: bool, surroundings: &Surroundings) -> bool {
    wait || surroundings.switch("CI") || std::process::id() == 1
}

/// What is waited for then: an editor that somebody waits for goes on in its windows.
fn drain(program: &Program, wait: bool, profile: &Profile, config: &Config) -> Drain {
    if wait && is_editor(&program.name, config.editors.as_deref()) {
        return Drain::UntilNobodySends;
    }
    Drain::For(profile.collector.drain_timeout + MARGIN)
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
