//! Launches without a collector: the program exports by itself, with a destination's headers in its environment.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use jiff::Timestamp;

use super::settings::AppliedSettings;
use super::{PreparedLaunch, Program, secrets, settings, variables};
use crate::credential::{Answers, Vault};
use crate::environment::{self, Changes};
use crate::profile::{Destination, Profile};
use crate::secret::command;
use crate::system::process_environment::ProcessEnvironment;
use crate::system::random;
use crate::workspace::Workspace;
use crate::workspace::trust::TrustedDigest;
use crate::{claude, state};

/// The only one of these variables that holds secrets.
pub const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// How long fetching headers may delay the program, regardless of a command's own timeout.
const DEADLINE: Duration = Duration::from_secs(2);

/// How long killing and reaping a command may take.
const GRACE: Duration = Duration::from_millis(200);

/// Prepares a program to export by itself.
pub fn prepare(
    program: &Program,
    profile: &Profile,
    trusted_digest: TrustedDigest,
    workspace: Workspace,
    process: &ProcessEnvironment,
) -> Result<PreparedLaunch> {
    let workspace = workspace.withholding(profile);
    state::prepare(&workspace.places)?;
    if program.is_claude && claude::user_telemetry(&workspace.places.claude).contains_key(HEADERS) {
        // Only a settings file could override them, and a file must not contain secrets.
        bail!("without a collector, Claude Code would send the `{HEADERS}` of its user settings: remove it from them");
    }
    let (answers, mut warnings) = secrets::ask(profile, &workspace, process.started_at);
    let own = variables(profile, &workspace, &answers, process.started_at)?;
    let given = settings::given(program, profile, &workspace, process)?;
    let headers = hurried(profile, &workspace, trusted_digest, answers, process.started_at)?;
    let telemetry = telemetry(profile, &headers, &workspace)?;
    let telemetry = settings::heard(telemetry, program, profile, &own, given.as_ref(), &workspace);
    let mut changes = own.and(telemetry.clone());
    let mut public = telemetry;
    public.set.remove(HEADERS);
    let path = workspace.places.settings(&random::hex::<8>()?);
    let AppliedSettings { arguments, remarks, .. } =
        settings::apply(program, given, &public, None, &mut changes, &path)?;
    warnings.extend(remarks);
    Ok(PreparedLaunch { changes, arguments, warnings, session: None, is_required: false })
}

/// The telemetry variables of a launch without a collector, with these headers.
pub fn telemetry(profile: &Profile, headers: &BTreeMap<String, String>, workspace: &Workspace) -> Result<Changes> {
    let changes = environment::direct(profile, headers, &workspace.variables);
    changes.map_err(|reason| anyhow!("without a collector, {reason}"))
}

/// Fetches the headers of a profile's destinations. They are never refreshed. Takes as long as the profile's commands
/// do.
pub fn headers(
    profile: &Profile,
    workspace: &Workspace,
    trusted_digest: &TrustedDigest,
    answers: Answers,
    now: Timestamp,
) -> Result<BTreeMap<String, String>> {
    let vault = Vault::new(workspace.clone(), answers);
    let mut all = BTreeMap::new();
    for destination in &profile.destinations {
        let headers = vault.headers(destination, trusted_digest, now);
        let headers = headers.map_err(|reason| anyhow!("destination `{}`: {reason}", destination.name))?;
        all.extend(headers.into_iter().map(|(name, value)| (name, value.expose().to_owned())));
    }
    Ok(all)
}

/// The same, within the deadline.
fn hurried(
    profile: &Profile,
    workspace: &Workspace,
    trusted_digest: TrustedDigest,
    answers: Answers,
    now: Timestamp,
) -> Result<BTreeMap<String, String>> {
    if !profile.destinations.iter().any(Destination::has_headers) {
        return Ok(BTreeMap::new());
    }
    let (sender, receiver) = mpsc::channel();
    let (profile, workspace) = (profile.clone(), workspace.clone());
    // A keyring may hang forever. The thread ends when the process becomes the program.
    let fetch = move || drop(sender.send(headers(&profile, &workspace, &trusted_digest, answers, now)));
    std::thread::Builder::new().spawn(fetch)?;
    if let Ok(fetched) = receiver.recv_timeout(DEADLINE) {
        return fetched;
    }
    // The program must not inherit child processes.
    command::end_all();
    drop(receiver.recv_timeout(GRACE));
    bail!(
        "without a collector, a destination's headers are needed at launch, but fetching them took longer than {} s",
        DEADLINE.as_secs()
    )
}
