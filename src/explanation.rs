//! Where each variable of a launch comes from, and what it overrides or is overruled by.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::claude::{self, SettingsFile};
use crate::environment::{self, Changes, RESOURCE_ATTRIBUTES};
use crate::profile::{Resolved, SHORTHAND};

/// A variable, and what there is to say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Its name.
    pub name: String,
    /// Its value; nothing for one that is taken out.
    pub value: Option<String>,
    /// What made it so: a profile's key with its place, `default`, `ccrun` or `the environment`.
    pub origins: Vec<String>,
    /// What it would be otherwise.
    pub overrides: Vec<Elsewhere>,
    /// What Claude Code, unlike other programs, takes instead.
    pub overruled_by: Option<Elsewhere>,
}

/// What a variable is somewhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// Where.
    pub place: String,
    /// Its value there; `…` for one that may hold a key.
    pub value: String,
}

/// All that has a say in a launch's variables.
#[derive(Clone, Copy)]
pub struct Parties<'a> {
    /// The profile.
    pub resolved: &'a Resolved,
    /// The keys that the machine's administrator enforces.
    pub enforced: &'a [String],
    /// The launcher's environment.
    pub inherited: &'a BTreeMap<String, String>,
    /// Claude Code's settings files, of which later ones win.
    pub files: &'a [SettingsFile],
    /// Whether values that may hold a key are shown.
    pub reveal: bool,
}

/// Explains every variable that is set or taken out, in the environment or for Claude Code alone. `telemetry` is the
/// part of `changes` that goes into Claude Code's settings too.
pub fn explain(changes: &Changes, telemetry: &Changes, parties: Parties<'_>) -> Vec<Explained> {
    let settings = claude::running(&parties.resolved.profile.settings, telemetry, parties.inherited);
    let settings: BTreeMap<_, _> = settings["env"].as_object().into_iter().flatten().map(text).collect();
    let is_named = |name: &str| parties.files.iter().any(|file| file.variables.contains_key(name));
    let only_there = settings.iter().filter(|(name, value)| !value.is_empty() || is_named(name)).map(|(name, _)| name);
    let names: BTreeSet<_> = changes.set.keys().chain(&changes.removed).chain(only_there).collect();
    let explained = names.into_iter().map(|name| {
        let touched = changes.set.contains_key(name) || changes.removed.contains(name);
        let there = settings.get(name);
        let value = if touched { changes.set.get(name) } else { there.filter(|value| !value.is_empty()) };
        Explained {
            name: name.clone(),
            value: value.cloned(),
            origins: origins(name, touched, telemetry, parties),
            overrides: overrides(name, value, there.is_some(), telemetry, parties),
            overruled_by: overruled(name, value, there, parties),
        }
    });
    explained.collect()
}

fn text((name, value): (&String, &Value)) -> (String, String) {
    (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn origins(name: &str, touched: bool, telemetry: &Changes, parties: Parties<'_>) -> Vec<String> {
    let origin = |path: &[&str]| parties.resolved.origin(path.iter().copied());
    if name == RESOURCE_ATTRIBUTES {
        return attributes(parties);
    }
    if let Some(key) = environment::key(name) {
        let path: Vec<_> = key.split('.').collect();
        return vec![origin(&path).map_or_else(|| "default".to_owned(), |place| said(key, &place, parties))];
    }
    let (env, settings) = (["env", name], ["settings", "env", name]);
    let own = if touched { env.as_slice() } else { settings.as_slice() };
    let place = origin(own).filter(|_| !telemetry.set.contains_key(name));
    if let Some(place) = place {
        return vec![said(&own.join("."), &place, parties)];
    }
    if let Some(header) = header(name, parties).filter(|_| touched) {
        return vec![header];
    }
    let inherited = !touched && parties.inherited.get(name).is_some_and(|value| !value.is_empty());
    let is_service = inherited && name == environment::SERVICE_NAME;
    vec![if is_service { "the environment" } else { "ccrun" }.to_owned()]
}

/// The header that is made of a variable, which the program has no use for then.
fn header(variable: &str, parties: Parties<'_>) -> Option<String> {
    let destinations = parties.resolved.profile.destinations.iter();
    let mut headers =
        destinations.flat_map(|one| one.headers.iter().map(|(header, sources)| (&one.name, header, sources)));
    let (destination, header, _) =
        headers.find(|(.., sources)| sources.iter().any(|source| source.variables().contains(&variable)))?;
    let place = parties.resolved.origin(["destination", destination, "headers", header])?;
    Some(said(&format!("destination.{destination}.headers.{header}"), &place, parties))
}

/// Resource attributes each have a place of their own; entries that were inherited stay.
fn attributes(parties: Parties<'_>) -> Vec<String> {
    let inherited = parties.inherited.get(RESOURCE_ATTRIBUTES).is_some_and(|value| !value.is_empty());
    let mut origins: Vec<_> = inherited.then(|| "the environment".to_owned()).into_iter().collect();
    for attribute in parties.resolved.profile.resource.keys() {
        let own = (format!("resource.{attribute}"), parties.resolved.origin(["resource", attribute]));
        let short = SHORTHAND.iter().find(|(_, long)| long == attribute);
        let short = short.map(|(key, _)| (format!("team.{key}"), parties.resolved.origin(["team", key])));
        let found = [Some(own), short].into_iter().flatten().find_map(|(key, place)| Some((key, place?)));
        origins.extend(found.map(|(key, place)| said(&key, &place, parties)));
    }
    if origins.is_empty() { vec!["default".to_owned()] } else { origins }
}

/// A key and its place, and whether an administrator put it there, and in place of what.
fn said(key: &str, place: &str, parties: Parties<'_>) -> String {
    let below =
        |path: &String| key.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    if !parties.enforced.iter().any(below) {
        return format!("{place} ({key})");
    }
    match parties.resolved.overruled(key) {
        Some(instead) => format!("{place} ({key}, enforced instead of {instead})"),
        None => format!("{place} ({key}, enforced)"),
    }
}

fn overrides(
    name: &str,
    value: Option<&String>,
    in_settings: bool,
    telemetry: &Changes,
    parties: Parties<'_>,
) -> Vec<Elsewhere> {
    let inherited = parties.inherited.get(name).filter(|inherited| {
        // What is inherited of these is joined, and a service's name is kept.
        Some(*inherited) != value && name != RESOURCE_ATTRIBUTES
    });
    let mut found: Vec<_> =
        inherited.map(|value| elsewhere("the environment", name, value, parties)).into_iter().collect();
    for own in [["env", name].as_slice(), &["settings", "env", name]] {
        let place = parties.resolved.origin(own.iter().copied()).filter(|_| telemetry.set.contains_key(name));
        let key = own.join(".");
        found.extend(place.map(|place| Elsewhere { place: said(&key, &place, parties), value: "…".to_owned() }));
    }
    let files = parties.files.iter().filter(|file| in_settings && !file.managed);
    let files = files.filter_map(|file| Some((file, file.variables.get(name)?)));
    found.extend(files.map(|(file, value)| elsewhere(&file.path.to_string_lossy(), name, value, parties)));
    found
}

fn overruled(name: &str, value: Option<&String>, there: Option<&String>, parties: Parties<'_>) -> Option<Elsewhere> {
    let stronger = parties.files.iter().rev().filter(|file| file.managed || there.is_none());
    let mut named = stronger.filter_map(|file| Some((file, file.variables.get(name)?)));
    if let Some((file, theirs)) = named.next() {
        return Some(elsewhere(&file.path.to_string_lossy(), name, theirs, parties));
    }
    let other = there.filter(|there| value.is_some_and(|value| value != *there))?;
    let place = match parties.resolved.origin(["settings", "env", name]) {
        Some(place) => said(&format!("settings.env.{name}"), &place, parties),
        None => "ccrun's `--settings`".to_owned(),
    };
    Some(elsewhere(&place, name, other, parties))
}

fn elsewhere(place: &str, name: &str, value: &str, parties: Parties<'_>) -> Elsewhere {
    let shown = if parties.reveal || environment::is_plain(name) { value } else { "…" };
    Elsewhere { place: place.to_owned(), value: shown.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use super::*;
    use crate::profile::{Directories, Document, check_document};

    fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn file(path: &str, managed: bool, pairs: &[(&str, &str)]) -> SettingsFile {
        SettingsFile { path: PathBuf::from(path), managed, variables: strings(pairs), ..SettingsFile::default() }
    }

    /// Explains a profile's text, with literals in `[env]` alone.
    fn explained(text: &str, inherited: &[(&str, &str)], files: &[SettingsFile]) -> BTreeMap<String, Explained> {
        let nowhere = Path::new("/nonexistent");
        let document = Arc::new(Document { label: "p.toml".to_owned(), text: text.to_owned() });
        let directories = Directories { system: nowhere, user: nowhere, inherited: None };
        let resolved = check_document(&document, directories).unwrap();
        let inherited = strings(inherited);
        let telemetry = environment::on_in_general(&resolved.profile, &inherited);
        let own = environment::own(&resolved.profile, |_, sources| match sources {
            [crate::credential::Source::Literal(value)] => Ok(value.clone()),
            other => Err(format!("{other:?}")),
        });
        let changes = own.unwrap().and(telemetry.clone());
        let enforced = ["content".to_owned()];
        let parties = Parties { resolved: &resolved, enforced: &enforced, inherited: &inherited, files, reveal: false };
        explain(&changes, &telemetry, parties).into_iter().map(|one| (one.name.clone(), one)).collect()
    }

    fn shown(other: &Elsewhere) -> (&str, &str) {
        (&other.place, &other.value)
    }

    #[test]
    fn each_variable_has_its_place() {
        let text = "[content]\nuser_prompts = true\n[signals]\ntraces = true\n[env]\nA = \"1\"\n[team]\nid = \"t\"\n[resource]\nx = \"y\"\n";
        let all = explained(text, &[], &[]);
        let origins = |name: &str| all[name].origins.join(" | ");
        assert_eq!(origins("OTEL_LOG_USER_PROMPTS"), "p.toml:2:16 (content.user_prompts, enforced)");
        assert_eq!(origins("OTEL_TRACES_EXPORTER"), "p.toml:4:10 (signals.traces)");
        assert_eq!(origins("OTEL_METRICS_EXPORTER"), "default");
        assert_eq!(origins("OTEL_EXPORTER_OTLP_ENDPOINT"), "ccrun");
        assert_eq!(origins("A"), "p.toml:6:5 (env.A)");
        assert_eq!(origins("OTEL_RESOURCE_ATTRIBUTES"), "p.toml:8:6 (team.id) | p.toml:10:5 (resource.x)");
        assert_eq!(
            (origins("OTEL_SERVICE_NAME"), all["OTEL_SERVICE_NAME"].value.as_deref()),
            ("ccrun".into(), Some("claude-code"))
        );
    }

    #[test]
    fn ours_override_what_is_inherited_and_set_for_claude_code() {
        let inherited = [
            ("OTEL_LOG_USER_PROMPTS", "1"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "key=sk-1"),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://sk-2"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
        ];
        let files = [
            file("/u", false, &[("OTEL_LOG_USER_PROMPTS", "1"), ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "sk-3")]),
            file("/m", true, &[("OTEL_LOG_USER_PROMPTS", "1")]),
        ];
        let all = explained("", &inherited, &files);
        let overrides = |name: &str| all[name].overrides.iter().map(shown).collect::<Vec<_>>();
        assert_eq!(overrides("OTEL_LOG_USER_PROMPTS"), [("the environment", "1"), ("/u", "1")]);
        assert_eq!(all["OTEL_LOG_USER_PROMPTS"].overruled_by.as_ref().map(shown), Some(("/m", "1")));
        assert_eq!(overrides("OTEL_EXPORTER_OTLP_HEADERS"), [("the environment", "…")]);
        assert_eq!(overrides("OTEL_LOGS_EXPORTER"), []);
        assert_eq!(all["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"].value, None);
        assert_eq!(overrides("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"), [("the environment", "…")]);
        // Taken back in Claude Code's settings, where it would be read from.
        assert_eq!(all["OTEL_EXPORTER_OTLP_METRICS_HEADERS"].value, None);
        assert_eq!(overrides("OTEL_EXPORTER_OTLP_METRICS_HEADERS"), [("/u", "…")]);
        assert!(!all.contains_key("OTEL_EXPORTER_OTLP_TRACES_HEADERS"));
    }

    #[test]
    fn what_the_profile_says_against_itself_is_told() {
        let text = "[env]\nOTEL_LOG_TOOL_DETAILS = \"1\"\n[settings.env]\nOTEL_LOG_TOOL_DETAILS = \"1\"\n\
            [destination.a]\nendpoint = \"https://h\"\nheaders.x = { env = \"TOKEN\" }\n";
        let all = explained(text, &[("TOKEN", "sk-1")], &[]);
        let overrides: Vec<_> = all["OTEL_LOG_TOOL_DETAILS"].overrides.iter().map(shown).collect();
        let expected = ["p.toml:2:25 (env.OTEL_LOG_TOOL_DETAILS)", "p.toml:4:25 (settings.env.OTEL_LOG_TOOL_DETAILS)"];
        assert_eq!(overrides, expected.map(|place| (place, "…")));
        assert_eq!(
            (&all["TOKEN"].value, all["TOKEN"].origins[0].as_str()),
            (&None, "p.toml:7:13 (destination.a.headers.x)")
        );
    }

    #[test]
    fn claude_codes_own_settings_beat_the_profiles_variables() {
        let text = "[env]\nA = \"1\"\nB = \"1\"\n[settings.env]\nB = \"2\"\nC = \"3\"\n";
        let files = [file("/u", false, &[("A", "2"), ("B", "3")]), file("/p", false, &[("A", "3")])];
        let all = explained(text, &[], &files);
        let overruled = |name: &str| all[name].overruled_by.as_ref().map(shown);
        assert_eq!((overruled("A"), all["A"].overrides.len()), (Some(("/p", "…")), 0));
        assert_eq!(overruled("B"), Some(("p.toml:5:5 (settings.env.B)", "…")));
        assert_eq!((overruled("C"), all["C"].value.as_deref()), (None, Some("3")));
        assert_eq!(all["C"].origins, ["p.toml:6:5 (settings.env.C)"]);
    }
}
