//! Launching without a collector: the program exports by itself, and finds a destination's headers in its environment.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use super::{Prepared, Program, Settled, secrets, settle, variables};
use crate::credential::{Answers, Vault};
use crate::environment::{self, Changes};
use crate::profile::{Destination, Profile};
use crate::setting::Setting;
use crate::surroundings::Surroundings;
use crate::trust::Seal;
use crate::{claude, helper, random, state};

/// Where the headers are: the one variable of these that holds secrets.
pub const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// How long fetching headers may delay the program, whatever a command's own timeout says.
const DEADLINE: Duration = Duration::from_secs(2);

/// How long killing a command and reaping it may take.
const GRACE: Duration = Duration::from_millis(200);

/// Prepares a program for exporting by itself.
pub fn prepare(
    program: &Program,
    profile: &Profile,
    seal: Seal,
    setting: Setting,
    surroundings: &Surroundings,
) -> Result<Prepared> {
    let setting = setting.withholding(profile);
    state::prepare(&setting.places)?;
    if program.is_claude && claude::user_telemetry(&setting.places.claude).contains_key(HEADERS) {
        // The way to beat them is a file, where a secret must not be.
        bail!("without a collector Claude Code's user settings would send their own `{HEADERS}`: take it out of them");
    }
    let (answers, mut warnings) = secrets::ask(profile, &setting);
    let own = variables(profile, &setting, &answers)?;
    let headers = hurried(profile, &setting, seal, answers)?;
    let telemetry = telemetry(profile, &headers, &setting)?;
    let mut changes = own.and(telemetry.clone());
    let mut public = telemetry;
    public.set.remove(HEADERS);
    let path = setting.places.settings(&random::hex::<8>()?);
    let Settled { arguments, overruled, .. } =
        settle(program, profile, &public, &mut changes, &path, &setting, surroundings)?;
    warnings.extend(overruled);
    Ok(Prepared { changes, arguments, warnings, session: None })
}

/// Telemetry without a collector, with these headers.
pub fn telemetry(profile: &Profile, headers: &BTreeMap<String, String>, setting: &Setting) -> Result<Changes> {
    let changes = environment::direct(profile, headers, &setting.variables);
    changes.map_err(|reason| anyhow!("without a collector {reason}"))
}

/// The headers of a profile's destinations, fetched now, for nobody refreshes them. Takes as long as its commands do.
pub fn headers(
    profile: &Profile,
    setting: &Setting,
    seal: &Seal,
    answers: Answers,
) -> Result<BTreeMap<String, String>> {
    let vault = Vault::new(setting.clone(), answers);
    let mut all = BTreeMap::new();
    for destination in &profile.destinations {
        let headers = vault.headers(destination, seal);
        let headers = headers.map_err(|reason| anyhow!("destination `{}`: {reason}", destination.name))?;
        all.extend(headers.into_iter().map(|(name, value)| (name, value.0)));
    }
    Ok(all)
}

/// The same within the deadline.
fn hurried(profile: &Profile, setting: &Setting, seal: Seal, answers: Answers) -> Result<BTreeMap<String, String>> {
    if !profile.destinations.iter().any(Destination::has_headers) {
        return Ok(BTreeMap::new());
    }
    let (sender, receiver) = mpsc::channel();
    let (profile, setting) = (profile.clone(), setting.clone());
    // A keyring may hang for ever; the thread ends when the process becomes the program.
    let fetch = move || drop(sender.send(headers(&profile, &setting, &seal, answers)));
    std::thread::Builder::new().spawn(fetch)?;
    if let Ok(fetched) = receiver.recv_timeout(DEADLINE) {
        return fetched;
    }
    // The program must find no child that it did not start.
    helper::end_all();
    drop(receiver.recv_timeout(GRACE));
    bail!(
        "without a collector a destination's headers are needed at once, and took longer than {} s",
        DEADLINE.as_secs()
    )
}
