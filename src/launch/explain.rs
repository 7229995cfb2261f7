//! Explains where each variable of a launch comes from, what it overrides, and what overrides it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::claude::{self, SettingsFile};
use crate::environment::{self, Changes, RESOURCE_ATTRIBUTES};
use crate::profile::{Resolved, SHORTHAND};
use crate::terminal::mask::{HIDDEN, is_secret_name, may_be_secret};

/// A variable with its explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Its name.
    pub name: String,
    /// Its value, or `None` if it is removed.
    pub value: Option<String>,
    /// Its origins: a profile's key with its place, `default`, `ccrun` or `the environment`.
    pub origins: Vec<String>,
    /// The values that it overrides.
    pub overrides: Vec<OtherValue>,
    /// The value that Claude Code, unlike other programs, uses instead.
    pub overruled_by: Option<OtherValue>,
}

/// A value of the same variable in another place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherValue {
    /// The place.
    pub place: String,
    /// Its value there; `…` if it may hold a key.
    pub value: String,
}

/// Everything that determines a launch's variables.
#[derive(Clone, Copy)]
pub struct ExplainContext<'a> {
    /// The profile.
    pub resolved: &'a Resolved,
    /// The launcher's environment.
    pub inherited: &'a BTreeMap<String, String>,
    /// Claude Code's settings files, in increasing order of precedence.
    pub files: &'a [SettingsFile],
    /// Whether to show values that may hold a key.
    pub reveal: bool,
}

/// Explains every variable that is set or removed, in the environment or for Claude Code only. `telemetry` is the part
/// of `changes` that also goes into Claude Code's settings.
pub fn explain(changes: &Changes, telemetry: &Changes, context: ExplainContext<'_>) -> Vec<Explained> {
    let settings = claude::running(&context.resolved.profile.settings, telemetry);
    let settings: BTreeMap<_, _> = settings["env"].as_object().into_iter().flatten().map(text).collect();
    let is_named = |name: &str| context.files.iter().any(|file| file.variables.contains_key(name));
    let only_there = settings.iter().filter(|(name, value)| !value.is_empty() || is_named(name)).map(|(name, _)| name);
    let names: BTreeSet<_> = changes.set.keys().chain(&changes.removed).chain(only_there).collect();
    let explained = names.into_iter().map(|name| {
        let touched = changes.set.contains_key(name) || changes.removed.contains(name);
        let there = settings.get(name);
        let value = if touched { changes.set.get(name) } else { there.filter(|value| !value.is_empty()) };
        Explained {
            name: name.clone(),
            value: value.map(|value| if touched { value.clone() } else { setting(name, value, context) }),
            origins: origins(name, touched, telemetry, context),
            overrides: overrides(name, value, there.is_some(), telemetry, context),
            overruled_by: overruled(name, value, there, context),
        }
    });
    let mut explained: Vec<_> = explained.collect();
    let is_new = |one: &Explained| explained.iter().all(|other| other.name != one.name);
    let away: Vec<_> = taken_away(context).filter(is_new).collect();
    explained.extend(away);
    explained
}

/// A value from the settings, unless it may be secret.
fn setting(name: &str, value: &str, context: ExplainContext<'_>) -> String {
    let is_secret = !environment::is_plain(name) && (is_secret_name(name) || may_be_secret(value));
    if is_secret && !context.reveal { HIDDEN.to_owned() } else { value.to_owned() }
}

fn text((name, value): (&String, &Value)) -> (String, String) {
    (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn origins(name: &str, touched: bool, telemetry: &Changes, context: ExplainContext<'_>) -> Vec<String> {
    let origin = |path: &[&str]| context.resolved.origin(path.iter().copied());
    if name == RESOURCE_ATTRIBUTES {
        return attributes(context);
    }
    if let Some(key) = environment::key(name) {
        let path: Vec<_> = key.split('.').collect();
        return vec![said(key, &origin(&path).unwrap_or_else(|| "default".to_owned()), context)];
    }
    let (env, settings) = (["env", name], ["settings", "env", name]);
    let own = if touched { env.as_slice() } else { settings.as_slice() };
    let place = origin(own).filter(|_| !telemetry.set.contains_key(name));
    if let Some(place) = place {
        return vec![said(&own.join("."), &place, context)];
    }
    if let Some(header) = header(name, context).filter(|_| touched) {
        return vec![header];
    }
    vec![if name == environment::SERVICE_NAME { service(telemetry, context) } else { "ccrun".to_owned() }]
}

/// The origin of the service name.
fn service(telemetry: &Changes, context: ExplainContext<'_>) -> String {
    if let Some(place) = context.resolved.origin(["resource", "service.name"]) {
        return said("resource.service.name", &place, context);
    }
    let named = telemetry.set.get(environment::SERVICE_NAME);
    let is_of = |variables: &BTreeMap<String, String>| {
        let own = variables.get(environment::SERVICE_NAME).filter(|own| !own.is_empty());
        let attributes = variables.get(RESOURCE_ATTRIBUTES).is_some_and(|text| text.contains("service.name="));
        own.is_some() && own == named || own.is_none() && attributes
    };
    let Some(_) = named else { return "ccrun".to_owned() };
    if is_of(context.inherited) {
        return "the environment".to_owned();
    }
    let file = context.files.iter().find(|file| !file.managed && is_of(&file.variables));
    file.map_or_else(|| "ccrun".to_owned(), |file| file.path.to_string_lossy().into_owned())
}

/// The header that takes its value from a variable. The variable is then removed from the program's environment.
fn header(variable: &str, context: ExplainContext<'_>) -> Option<String> {
    let destinations = context.resolved.profile.destinations.iter();
    let mut headers =
        destinations.flat_map(|one| one.headers.iter().map(|(header, sources)| (&one.name, header, sources)));
    let (destination, header, _) =
        headers.find(|(.., sources)| sources.iter().any(|source| source.variables().contains(&variable)))?;
    let place = context.resolved.origin(["destination", destination, "headers", header])?;
    Some(said(&format!("destination.{destination}.headers.{header}"), &place, context))
}

/// Each resource attribute has its own origin. Inherited entries stay.
fn attributes(context: ExplainContext<'_>) -> Vec<String> {
    let inherited = context.inherited.get(RESOURCE_ATTRIBUTES).is_some_and(|value| !value.is_empty());
    let mut origins: Vec<_> = inherited.then(|| "the environment".to_owned()).into_iter().collect();
    for attribute in context.resolved.profile.resource.keys() {
        let own = (format!("resource.{attribute}"), context.resolved.origin(["resource", attribute]));
        let short = SHORTHAND.iter().find(|(_, long)| long == attribute);
        let short = short.map(|(key, _)| (format!("team.{key}"), context.resolved.origin(["team", key])));
        let found = [Some(own), short].into_iter().flatten().find_map(|(key, place)| Some((key, place?)));
        origins.extend(found.map(|(key, place)| said(&key, &place, context)));
    }
    if origins.is_empty() { vec!["default".to_owned()] } else { origins }
}

/// A key and its place, and, if an administrator enforces it, what it replaced.
fn said(key: &str, place: &str, context: ExplainContext<'_>) -> String {
    let is_default = place == "default";
    match (context.resolved.enforced_by(key), context.resolved.overruled(key)) {
        (Some(by), Some(instead)) => format!("{place} ({key}, enforced by {by} instead of {instead})"),
        (_, _) if is_default => place.to_owned(),
        (Some(by), None) => format!("{place} ({key}, enforced by {by})"),
        (None, _) => format!("{place} ({key})"),
    }
}

/// Variables of the profile that an enforced layer removed.
fn taken_away(context: ExplainContext<'_>) -> impl Iterator<Item = Explained> {
    let keys = context.resolved.taken_away("env").into_iter();
    keys.filter_map(move |key| {
        let name = key.strip_prefix("env.")?.replace('"', "");
        let by = context.resolved.enforced_by(&key)?;
        let instead = context.resolved.overruled(&format!("env.{name}"))?;
        let origins = vec![format!("{by} (env.{name}, removed from {instead})")];
        Some(Explained { name, value: None, origins, overrides: Vec::new(), overruled_by: None })
    })
}

fn overrides(
    name: &str,
    value: Option<&String>,
    in_settings: bool,
    telemetry: &Changes,
    context: ExplainContext<'_>,
) -> Vec<OtherValue> {
    let inherited = context.inherited.get(name).filter(|inherited| {
        // An inherited list of resource attributes is merged, and a service name is kept.
        Some(*inherited) != value && name != RESOURCE_ATTRIBUTES
    });
    let mut found: Vec<_> =
        inherited.map(|value| elsewhere("the environment", name, value, context)).into_iter().collect();
    for own in [["env", name].as_slice(), &["settings", "env", name]] {
        let place = context.resolved.origin(own.iter().copied()).filter(|_| telemetry.set.contains_key(name));
        let key = own.join(".");
        found.extend(place.map(|place| OtherValue { place: said(&key, &place, context), value: "…".to_owned() }));
    }
    let files = context.files.iter().filter(|file| in_settings && !file.managed);
    let files = files.filter_map(|file| Some((file, file.variables.get(name)?)));
    found.extend(files.map(|(file, value)| elsewhere(&file.path.to_string_lossy(), name, value, context)));
    found
}

fn overruled(
    name: &str,
    value: Option<&String>,
    there: Option<&String>,
    context: ExplainContext<'_>,
) -> Option<OtherValue> {
    let stronger = context.files.iter().rev().filter(|file| file.managed || there.is_none());
    let mut named = stronger.filter_map(|file| Some((file, file.variables.get(name)?)));
    if let Some((file, theirs)) = named.next() {
        return Some(elsewhere(&file.path.to_string_lossy(), name, theirs, context));
    }
    let other = there.filter(|there| value.is_some_and(|value| value != *there))?;
    let place = match context.resolved.origin(["settings", "env", name]) {
        Some(place) => said(&format!("settings.env.{name}"), &place, context),
        None => "ccrun's `--settings`".to_owned(),
    };
    Some(elsewhere(&place, name, other, context))
}

fn elsewhere(place: &str, name: &str, value: &str, context: ExplainContext<'_>) -> OtherValue {
    let shown = if context.reveal || environment::is_plain(name) { value } else { "…" };
    OtherValue { place: place.to_owned(), value: shown.to_owned() }
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

    /// Explains the text of a profile that has only literals in `[env]`.
    fn explained(text: &str, inherited: &[(&str, &str)], files: &[SettingsFile]) -> BTreeMap<String, Explained> {
        let nowhere = Path::new("/nonexistent");
        let document = Arc::new(Document { label: "p.toml".to_owned(), text: text.to_owned() });
        let directories = Directories { system: nowhere, user: nowhere, inherited: None };
        let resolved = check_document(&document, directories).unwrap();
        let inherited = strings(inherited);
        let telemetry = environment::on_in_general(&resolved.profile, &inherited);
        let own = environment::own(&resolved.profile, |_, sources| match sources {
            [crate::secret::Source::Literal(value)] => Ok(value.clone()),
            other => Err(format!("{other:?}")),
        });
        let changes = own.unwrap().and(telemetry.clone());
        let context = ExplainContext { resolved: &resolved, inherited: &inherited, files, reveal: false };
        explain(&changes, &telemetry, context).into_iter().map(|one| (one.name.clone(), one)).collect()
    }

    fn shown(other: &OtherValue) -> (&str, &str) {
        (&other.place, &other.value)
    }

    #[test]
    fn each_variable_has_an_origin() {
        let text = "[content]\nuser_prompts = true\n[signals]\ntraces = true\n[env]\nA = \"1\"\n[team]\nid = \"t\"\n[resource]\nx = \"y\"\n";
        let all = explained(text, &[], &[]);
        let origins = |name: &str| all[name].origins.join(" | ");
        assert_eq!(origins("OTEL_LOG_USER_PROMPTS"), "p.toml:2:16 (content.user_prompts)");
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
    fn telemetry_variables_override_the_environment_and_claude_codes_settings() {
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
        // Emptied in Claude Code's settings, where it would otherwise be read.
        assert_eq!(all["OTEL_EXPORTER_OTLP_METRICS_HEADERS"].value, None);
        assert_eq!(overrides("OTEL_EXPORTER_OTLP_METRICS_HEADERS"), [("/u", "…")]);
        assert!(!all.contains_key("OTEL_EXPORTER_OTLP_TRACES_HEADERS"));
    }

    #[test]
    fn contradictions_within_a_profile_are_explained() {
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
    fn claude_codes_settings_override_the_profiles_variables() {
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
