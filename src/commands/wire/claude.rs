//! `ccrun wire claude`: a profile in Claude Code's own settings, for where it is not started by us.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};

use super::{each, records, wire_file};
use crate::cli;
use crate::commands::{profile, run};
use crate::credential::Source;
use crate::environment;
use crate::printable::visible;
use crate::profile::{Destination, HELPER, Profile, Protocol, Selection};
use crate::quoting;
use crate::setting::Setting;
use crate::surroundings::Surroundings;
use crate::wire::Target;
use crate::wire::jsonc::Spot;
use crate::wire::wiring::Entry;

pub(super) fn wire(options: cli::WireClaude, setting: &Setting, surroundings: &Surroundings) -> Result<ExitCode> {
    let launch = cli::Launch { profiles: options.profiles.clone(), ..cli::Launch::default() };
    // A project's file has no say in what is written down for all of them.
    let selection = Selection { directory: None, ..run::selection(launch, surroundings) };
    let resolved = match setting.resolve(&selection) {
        Ok((resolved, _)) => resolved,
        Err(faults) => return Ok(profile::invalid(&faults, surroundings)),
    };
    let entries = entries(&resolved.profile, &options.profiles, surroundings)?;
    let file = options.settings.map(|path| surroundings.directory.join(path));
    let file = file.unwrap_or_else(|| setting.places.claude.join("settings.json"));
    let records = records(&setting.places, options.dry_run)?;
    Ok(each(&[file], |path| wire_file(path, &entries, Target::Claude, &records, options.dry_run)))
}

/// What a profile comes to without a collector, as far as settings can say it and hold no secret.
fn entries(profile: &Profile, names: &[String], surroundings: &Surroundings) -> Result<Vec<Entry>> {
    let name = visible(&profile.name);
    let destination =
        environment::only_destination(profile).map_err(|reason| anyhow!("without a collector {reason}"))?;
    let Some(destination) = destination else {
        bail!("the profile `{name}` sends nothing anywhere: there is nothing to wire")
    };
    let changes = environment::direct(profile, &BTreeMap::new(), &BTreeMap::new());
    let mut variables = changes.map_err(|reason| anyhow!("without a collector {reason}"))?.set;
    for (variable, sources) in &profile.env {
        let [Source::Literal(value)] = sources.as_slice() else {
            bail!("`{}` of `[env]` would have to be fetched: settings hold what does not change", visible(variable));
        };
        variables.insert(variable.clone(), value.clone());
    }
    let variables = variables
        .into_iter()
        .map(|(variable, value)| Entry { spot: Spot::KeyOf("env".to_owned(), variable), value: Value::from(value) });
    let own = profile.settings.iter().map(|(key, value)| Entry { spot: Spot::Key(key.clone()), value: value.clone() });
    let helper = helper(destination, names, surroundings)?;
    Ok(variables.chain(own).chain(helper).collect())
}

/// What fetches the headers, if there are any.
fn helper(destination: &Destination, names: &[String], surroundings: &Surroundings) -> Result<Option<Entry>> {
    if destination.headers.is_empty() && destination.headers_helper.is_none() {
        return Ok(None);
    }
    if destination.protocol == Protocol::Grpc {
        bail!(
            "destination `{}` speaks grpc, and Claude Code asks no helper for headers then: all its headers would be lost",
            visible(&destination.name)
        );
    }
    let called = surroundings.called();
    let names = names.iter().map(|name| format!(" -p {}", quoting::word(name))).collect::<String>();
    let command = format!("{} headers{names}", quoting::word(&called.to_string_lossy()));
    Ok(Some(Entry { spot: Spot::Key(HELPER.to_owned()), value: json!(command) }))
}
