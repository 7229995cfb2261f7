//! `ccrun wire claude`: a profile in Claude Code's own settings, for where it is not started by us.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use serde_json::{Map, Value};

use super::{each, records, wire_file};
use crate::claude::rollout;
use crate::cli;
use crate::commands::{profile, run};
use crate::printable::visible;
use crate::profile::Selection;
use crate::setting::Setting;
use crate::surroundings::Surroundings;
use crate::wire::Target;
use crate::wire::jsonc::Spot;
use crate::wire::wiring::Entry;

/// The key of the settings that holds variables.
const ENV: &str = "env";

pub(super) fn wire(options: cli::WireClaude, setting: &Setting, surroundings: &Surroundings) -> Result<ExitCode> {
    let launch = cli::Launch { profiles: options.profiles, ..cli::Launch::default() };
    // A project's file has no say in what is written down for all of them.
    let selection = Selection { directory: None, ..run::selection(launch, surroundings) };
    let resolved = match setting.resolve(&selection) {
        Ok((resolved, _)) => resolved,
        Err(faults) => return Ok(profile::invalid(&faults, surroundings)),
    };
    let settings = rollout::without_launcher(&resolved.profile, &selection, &surroundings.called());
    let settings = settings.map_err(|reason| anyhow!(visible(&reason)))?;
    let file = options.settings.map(|path| surroundings.directory.join(path));
    let file = file.unwrap_or_else(|| setting.places.claude.join("settings.json"));
    let records = records(&setting.places, options.dry_run)?;
    let entries = entries(settings);
    Ok(each(&[file], |path| wire_file(path, &entries, Target::Claude, &records, options.dry_run)))
}

/// Each key by itself, and each variable: what else there is of them is the user's.
fn entries(settings: Map<String, Value>) -> Vec<Entry> {
    let entries = settings.into_iter().flat_map(|(key, value)| match value {
        Value::Object(variables) if key == ENV => variables
            .into_iter()
            .map(|(name, value)| Entry { spot: Spot::KeyOf(ENV.to_owned(), name), value })
            .collect::<Vec<_>>(),
        value => vec![Entry { spot: Spot::Key(key), value }],
    });
    entries.collect()
}
