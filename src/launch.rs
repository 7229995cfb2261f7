//! Launching: everything that happens before `ccrun` becomes the program.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use jiff::Timestamp;

use crate::claude::{self, UserSettings};
use crate::collector::{self, Plan, Role, Token};
use crate::credential::{self, Answers};
use crate::environment::{self, Changes, Endpoint};
use crate::process::Process;
use crate::profile::{self, Profile, Selection};
use crate::sentinel::{self, Sentinel};
use crate::setting::Setting;
use crate::store::sessions::Session;
use crate::surroundings::{Surroundings, identity};
use crate::trust::Seal;
use crate::{git, random, state};

pub mod secrets;

/// A program to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name or path, as it was given.
    pub name: OsString,
    /// The file to execute.
    pub path: PathBuf,
    /// Its arguments, all its own.
    pub arguments: Vec<OsString>,
}

/// What is exec'ed in the end: the program's own name and arguments, and an environment.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What to do to the environment.
    pub changes: Changes,
    /// The program's arguments, with what goes before them.
    pub arguments: Vec<OsString>,
    /// What the user should know, a line each.
    pub warnings: Vec<String>,
}

/// Why a program could not be run.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// There is no such program.
    #[error("{}: not found{}", .program.display(), .hint)]
    NotFound {
        /// As it was named.
        program: PathBuf,
        /// How to get it.
        hint: &'static str,
    },
    /// There is one, and all it does is run `ccrun` again.
    #[error("{}: it runs ccrun again, without end; put Claude Code's own directory on PATH", .program.display())]
    Endless {
        /// Its path.
        program: PathBuf,
    },
    /// There is one, and it cannot be run.
    #[error("{}: {error}", .program.display())]
    NotRunnable {
        /// Its path.
        program: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
}

impl ExecError {
    /// What a shell would exit with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::Endless { .. } | Self::NotRunnable { .. } => 126,
        }
    }
}

/// Starts a session for a program: its collector, its settings file, its environment.
pub fn prepare(
    program: &Program,
    profile: Profile,
    seal: Seal,
    selection: Selection,
    setting: Setting,
    surroundings: &Surroundings,
) -> Result<Prepared> {
    let setting = setting.withholding(&profile);
    let places = &setting.places;
    state::prepare(places)?;
    let (answers, mut warnings) = secrets::ask(&profile, &setting);
    let own = variables(&profile, &setting, &answers)?;
    let listener = collector::bind()?;
    let endpoint = Endpoint { port: listener.local_addr()?.port(), token: random::hex::<16>()? };
    let session = session(program, &profile, selection, surroundings)?;
    let telemetry = environment::on(&profile, &endpoint, &session.id, &setting.variables);
    let path = places.settings(&session.id);
    let mut changes = own.and(telemetry.clone());
    let (arguments, settings) = match settings(program, &profile, &telemetry, &path, &setting, surroundings)? {
        Some((arguments, settings)) => {
            // The file is gone some day, and whoever resumes through `ccrun` gets another.
            let options = claude::resume_options(&program.arguments);
            changes.set.insert(claude::RESUME_OPTIONS.to_owned(), options);
            (arguments, Some(settings))
        }
        None => (program.arguments.clone(), None),
    };
    warnings.extend(without_credentials(&profile, &setting));
    let plan = Plan {
        role: Role::Keeper,
        session,
        profile,
        token: Token(endpoint.token),
        launched: Process::current(),
        settings,
        setting,
        answers,
        seal,
    };
    if let Err(error) = collector::start(surroundings, listener, &plan) {
        // Nobody listens: the file would only mislead whoever finds it.
        drop(std::fs::remove_file(&path));
        return Err(error);
    }
    Ok(Prepared { changes, arguments, warnings })
}

/// The profile's own variables, fetched.
pub fn variables(profile: &Profile, setting: &Setting, answers: &Answers) -> Result<Changes> {
    let values = secrets::fetch(&profile.env, setting, answers);
    environment::own(profile, |name, _| match values.get(name) {
        Some(Ok(value)) => Ok(value.clone()),
        Some(Err(reason)) => Err(anyhow!("there is no value for `env.{name}`: {reason}")),
        None => Err(anyhow!("there is no value for `env.{name}`")),
    })
}

/// Destinations that cannot be given anything yet, each with the reason, as far as that can be seen at once.
fn without_credentials(profile: &Profile, setting: &Setting) -> Vec<String> {
    let missing = profile.destinations.iter().filter_map(|destination| {
        let reason = credential::missing(destination, setting.ground())?;
        Some(format!("what is for destination `{}` waits: {reason}", destination.name))
    });
    missing.collect()
}

fn session(program: &Program, profile: &Profile, selection: Selection, surroundings: &Surroundings) -> Result<Session> {
    let checkout = git::checkout(&surroundings.directory);
    Ok(Session {
        id: random::hex::<8>()?,
        parent: surroundings.text(environment::SESSION).filter(|id| profile::check_name(id).is_ok()).map(str::to_owned),
        profile: profile.name.clone(),
        team: profile.team.clone(),
        program: program.name.to_string_lossy().into_owned(),
        project: checkout.root.to_string_lossy().into_owned(),
        branch: checkout.branch,
        started_at: Timestamp::now().as_millisecond(),
        selection,
    })
}

/// Writes the `--settings` file and puts it in front of Claude Code's arguments. The user's own lie over the profile's.
fn settings(
    program: &Program,
    profile: &Profile,
    changes: &Changes,
    path: &Path,
    setting: &Setting,
    surroundings: &Surroundings,
) -> Result<Option<(Vec<OsString>, PathBuf)>> {
    if !claude::is_claude(&program.name) || !claude::takes_settings(&program.arguments) {
        return Ok(None);
    }
    let user = UserSettings::extract(&program.arguments, &surroundings.directory)?;
    let mut content = profile.settings.clone();
    content.extend(user.content);
    let running = claude::running(&content, changes, &setting.variables);
    state::write(path, running.to_string().as_bytes()).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(Some((in_front(path, user.arguments), path.to_owned())))
}

fn in_front(path: &Path, arguments: Vec<OsString>) -> Vec<OsString> {
    [OsString::from("--settings"), path.into()].into_iter().chain(arguments).collect()
}

/// The program with telemetry off, for when a session could not be started.
pub fn without_telemetry(program: &Program, surroundings: &Surroundings) -> Prepared {
    let changes = environment::off(&surroundings.texts());
    let mut arguments = program.arguments.clone();
    // Claude Code's user settings beat its environment.
    if claude::is_claude(&program.name) && claude::takes_settings(&program.arguments) {
        arguments = settings_off(program, surroundings).unwrap_or_else(|_| {
            // The disk is what failed. A `--settings` of the user's stays the only one: it may hold secrets.
            let own = program.arguments.iter().any(|word| word.to_string_lossy().starts_with("--settings"));
            let ours = [OsString::from("--settings"), claude::off().into()].into_iter().filter(|_| !own);
            ours.chain(program.arguments.clone()).collect()
        });
    }
    Prepared { changes, arguments, warnings: Vec::new() }
}

/// Claude Code's arguments with a settings file that turns telemetry off, the user's own `--settings` merged into it.
fn settings_off(program: &Program, surroundings: &Surroundings) -> Result<Vec<OsString>> {
    let (setting, _) = Setting::gather(surroundings)?;
    let places = setting.places;
    state::prepare(&places)?;
    let user = UserSettings::extract(&program.arguments, &surroundings.directory)?;
    let path = places.settings(&random::hex::<8>()?);
    state::write(&path, claude::ended(&user.content).to_string().as_bytes())?;
    Ok(in_front(&path, user.arguments))
}

/// The program as if `ccrun` were not there.
pub fn untouched(program: &Program) -> Prepared {
    Prepared { changes: Changes::default(), arguments: program.arguments.clone(), warnings: Vec::new() }
}

impl Prepared {
    /// The same with word for a `ccrun` that the program may run.
    #[must_use]
    pub fn with(mut self, sentinel: &Sentinel) -> Self {
        self.changes.set.insert(sentinel::VARIABLE.to_owned(), sentinel.to_string());
        self
    }
}

/// Becomes the program. Returns only if that is not possible.
pub fn exec(program: &Program, prepared: &Prepared) -> ExecError {
    let mut command = Command::new(&program.path);
    command.arg0(&program.name).args(&prepared.arguments).envs(&prepared.changes.set);
    for name in &prepared.changes.removed {
        command.env_remove(name);
    }
    ExecError::NotRunnable { program: program.path.clone(), error: command.exec() }
}

/// Finds a program as a shell does; `claude` skipping ourselves, and then where its installers put it. Files that
/// `skipped` says so of are passed over.
pub fn find(name: &OsStr, surroundings: &Surroundings, skipped: impl Fn(&Path) -> bool) -> Result<PathBuf, ExecError> {
    let path = Path::new(name);
    if path.components().count() > 1 {
        return Ok(path.to_owned());
    }
    let search = surroundings.variable("PATH").unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"));
    let found = which::which_in_all(name, Some(search), &surroundings.directory);
    let is_claude = claude::is_claude(name);
    let home = surroundings.variable("HOME").map(PathBuf::from).unwrap_or_default();
    let known = if is_claude { claude::known_places(&home) } else { Vec::new() };
    let ourselves = identity(&surroundings.executable);
    let mut candidates = found.into_iter().flatten().chain(known.into_iter().filter(|place| place.is_file()));
    let hint = if is_claude { "; install Claude Code, or put its directory on PATH" } else { "" };
    candidates
        .find(|candidate| identity(candidate) != ourselves && !skipped(candidate))
        .ok_or_else(|| ExecError::NotFound { program: path.to_owned(), hint })
}
