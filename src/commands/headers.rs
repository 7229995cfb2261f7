//! `ccrun headers`: prints a destination's headers as JSON, for a client that exports by itself and calls a header
//! helper.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};

use super::selection::selection;
use super::waiting::waiting;
use super::{print, profile, refuse_inside_claude};
use crate::cli;
use crate::credential::{Answers, Vault};
use crate::profile::{Destination, Profile, Protocol};
use crate::secret::Source;
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal::json;
use crate::terminal::printable::visible;
use crate::workspace::Workspace;

pub(super) fn run(options: cli::Headers, process: &ProcessEnvironment) -> Result<ExitCode> {
    if let Some(refusal) = refuse_inside_claude("headers", process) {
        return Ok(refusal);
    }
    let (workspace, config) = Workspace::gather(process)?;
    let selection = selection(options.which.into(), process);
    let (resolved, trusted_digest) = match workspace.resolve_with_digest(&selection, &config) {
        Ok((resolved, _, trusted_digest)) => (resolved, trusted_digest),
        Err(faults) => return Ok(profile::invalid(&faults, process)),
    };
    let destination = chosen(&resolved.profile, options.destination.as_deref())?;
    if destination.protocol == Protocol::Grpc {
        bail!(
            "destination `{}` uses gRPC, for which a client calls no header helper: all its headers would be \
             lost; start the program with `ccrun` instead",
            visible(&destination.name)
        );
    }
    let workspace = workspace.withholding(&resolved.profile);
    let vault = Vault::new(workspace, Answers::default());
    let fetch = || vault.headers(destination, &trusted_digest, process.started_at);
    let headers = waiting(&sources(destination), fetch);
    let headers = headers.map_err(|reason| anyhow!("destination `{}`: {reason}", destination.name))?;
    print(&format!("{}\n", json::compact(&headers)?))?;
    Ok(ExitCode::SUCCESS)
}

/// The sources of the headers that may take a while to fetch.
fn sources(destination: &Destination) -> String {
    let fetched =
        destination.headers.values().flatten().filter(|source| !matches!(source, Source::Literal(_) | Source::Env(..)));
    let named: BTreeSet<_> =
        fetched.map(Source::to_string).chain(destination.headers_helper.as_ref().map(ToString::to_string)).collect();
    named.into_iter().collect::<Vec<_>>().join(", ")
}

/// The destination of that name, or the only one.
fn chosen<'a>(profile: &'a Profile, name: Option<&str>) -> Result<&'a Destination> {
    let all = || {
        let names = profile.destinations.iter().map(|destination| visible(&destination.name));
        names.collect::<Vec<_>>().join(", ")
    };
    match (name, profile.destinations.as_slice()) {
        (_, []) => bail!("the profile `{}` has no destination, so it has no headers", visible(&profile.name)),
        (None, [only]) => Ok(only),
        (None, _) => bail!("the profile has several destinations: choose one of {} with `--destination`", all()),
        (Some(name), destinations) => {
            let found = destinations.iter().find(|destination| destination.name == name);
            found.with_context(|| format!("there is no destination `{}`: choose one of {}", visible(name), all()))
        }
    }
}
