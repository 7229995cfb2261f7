//! `ccrun headers`: a destination's headers as JSON, for a client that exports by itself and asks a helper for them.

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};

use super::{print, profile, refuse_inside_claude, run};
use crate::cli;
use crate::credential::{Answers, Vault};
use crate::printable::visible;
use crate::profile::{Destination, Profile, Protocol};
use crate::setting::Setting;
use crate::surroundings::Surroundings;

pub(super) fn run(options: cli::Headers, surroundings: &Surroundings) -> Result<ExitCode> {
    if let Some(refusal) = refuse_inside_claude("headers", surroundings) {
        return Ok(refusal);
    }
    let (setting, _) = Setting::gather(surroundings)?;
    let (resolved, seal) = match setting.resolve_sealed(&run::selection(options.launch, surroundings)) {
        Ok((resolved, _, seal)) => (resolved, seal),
        Err(faults) => return Ok(profile::invalid(&faults, surroundings)),
    };
    let destination = chosen(&resolved.profile, options.destination.as_deref())?;
    if destination.protocol == Protocol::Grpc {
        bail!(
            "destination `{}` speaks grpc, and a client asks no helper for headers then: all its headers would be \
             lost; start the program by `ccrun` instead",
            visible(&destination.name)
        );
    }
    let setting = setting.withholding(&resolved.profile);
    let headers = Vault::new(setting, Answers::default()).headers(destination, &seal);
    let headers = headers.map_err(|reason| anyhow!("destination `{}`: {reason}", destination.name))?;
    print(&format!("{}\n", serde_json::to_string(&headers)?))?;
    Ok(ExitCode::SUCCESS)
}

/// The destination of that name, or the only one.
fn chosen<'a>(profile: &'a Profile, name: Option<&str>) -> Result<&'a Destination> {
    let all = || {
        let names = profile.destinations.iter().map(|destination| visible(&destination.name));
        names.collect::<Vec<_>>().join(", ")
    };
    match (name, profile.destinations.as_slice()) {
        (_, []) => bail!("the profile `{}` sends nothing anywhere: it has no headers", visible(&profile.name)),
        (None, [only]) => Ok(only),
        (None, _) => bail!("the profile has several destinations: choose one by `--destination`, of {}", all()),
        (Some(name), destinations) => {
            let found = destinations.iter().find(|destination| destination.name == name);
            found.with_context(|| format!("there is no destination `{}`: choose one of {}", visible(name), all()))
        }
    }
}
