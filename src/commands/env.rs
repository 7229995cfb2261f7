//! `ccrun env`: prints the environment that a program would get. It writes nothing. It fetches or runs something only
//! for values that a shell needs or that the user asked to see.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::selection::selection;
use super::variables::{as_text, masked_telemetry, named, plain, shown, with_launchs};
use super::{complain, gather, print, profile, refuse_inside_claude};
use crate::cli::{self, EnvFormat};
use crate::credential::Answers;
use crate::environment::{self, Changes, quoting};
use crate::launch::direct;
use crate::launch::explain::{ExplainContext, Explained, OtherValue, explain};
use crate::launch::policy::is_direct;
use crate::profile::Profile;
use crate::secret::Source;
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal::json;
use crate::terminal::printable::visible;
use crate::workspace::Workspace;
use crate::workspace::trust::TrustedDigest;
use crate::{claude, launch};

pub(super) fn run(options: cli::Env, process: &ProcessEnvironment) -> Result<ExitCode> {
    if options.reveal
        && let Some(refusal) = refuse_inside_claude("env --reveal", process)
    {
        return Ok(refusal);
    }
    let (workspace, config) = gather(process)?;
    let wants_direct = options.direct;
    let selection = selection(options.given.into(), process);
    let format = if options.json { EnvFormat::Json } else { options.format };
    let is_shown = matches!(format, EnvFormat::Table | EnvFormat::Json);
    let found = if is_shown && !options.reveal {
        workspace.outline(&selection, &config).map(|(resolved, ignored)| (resolved, ignored, TrustedDigest::default()))
    } else {
        workspace.resolve_with_digest(&selection, &config)
    };
    let (resolved, ignored, trusted_digest) = match found {
        Ok(found) => found,
        Err(faults) => return Ok(profile::invalid(&faults, process)),
    };
    if let Some(ignored) = ignored {
        complain(&visible(&ignored.to_string()));
    }
    if config.off || process.switch(launch::OFF) {
        complain("ccrun is off, so the program gets the inherited environment; this is what it would get otherwise");
    }
    let profile = &resolved.profile;
    let own = if options.reveal {
        revealed(profile, &workspace, process)?
    } else {
        let value = if is_shown { shown } else { |_: &str, sources: &[Source]| named(sources) };
        environment::own(profile, |name, sources| Ok::<_, anyhow::Error>(value(name, sources)))?
    };
    let fetched = || fetched_telemetry(profile, &workspace, &trusted_digest, process.started_at);
    if !is_shown {
        if options.explain {
            bail!("`--explain` works only with `--format table` or `json`");
        }
        check_revealed(profile, options.reveal)?;
        return print_to_shell(&for_shell(format, profile, own, fetched)?);
    }
    let is_direct = is_direct(wants_direct, profile);
    let telemetry = match is_direct {
        true if options.reveal => fetched()?,
        true => masked_telemetry(profile, &workspace)?,
        false => environment::on_in_general(profile, &workspace.variables),
    };
    let telemetry = workspace.of_claude_code(profile, telemetry, &own);
    let mut changes = with_launchs(own.and(telemetry.clone()));
    if !is_direct {
        environment::reach_loopback(&mut changes, &workspace.variables);
    }
    let variables = if options.explain {
        let files = files(&workspace, process);
        let inherited = &workspace.variables;
        let context = ExplainContext { resolved: &resolved, inherited, files: &files, reveal: options.reveal };
        explain(&changes, &telemetry, context)
    } else {
        plain(changes)
    };
    print(&if format == EnvFormat::Json { as_json(&variables, options.explain)? } else { as_text(&variables) })?;
    Ok(ExitCode::SUCCESS)
}

/// The profile's variables with their values. Those that are unavailable are reported.
fn revealed(profile: &Profile, workspace: &Workspace, process: &ProcessEnvironment) -> Result<Changes> {
    let (answers, faults) = launch::secrets::ask_for_variables(profile, workspace, process.started_at);
    for fault in faults {
        complain(&visible(&fault));
    }
    launch::variables(profile, workspace, &answers, process.started_at)
}

/// Prints what a shell evaluates. A terminal would obey its control characters.
fn print_to_shell(text: &str) -> Result<ExitCode> {
    if io::stdout().is_terminal() && text.split('\n').any(|line| visible(line) != line) {
        bail!("a value contains terminal control characters: evaluate the output, or write it to a file");
    }
    print(text)?;
    Ok(ExitCode::SUCCESS)
}

fn files(workspace: &Workspace, process: &ProcessEnvironment) -> Vec<claude::SettingsFile> {
    let (files, notes) = claude::settings_files(&workspace.places.claude, &process.directory);
    for note in notes {
        complain(&visible(&note));
    }
    files
}

fn as_json(variables: &[Explained], explained: bool) -> Result<String> {
    let other = |other: &OtherValue| json!({ "place": other.place, "value": other.value });
    let entry = |variable: &Explained| -> Value {
        let mut entry = json!({ "name": variable.name, "value": variable.value });
        if explained {
            entry["origins"] = json!(variable.origins);
            entry["overrides"] = variable.overrides.iter().map(other).collect();
            entry["overruled_by"] = variable.overruled_by.as_ref().map(other).into();
        }
        entry
    };
    let entries: Vec<_> = variables.iter().map(entry).collect();
    Ok(json::pretty(&entries)? + "\n")
}

/// The telemetry variables of a launch without a collector, with headers fetched now.
fn fetched_telemetry(
    profile: &Profile,
    workspace: &Workspace,
    trusted_digest: &TrustedDigest,
    now: Timestamp,
) -> Result<Changes> {
    let headers = direct::headers(profile, workspace, trusted_digest, Answers::default(), now)?;
    direct::telemetry(profile, &headers, workspace)
}

/// `[env]` and the telemetry variables of a launch without a collector, for a shell.
fn for_shell(
    format: EnvFormat,
    profile: &Profile,
    own: Changes,
    telemetry: impl FnOnce() -> Result<Changes>,
) -> Result<String> {
    if !profile.settings.is_empty() {
        complain("`[settings]` cannot be expressed as variables and is left out");
    }
    let changes = own.and(telemetry()?);
    let mut out = String::new();
    for (name, value) in &changes.set {
        let written = match format {
            EnvFormat::Fish => quoting::fish(name, Some(value)),
            EnvFormat::Dotenv => quoting::dotenv(name, value),
            _ => quoting::shell(name, Some(value)),
        };
        out += &written.map_err(|reason| anyhow!(visible(&reason)))?;
    }
    // A .env file lists only what is set. A name that is invalid in a shell cannot have been inherited from one.
    let removed = changes.removed.iter().filter(|name| format != EnvFormat::Dotenv && quoting::check(name).is_ok());
    for name in removed {
        let written = if format == EnvFormat::Fish { quoting::fish(name, None) } else { quoting::shell(name, None) };
        out += &written.unwrap_or_default();
    }
    Ok(out)
}

/// Fails if a secret would be printed without `--reveal`.
fn check_revealed(profile: &Profile, reveal: bool) -> Result<()> {
    if reveal {
        return Ok(());
    }
    let is_secret = |sources: &[Source]| !matches!(sources, [Source::Literal(_), ..]);
    let headers = profile.destinations.iter().flat_map(|destination| &destination.headers);
    if let Some((name, sources)) = profile.env.iter().chain(headers).find(|(_, sources)| is_secret(sources)) {
        bail!("`{}` is {}: `--reveal` prints its value", visible(name), visible(&named(sources)));
    }
    if profile.destinations.iter().any(|destination| destination.headers_helper.is_some()) {
        bail!("a helper prints the headers: `--reveal` runs it and prints its output");
    }
    Ok(())
}
