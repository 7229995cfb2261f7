//! Launching: everything that happens before `ccrun` becomes the program or its parent.

pub mod direct;
pub mod explain;
mod find;
mod hooks;
mod kind;
mod over_budget;
pub mod policy;
mod prepare;
pub mod secrets;
pub mod sentinel;
mod settings;
mod supervise;
mod wrapped;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, anyhow};
use jiff::Timestamp;
use serde_json::Map;

use crate::collector::{self, Channel, Role, SessionPlan};
use crate::credential::Answers;
use crate::environment::{self, Changes, Endpoint};
use crate::profile::{self, Profile, Selection};
use crate::state::Places;
use crate::store::sessions::Session;
use crate::system::process::Process;
use crate::system::process_environment::ProcessEnvironment;
use crate::system::{inheritance, random};
use crate::workspace::trust::TrustedDigest;
use crate::workspace::{Workspace, repository};
use crate::{claude, credential, state};
use hooks::Setting;
use sentinel::Sentinel;
use settings::AppliedSettings;

pub use find::{find, is_shim};
pub use kind::{LaunchKind, OFF, kind_of_wrapped, locate};
pub use over_budget::OverBudget;
pub use prepare::{PrepareError, is_last, prepare};
pub use supervise::{Drain, supervise};
pub use wrapped::words_before;

/// A program to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name or path as given.
    pub name: OsString,
    /// The file to execute.
    pub path: PathBuf,
    /// Words before its arguments: an interpreter's options and script, or the program that a wrapper runs.
    pub before: Vec<OsString>,
    /// Its own arguments.
    pub arguments: Vec<OsString>,
    /// Whether it is Claude Code.
    pub is_claude: bool,
    /// Whether an editor's extension started it, whose log is not read.
    pub is_wrapped: bool,
    /// Whether it is an editor, which starts Claude Code and other programs.
    pub is_editor: bool,
}

impl Program {
    /// A program by name. The name tells whether it is Claude Code.
    pub fn new(name: OsString, path: PathBuf, arguments: Vec<OsString>) -> Self {
        let is_claude = claude::is_claude(&name);
        Self { name, path, before: Vec::new(), arguments, is_claude, is_wrapped: false, is_editor: false }
    }

    /// Its name in lists of sessions. An extension runs Claude Code by a long path or through node, so that is
    /// shortened.
    fn label(&self) -> String {
        if self.is_claude { "claude".to_owned() } else { self.name.to_string_lossy().into_owned() }
    }

    /// What Claude Code does with its arguments. Any other program may begin a session.
    pub fn purpose(&self) -> claude::Use {
        if self.is_claude { claude::Use::of(&self.arguments) } else { claude::Use::Session }
    }

    /// Whether it is Claude Code and accepts `--settings` in front of its arguments.
    pub fn takes_settings(&self) -> bool {
        self.is_claude && claude::takes_settings(&self.arguments)
    }
}

/// Everything that the final exec needs: the changed arguments and environment.
#[derive(Debug)]
pub struct PreparedLaunch {
    /// Changes to the environment.
    pub changes: Changes,
    /// The program's arguments, after the ones that ccrun adds.
    pub arguments: Vec<OsString>,
    /// Warnings for the user, one per line.
    pub warnings: Vec<String>,
    /// The session, if one was started.
    pub session: Option<StartedSession>,
    /// Whether the program must not start without a session.
    pub is_required: bool,
}

/// A session that has been started.
#[derive(Debug)]
pub struct StartedSession {
    /// Its id.
    pub id: String,
    /// The name of its profile.
    pub profile: String,
    /// The `--settings` file, if the program is Claude Code.
    pub settings: Option<PathBuf>,
    /// The directories in which it leaves notices.
    pub places: Places,
    /// The command that finds out what is wrong with the same launch.
    pub doctor: String,
    /// The connection to its collector.
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
        /// Its name as given.
        program: PathBuf,
        /// How to install or find it.
        hint: &'static str,
    },
    /// The only match does nothing but run `ccrun` again.
    #[error("{}: it runs ccrun again in a loop; put the directory of the real program first on PATH", .program.display())]
    Endless {
        /// Its path.
        program: PathBuf,
    },
    /// `CCRUN_CLAUDE` names no program.
    #[error("CCRUN_CLAUDE is `{}`: {reason}", .path.display())]
    Misnamed {
        /// The value of the variable.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Only a Windows program exists, which cannot run in Linux.
    #[error(
        "{}: this is the Claude Code of Windows, which does not run inside WSL; install it inside WSL, or set \
         CCRUN_CLAUDE to one that is", .program.display()
    )]
    Windows {
        /// Its path.
        program: PathBuf,
    },
    /// The program exists but cannot be run.
    #[error("{}: {error}", .program.display())]
    NotRunnable {
        /// Its path.
        program: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
}

impl ExecError {
    /// Whether the system rejects arguments and environment as too long.
    pub fn is_too_long(&self) -> bool {
        matches!(self, Self::NotRunnable { error, .. } if error.kind() == ErrorKind::ArgumentListTooLong)
    }

    /// The exit code that a shell would return.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound { .. } | Self::Misnamed { .. } => 127,
            Self::NotRunnable { error, .. } if error.kind() == ErrorKind::NotFound => 127,
            Self::Endless { .. } | Self::Windows { .. } | Self::NotRunnable { .. } => 126,
        }
    }
}

/// Starts a session for a program: its collector, settings file and environment.
fn begin_session(
    program: &Program,
    profile: Profile,
    trusted_digest: TrustedDigest,
    selection: Selection,
    workspace: Workspace,
    stays: Option<Drain>,
    process: &ProcessEnvironment,
) -> Result<PreparedLaunch> {
    let workspace = workspace.withholding(&profile);
    let places = &workspace.places;
    state::prepare(places)?;
    let (answers, mut warnings) = secrets::ask(&profile, &workspace, process.started_at);
    let own = variables(&profile, &workspace, &answers, process.started_at)?;
    let given = settings::given(program, &profile, &workspace, process)?;
    let listener = collector::bind()?;
    let endpoint = Endpoint { port: listener.local_addr()?.port(), token: random::hex::<16>()?.into() };
    let session = session(program, &profile, selection, process)?;
    let telemetry = environment::on(&profile, &endpoint, &session.id, &workspace.variables);
    let telemetry = settings::heard(telemetry, program, &profile, &own, given.as_ref(), &workspace);
    let path = places.settings(&session.id);
    let mut changes = own.and(telemetry.clone());
    environment::reach_loopback(&mut changes, &workspace.variables);
    let content = given.as_ref().map(settings::Given::content);
    let setting =
        Setting { program, profile: &profile, given: content, changes: &changes, workspace: &workspace, process };
    let (hooks, silent) = hooks::of_session(setting, endpoint.port, &session.id);
    let AppliedSettings { arguments, settings, remarks } =
        settings::apply(program, given, &telemetry, hooks.as_ref(), &mut changes, &path)?;
    warnings.extend(without_credentials(&profile, &workspace));
    warnings.extend(silent);
    warnings.extend(remarks);
    let plan = SessionPlan {
        role: Role::Keeper,
        worker: 0,
        session,
        profile,
        token: endpoint.token,
        launched: Process::current(),
        stays: stays.is_some(),
        settings,
        hook: hooks.map(|hooks| hooks.hook),
        workspace,
        answers,
        trusted_digest,
    };
    let started = collector::start(process, listener, &plan);
    let collector = started.inspect_err(|_| {
        // The collector is not running, so the file would be misleading.
        drop(std::fs::remove_file(&path));
        drop(std::fs::remove_file(plan.workspace.places.hook(&plan.session.id)));
    })?;
    let SessionPlan { session, profile, settings, workspace, .. } = plan;
    let doctor = session.selection.command("doctor", workspace.project.is_some());
    let (id, profile, places) = (session.id, profile.name, workspace.places);
    let session = Some(StartedSession { id, profile, settings, places, doctor, collector, stays });
    Ok(PreparedLaunch { changes, arguments, warnings, session, is_required: false })
}

/// Fetches the profile's own variables.
pub fn variables(profile: &Profile, workspace: &Workspace, answers: &Answers, now: Timestamp) -> Result<Changes> {
    let values = secrets::fetch(&profile.env, workspace, answers, now);
    environment::own(profile, |name, _| match values.get(name) {
        Some(Ok(value)) => Ok(value.clone()),
        Some(Err(reason)) => Err(anyhow!("`env.{name}` has no value: {reason}")),
        None => Err(anyhow!("`env.{name}` has no value")),
    })
}

/// Destinations whose credentials are known to be missing, each with the reason, as far as that is visible at once.
fn without_credentials(profile: &Profile, workspace: &Workspace) -> Vec<String> {
    let missing = profile.destinations.iter().filter_map(|destination| {
        let reason = credential::missing(destination, workspace.context())?;
        Some(format!("telemetry for destination `{}` waits: {reason}", destination.name))
    });
    missing.collect()
}

fn session(
    program: &Program,
    profile: &Profile,
    selection: Selection,
    process: &ProcessEnvironment,
) -> Result<Session> {
    let named = |variable| process.variable(variable).map(Path::new);
    let checkout = repository::checkout_by(&process.directory, named("GIT_DIR"), named("GIT_WORK_TREE"));
    Ok(Session {
        id: random::hex::<8>()?,
        parent: process.text(environment::SESSION).filter(|id| profile::check_name(id).is_ok()).map(str::to_owned),
        profile: profile.name.clone(),
        team: profile.team.clone(),
        program: program.label(),
        project: checkout.root.to_string_lossy().into_owned(),
        branch: checkout.branch,
        started_at: process.started_at.as_millisecond(),
        selection: selection.without_secrets(profile),
    })
}

/// The program with telemetry off, for when no session could be started. `places` is `None` if they could not be found.
pub fn without_telemetry(program: &Program, places: Option<&Places>, process: &ProcessEnvironment) -> PreparedLaunch {
    let changes = environment::off(&process.texts());
    let (mut arguments, mut left_out) = (program.arguments.clone(), None);
    // Claude Code's user settings override its environment.
    if program.takes_settings() {
        let off = places.and_then(|places| settings::off(program, places, process).ok());
        (arguments, left_out) = off.unwrap_or_else(|| {
            // The disk has failed. A `--settings` of the user's must not be merged into a command line, because it may
            // hold secrets.
            let own = program.arguments.iter().any(|word| word.to_string_lossy().starts_with("--settings"));
            let ours = [OsString::from("--settings"), claude::off(&Map::new()).to_string().into()]
                .into_iter()
                .filter(|_| !own);
            (ours.chain(program.arguments.clone()).collect(), None)
        });
    }
    PreparedLaunch { changes, arguments, warnings: left_out.into_iter().collect(), session: None, is_required: false }
}

/// The program without any change.
pub fn untouched(program: &Program) -> PreparedLaunch {
    let arguments = program.arguments.clone();
    PreparedLaunch { changes: Changes::default(), arguments, warnings: Vec::new(), session: None, is_required: false }
}

impl PreparedLaunch {
    /// The same, with a sentinel for a `ccrun` that the program may run.
    #[must_use]
    pub fn with(mut self, sentinel: Sentinel) -> Self {
        let stays = self.session.as_ref().is_some_and(|session| session.stays.is_some());
        let sentinel = if stays { sentinel.staying() } else { sentinel };
        self.changes.set.insert(sentinel::VARIABLE.to_owned(), sentinel.to_string());
        self
    }
}

/// Becomes the program. Returns only if that fails.
pub fn exec(program: &Program, prepared: &PreparedLaunch) -> ExecError {
    ExecError::NotRunnable {
        program: program.path.clone(),
        error: inheritance::handing_on(|| command(program, prepared).exec()),
    }
}

/// The command with the program's own name, arguments and environment.
fn command(program: &Program, prepared: &PreparedLaunch) -> Command {
    let mut command = Command::new(&program.path);
    command.arg0(&program.name).args(&program.before).args(&prepared.arguments).envs(&prepared.changes.set);
    for name in &prepared.changes.removed {
        command.env_remove(name);
    }
    command
}
