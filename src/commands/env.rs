//! `ccrun env`: what a program would be given. Nothing is written, and nothing fetched or run but for values that a
//! shell, or whoever asked for them, is to have.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};

use super::{complain, print, profile, refuse_inside_claude, run};
use crate::cli::{self, EnvFormat};
use crate::credential::{Answers, Source};
use crate::environment::{self, Changes};
use crate::explanation::{Elsewhere, Explained, Parties, explain};
use crate::launch::direct;
use crate::printable::visible;
use crate::profile::Profile;
use crate::setting::Setting;
use crate::surroundings::Surroundings;
use crate::trust::Seal;
use crate::{claude, launch, quoting, sentinel};

pub(super) fn run(options: cli::Env, surroundings: &Surroundings) -> Result<ExitCode> {
    if options.reveal
        && let Some(refusal) = refuse_inside_claude("env --reveal", surroundings)
    {
        return Ok(refusal);
    }
    let (setting, config) = Setting::gather(surroundings)?;
    let wants_direct = options.launch.direct;
    let selection = run::selection(options.launch, surroundings);
    let format = if options.json { EnvFormat::Json } else { options.format };
    let is_shown = matches!(format, EnvFormat::Table | EnvFormat::Json);
    let found = if is_shown && !options.reveal {
        setting.outline(&selection).map(|(resolved, notice)| (resolved, notice, Seal::default()))
    } else {
        setting.resolve_sealed(&selection)
    };
    let (resolved, notice, seal) = match found {
        Ok(found) => found,
        Err(faults) => return Ok(profile::invalid(&faults, surroundings)),
    };
    if let Some(notice) = notice {
        complain(&visible(&notice));
    }
    if config.off || surroundings.switch("CCRUN_OFF") {
        complain("it is off, and the program gets what is inherited: this is what it would get otherwise");
    }
    let profile = &resolved.profile;
    let own = if options.reveal {
        let (answers, faults) = launch::secrets::ask_for_variables(profile, &setting);
        for fault in faults {
            complain(&visible(&fault));
        }
        launch::variables(profile, &setting, &answers)?
    } else {
        environment::own(profile, |_, sources| Ok::<_, anyhow::Error>(masked(sources)))?
    };
    let is_direct = wants_direct || profile.collector.direct;
    if is_shown {
        let telemetry = match is_direct {
            true if options.reveal => fetched_telemetry(profile, &setting, &seal)?,
            true => masked_telemetry(profile, &setting)?,
            false => environment::on_in_general(profile, &setting.variables),
        };
        let files = if options.explain { files(&setting, surroundings) } else { Vec::new() };
        let parties = Parties {
            resolved: &resolved,
            enforced: &config.enforce,
            inherited: &setting.variables,
            files: &files,
            reveal: options.reveal,
        };
        let changes = with_launchs(own.and(telemetry.clone()));
        let variables = if options.explain { explain(&changes, &telemetry, parties) } else { plain(changes) };
        print(&if format == EnvFormat::Json { as_json(&variables, options.explain)? } else { as_text(&variables) })?;
    } else {
        if options.explain {
            bail!("`--explain` is for people and programs: use it with `--format table` or `json`");
        }
        let text = for_shell(format, profile, own, (&setting, &seal), options.reveal)?;
        if io::stdout().is_terminal() && text.split('\n').any(|line| visible(line) != line) {
            bail!("a value holds what would act on this terminal: evaluate it, or write it to a file");
        }
        print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A literal, or where the value would come from. Nothing is fetched for that, for fetching may start something.
pub(super) fn masked(sources: &[Source]) -> String {
    match sources {
        [Source::Literal(value), ..] => value.clone(),
        sources => format!("<{}>", sources.iter().map(Source::to_string).collect::<Vec<_>>().join(", else ")),
    }
}

/// With what a launch adds for itself.
pub(super) fn with_launchs(mut changes: Changes) -> Changes {
    changes.set.insert(sentinel::VARIABLE.to_owned(), "<launch>".to_owned());
    changes.set.insert(claude::RESUME_OPTIONS.to_owned(), "<Claude Code's options>".to_owned());
    changes
}

fn files(setting: &Setting, surroundings: &Surroundings) -> Vec<claude::SettingsFile> {
    let (files, notes) = claude::settings_files(&setting.places.claude, &surroundings.directory);
    for note in notes {
        complain(&visible(&note));
    }
    files
}

/// Variables without a word on them.
pub(super) fn plain(changes: Changes) -> Vec<Explained> {
    let bare = |name, value| Explained { name, value, origins: Vec::new(), overrides: Vec::new(), overruled_by: None };
    let set = changes.set.into_iter().map(|(name, value)| bare(name, Some(value)));
    set.chain(changes.removed.into_iter().map(|name| bare(name, None))).collect()
}

pub(super) fn as_text(variables: &[Explained]) -> String {
    let mut out = String::new();
    let mut line = |text: String| out.extend([visible(&text).as_str(), "\n"]);
    for variable in variables {
        match &variable.value {
            Some(value) => line(format!("{}={value}", variable.name)),
            None => line(format!("{} is taken out", variable.name)),
        }
        for origin in &variable.origins {
            line(format!("    from {origin}"));
        }
        for other in &variable.overrides {
            line(format!("    over {}: {}", other.place, other.value));
        }
        if let Some(other) = &variable.overruled_by {
            line(format!("    but Claude Code has it from {}: {}", other.place, other.value));
        }
    }
    out
}

fn as_json(variables: &[Explained], explained: bool) -> Result<String> {
    let other = |other: &Elsewhere| json!({ "place": other.place, "value": other.value });
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
    Ok(escaped(&serde_json::to_string_pretty(&entries)?) + "\n")
}

/// JSON whose strings hold nothing that acts on a terminal.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        let written = character.to_string();
        if character == '\n' || visible(&written) == written {
            out.push(character);
        } else {
            out.extend(character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

/// Telemetry without a collector, its headers fetched now.
fn fetched_telemetry(profile: &Profile, setting: &Setting, seal: &Seal) -> Result<Changes> {
    let headers = direct::headers(profile, setting, seal, Answers::default())?;
    direct::telemetry(profile, &headers, setting)
}

/// Telemetry without a collector, each header named by where its value would come from.
pub(super) fn masked_telemetry(profile: &Profile, setting: &Setting) -> Result<Changes> {
    let mut changes = direct::telemetry(profile, &BTreeMap::new(), setting)?;
    let destination = environment::only_destination(profile).ok().flatten();
    let headers = destination.into_iter().flat_map(|destination| &destination.headers);
    let mut list: Vec<_> = headers.map(|(name, sources)| format!("{name}={}", masked(sources))).collect();
    list.extend(
        destination
            .and_then(|destination| destination.headers_helper.as_ref())
            .map(|helper| format!("<the headers that `{}` prints>", helper.argv.first().map_or("", String::as_str))),
    );
    if !list.is_empty() {
        changes.set.insert(direct::HEADERS.to_owned(), list.join(","));
    }
    Ok(changes)
}

/// `[env]` and telemetry without a collector, for the shell that reads it.
fn for_shell(
    format: EnvFormat,
    profile: &Profile,
    own: Changes,
    (setting, seal): (&Setting, &Seal),
    reveal: bool,
) -> Result<String> {
    check_revealed(profile, reveal)?;
    if !profile.settings.is_empty() {
        complain("`[settings]` are no variables: they are not among these");
    }
    let changes = own.and(fetched_telemetry(profile, setting, seal)?);
    let mut out = String::new();
    for (name, value) in &changes.set {
        let written = match format {
            EnvFormat::Fish => quoting::fish(name, Some(value)),
            EnvFormat::Dotenv => quoting::dotenv(name, value),
            _ => quoting::shell(name, Some(value)),
        };
        out += &written.map_err(|reason| anyhow!(visible(&reason)))?;
    }
    // A .env file says what is set. What no shell could name was never in one.
    let removed = changes.removed.iter().filter(|name| format != EnvFormat::Dotenv && quoting::check(name).is_ok());
    for name in removed {
        let written = if format == EnvFormat::Fish { quoting::fish(name, None) } else { quoting::shell(name, None) };
        out += &written.unwrap_or_default();
    }
    Ok(out)
}

/// What is printed is no secret unless it was asked for.
fn check_revealed(profile: &Profile, reveal: bool) -> Result<()> {
    if reveal {
        return Ok(());
    }
    let is_secret = |sources: &[Source]| !matches!(sources, [Source::Literal(_), ..]);
    let headers = profile.destinations.iter().flat_map(|destination| &destination.headers);
    if let Some((name, sources)) = profile.env.iter().chain(headers).find(|(_, sources)| is_secret(sources)) {
        bail!("`{}` is {}: `--reveal` writes its value", visible(name), visible(&masked(sources)));
    }
    if profile.destinations.iter().any(|destination| destination.headers_helper.is_some()) {
        bail!("a helper gives the headers: `--reveal` runs it and writes what it says");
    }
    Ok(())
}
