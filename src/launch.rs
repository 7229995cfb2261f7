//! Launching: everything that happens before `ccrun` becomes the program, or its parent.

pub mod direct;
mod find;
mod parent;
pub mod secrets;
mod signals;
mod wrapped;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use jiff::Timestamp;
use serde_json::Value;

use crate::claude::{self, UserSettings};
use crate::collector::{self, Channel, Plan, Role, Token};
use crate::credential::{self, Answers};
use crate::environment::{self, Changes, Endpoint};
use crate::process::Process;
use crate::profile::{self, Profile, Selection};
use crate::sentinel::{self, Sentinel};
use crate::setting::Setting;
use crate::store::sessions::Session;
use crate::surroundings::{Places, Surroundings};
use crate::trust::Seal;
use crate::{git, random, state};

pub use find::{find, is_on_windows, is_shim, is_wsl};
pub use parent::{Drain, supervise};
pub use signals::Interrupts;
pub use wrapped::words_before;

/// A program to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name or path, as it was given.
    pub name: OsString,
    /// The file to execute.
    pub path: PathBuf,
    /// Words before its arguments: a script and what its interpreter is told, or what a wrapper runs.
    pub before: Vec<OsString>,
    /// Its arguments, all its own.
    pub arguments: Vec<OsString>,
    /// Whether it is Claude Code.
    pub is_claude: bool,
    /// Whether an editor's extension has started it, into whose log nobody looks.
    pub is_wrapped: bool,
}

impl Program {
    /// A program by its name, which says whether it is Claude Code.
    pub fn new(name: OsString, path: PathBuf, arguments: Vec<OsString>) -> Self {
        let is_claude = claude::is_claude(&name);
        Self { name, path, before: Vec::new(), arguments, is_claude, is_wrapped: false }
    }

    /// What it is called among sessions: an extension's Claude Code is far down in some directory, or node's.
    fn label(&self) -> String {
        if self.is_claude { "claude".to_owned() } else { self.name.to_string_lossy().into_owned() }
    }

    /// Whether it is Claude Code, and would understand `--settings` in front of its arguments.
    pub fn takes_settings(&self) -> bool {
        self.is_claude && claude::takes_settings(&self.arguments)
    }
}

/// What is exec'ed in the end: the program's own name and arguments, and an environment.
#[derive(Debug)]
pub struct Prepared {
    /// What to do to the environment.
    pub changes: Changes,
    /// The program's arguments, with ours in front.
    pub arguments: Vec<OsString>,
    /// What the user should know, a line each.
    pub warnings: Vec<String>,
    /// The session that has begun, if one has.
    pub session: Option<Begun>,
}

/// A session that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Its id.
    pub id: String,
    /// Its profile's name.
    pub profile: String,
    /// The `--settings` file, where the program is Claude Code.
    pub settings: Option<PathBuf>,
    /// Where it leaves what is to be said of it.
    pub places: Places,
    /// The way to its collector.
    pub collector: Channel,
    /// What the launcher waits for, if it stays as the program's parent.
    pub stays: Option<Drain>,
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
    /// `CCRUN_CLAUDE` names no program.
    #[error("CCRUN_CLAUDE is `{}`: {reason}", .path.display())]
    Misnamed {
        /// What it is.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is one of Windows' alone, which cannot run in Linux.
    #[error(
        "{}: this is the Claude Code of Windows, which does not run inside WSL; install it inside WSL too, or name it by \
         CCRUN_CLAUDE", .program.display()
    )]
    Windows {
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
            Self::NotFound { .. } | Self::Misnamed { .. } => 127,
            Self::NotRunnable { error, .. } if error.kind() == ErrorKind::NotFound => 127,
            Self::Endless { .. } | Self::Windows { .. } | Self::NotRunnable { .. } => 126,
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
    stays: Option<Drain>,
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
    let Settled { arguments, settings, overruled } =
        settle(program, &profile, &telemetry, &mut changes, &path, &setting, surroundings)?;
    warnings.extend(without_credentials(&profile, &setting));
    warnings.extend(overruled);
    let plan = Plan {
        role: Role::Keeper,
        session,
        profile,
        token: Token(endpoint.token),
        launched: Process::current(),
        stays: stays.is_some(),
        settings,
        setting,
        answers,
        seal,
    };
    let started = collector::start(surroundings, listener, &plan);
    let collector = started.inspect_err(|_| {
        // Nobody listens: the file would only mislead whoever finds it.
        drop(std::fs::remove_file(&path));
    })?;
    let Plan { session, profile, settings, setting, .. } = plan;
    let places = setting.places;
    let session = Some(Begun { id: session.id, profile: profile.name, settings, places, collector, stays });
    Ok(Prepared { changes, arguments, warnings, session })
}

/// What Claude Code is told besides its environment.
struct Settled {
    /// The program's arguments, with what goes before them.
    arguments: Vec<OsString>,
    /// The `--settings` file, where the program takes one.
    settings: Option<PathBuf>,
    /// What of it an administrator's settings overrule, a line each.
    overruled: Vec<String>,
}

/// Writes the `--settings` file at `path`, if the program takes one, with `telemetry` in it.
fn settle(
    program: &Program,
    profile: &Profile,
    telemetry: &Changes,
    changes: &mut Changes,
    path: &Path,
    setting: &Setting,
    surroundings: &Surroundings,
) -> Result<Settled> {
    let Some((arguments, settings, content)) = settings(program, profile, telemetry, path, setting, surroundings)?
    else {
        return Ok(Settled { arguments: program.arguments.clone(), settings: None, overruled: Vec::new() });
    };
    let (managed, mut overruled) = claude::managed_files();
    overruled.extend(claude::overruled(&managed, &content, &changes.set));
    // The file is gone some day, and whoever resumes through `ccrun` gets another.
    let options = claude::resume_options(&program.arguments);
    changes.set.insert(claude::RESUME_OPTIONS.to_owned(), options);
    Ok(Settled { arguments, settings: Some(settings), overruled })
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
        program: program.label(),
        project: checkout.root.to_string_lossy().into_owned(),
        branch: checkout.branch,
        started_at: Timestamp::now().as_millisecond(),
        selection,
    })
}

/// Writes the `--settings` file, puts it in front of Claude Code's arguments, and gives what it says. The user's own lie
/// over the profile's.
fn settings(
    program: &Program,
    profile: &Profile,
    changes: &Changes,
    path: &Path,
    setting: &Setting,
    surroundings: &Surroundings,
) -> Result<Option<(Vec<OsString>, PathBuf, Value)>> {
    if !program.takes_settings() {
        return Ok(None);
    }
    let user = UserSettings::extract(&program.arguments, &surroundings.directory)?;
    let mut content = profile.settings.clone();
    content.extend(user.content);
    let running = claude::running(&content, changes, &setting.variables);
    state::write(path, running.to_string().as_bytes()).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(Some((in_front(path, user.arguments), path.to_owned(), running)))
}

fn in_front(path: &Path, arguments: Vec<OsString>) -> Vec<OsString> {
    [OsString::from("--settings"), path.into()].into_iter().chain(arguments).collect()
}

/// The program with telemetry off, for when a session could not be started.
pub fn without_telemetry(program: &Program, surroundings: &Surroundings) -> Prepared {
    let changes = environment::off(&surroundings.texts());
    let mut arguments = program.arguments.clone();
    // Claude Code's user settings beat its environment.
    if program.takes_settings() {
        arguments = settings_off(program, surroundings).unwrap_or_else(|_| {
            // The disk is what failed. A `--settings` of the user's stays the only one: it may hold secrets.
            let own = program.arguments.iter().any(|word| word.to_string_lossy().starts_with("--settings"));
            let ours = [OsString::from("--settings"), claude::off().into()].into_iter().filter(|_| !own);
            ours.chain(program.arguments.clone()).collect()
        });
    }
    Prepared { changes, arguments, warnings: Vec::new(), session: None }
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
    let arguments = program.arguments.clone();
    Prepared { changes: Changes::default(), arguments, warnings: Vec::new(), session: None }
}

impl Prepared {
    /// The same with word for a `ccrun` that the program may run.
    #[must_use]
    pub fn with(mut self, sentinel: Sentinel) -> Self {
        let stays = self.session.as_ref().is_some_and(|session| session.stays.is_some());
        let sentinel = if stays { sentinel.staying() } else { sentinel };
        self.changes.set.insert(sentinel::VARIABLE.to_owned(), sentinel.to_string());
        self
    }
}

/// Becomes the program. Returns only if that is not possible.
pub fn exec(program: &Program, prepared: &Prepared) -> ExecError {
    ExecError::NotRunnable { program: program.path.clone(), error: command(program, prepared).exec() }
}

/// The program with its own name, its arguments and its environment.
fn command(program: &Program, prepared: &Prepared) -> Command {
    let mut command = Command::new(&program.path);
    command.arg0(&program.name).args(&program.before).args(&prepared.arguments).envs(&prepared.changes.set);
    for name in &prepared.changes.removed {
        command.env_remove(name);
    }
    command
}
