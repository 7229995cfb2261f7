//! `ccrun wire claude`: writes a profile to Claude Code's own settings, for when `ccrun` does not start it.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use serde_json::{Map, Value};

use super::{each, records, what, wire_file};
use crate::claude::rollout;
use crate::cli;
use crate::commands::profile;
use crate::commands::selection::selection;
use crate::profile::Selection;
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal::printable::visible;
use crate::wiring::entry::Entry;
use crate::wiring::jsonc::Spot;
use crate::wiring::{Edit, Target};
use crate::workspace::{Config, Workspace};

/// The settings key that holds variables.
const ENV: &str = "env";

pub(super) fn wire(
    options: cli::WireClaude,
    workspace: &Workspace,
    config: &Config,
    process: &ProcessEnvironment,
) -> Result<ExitCode> {
    let launch = cli::Launch { profiles: options.profiles, ..cli::Launch::default() };
    // A project's file does not apply to settings that every project uses.
    let selection = Selection { directory: None, ..selection(launch, process) };
    let resolved = match workspace.resolve(&selection, config) {
        Ok((resolved, _)) => resolved,
        Err(faults) => return Ok(profile::invalid(&faults, process)),
    };
    let settings = rollout::without_launcher(&resolved.profile, &selection, &process.called());
    let settings = settings.map_err(|reason| anyhow!(visible(&reason)))?;
    let file = options.settings.map(|path| process.directory.join(path));
    let file = file.unwrap_or_else(|| workspace.places.claude.join("settings.json"));
    let records = records(&workspace.places, options.dry_run)?;
    let entries = entries(settings);
    Ok(each(&[file], |path| {
        let edit = Edit::wire(path, |_| Ok(entries.clone()), Target::Claude, &records)?;
        wire_file(path, &edit, &what(&entries), Target::Claude, &records, options.dry_run)
    }))
}

/// Each key and each variable is an entry of its own: the user owns the others.
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
