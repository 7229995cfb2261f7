//! Prepares a launch: finds the profile that applies, decides what the launch does, and collects the notices.

use super::policy::{self, Facts, Mode, Policy, Request, decide};
use super::{PreparedLaunch, Program, begin_session, direct, hooks, over_budget, secrets, untouched, variables};
use crate::environment::{self, Changes};
use crate::profile::{Profile, Selection};
use crate::state::{self, Places, notice};
use crate::system::process_environment::ProcessEnvironment;
use crate::workspace::trust::TrustedDigest;
use crate::workspace::{Config, Workspace};
use crate::{claude, editor};

/// Why a launch has no telemetry, and whether the program must then not start.
#[derive(Debug)]
pub struct PrepareError {
    /// The reason.
    pub error: anyhow::Error,
    /// Whether the program must not start.
    pub is_required: bool,
}

/// Prepares a launch that starts a session, unless `config.toml` switches `ccrun` off.
pub fn prepare(
    program: &Program,
    request: &Request,
    (workspace, config): (&Workspace, &Config),
    process: &ProcessEnvironment,
) -> Result<PreparedLaunch, PrepareError> {
    if config.off {
        return Ok(untouched(program));
    }
    let Request { selection, is_required, .. } = request;
    let (resolved, ignored, trusted_digest) = workspace
        .resolve_with_digest(selection, config)
        .map_err(|faults| PrepareError { error: faults.into(), is_required: *is_required })?;
    let mut profile = resolved.profile;
    if let Some(drain_timeout) = request.drain_timeout {
        profile.collector.drain_timeout = drain_timeout;
    }
    profile.status_line = config.status_line.applied_to(&profile.status_line);
    if program.purpose() == claude::Use::Management {
        let is_required = *is_required || profile.require;
        return manage(program, &profile, workspace, process).map_err(|error| PrepareError { error, is_required });
    }
    let is_unchosen = selection.profiles.is_empty() && config.defaults.profile.is_none();
    let inherited = if is_unchosen { workspace.inherited() } else { None };
    let (nothing, is_editor) = (Changes::default(), policy::is_editor(program, config.editors.as_deref()));
    let of_claude_code = is_editor.then(|| workspace.of_claude_code(&profile, nothing.clone(), &nothing));
    let policy = decide(Facts {
        program,
        request,
        profile: &profile,
        is_editor,
        service_name: of_claude_code.as_ref().and_then(|changes| changes.set.get(environment::SERVICE_NAME)),
        inherited: inherited.as_ref(),
        is_last: is_last(process),
    });
    over_budget::check(program, &profile, workspace, process)
        .map_err(|over| PrepareError { error: over.into(), is_required: true })?;
    let without_hooks = hooks::notice(program, &profile, &policy);
    let (places, program) = (&workspace.places, &Program { is_editor, ..program.clone() });
    // Take the notices before the collector starts: what it leaves is for the next launch.
    let notices = if policy.shows_notices { notice::take(places) } else { Vec::new() };
    let begun = begin(program, profile, trusted_digest, selection, &policy, workspace, process);
    let mut prepared = begun.map_err(|error| {
        for line in &notices {
            notice::leave(places, line);
        }
        PrepareError { error, is_required: policy.is_required }
    })?;
    prepared.is_required = policy.is_required;
    let remark = || editor::remark(&program.name, &program.path, &program.arguments, process);
    let of_window = is_editor.then(remark).flatten();
    prepared.warnings.extend(
        of_window
            .into_iter()
            .chain(ignored.map(|ignored| ignored.to_string()))
            .chain(without_hooks)
            .chain(notices)
            .chain(said_once(&policy, places)),
    );
    Ok(prepared)
}

/// Whether nothing on this machine is likely to outlive the program: in a job, or as pid 1.
pub fn is_last(process: &ProcessEnvironment) -> bool {
    process.switch("CI") || std::process::id() == 1
}

/// Prepares what starts no session: only the profile's own variables, which may say where Claude Code keeps its files and
/// which proxy it uses.
fn manage(
    program: &Program,
    profile: &Profile,
    workspace: &Workspace,
    process: &ProcessEnvironment,
) -> anyhow::Result<PreparedLaunch> {
    let workspace = workspace.clone().withholding(profile);
    let (answers, warnings) = secrets::ask_for_variables(profile, &workspace, process.started_at);
    let changes = variables(profile, &workspace, &answers, process.started_at)?;
    Ok(PreparedLaunch { changes, warnings, ..untouched(program) })
}

/// Starts the session as decided.
fn begin(
    program: &Program,
    mut profile: Profile,
    trusted_digest: TrustedDigest,
    selection: &Selection,
    policy: &Policy,
    workspace: &Workspace,
    process: &ProcessEnvironment,
) -> anyhow::Result<PreparedLaunch> {
    match &policy.mode {
        Mode::Direct => direct::prepare(program, &profile, trusted_digest, workspace.clone(), process),
        Mode::Collector { accept, stays } => {
            profile.collector.accept.clone_from(accept);
            let mut selection = selection.clone();
            if selection.profiles.is_empty() {
                // The default profile may be another one by the time that the rest is delivered.
                selection.profiles.push(profile.name.clone());
            }
            begin_session(program, profile, trusted_digest, selection, workspace.clone(), *stays, process)
        }
    }
}

/// Notices about a session with a collector that are shown only once.
fn said_once(policy: &Policy, places: &Places) -> Vec<String> {
    let moved = places.moved_from.as_ref().filter(|_| policy.mode != Mode::Direct).map(|from| {
        format!(
            "`{}` is on a network file system, which cannot hold the store: using `{}`; set CCRUN_STATE_DIR to choose another directory",
            from.display(),
            places.state.display()
        )
    });
    let moved = moved.filter(|moved| state::once(&places.moved(), moved));
    let inherited = policy.inherited_notice.clone().filter(|notice| state::once(&places.inherited(), notice));
    moved.into_iter().chain(inherited).collect()
}
