//! Claude Code's managed settings, which override even `--settings`, and their effect on a profile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use super::SettingsFile;
use crate::environment::{RESOURCE_ATTRIBUTES, SESSION};

/// Words for a switch that is on, and for one that is off.
const ON: [&str; 4] = ["1", "true", "yes", "on"];
const OFF: [&str; 5] = ["", "0", "false", "no", "off"];

/// A key that managed settings override.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overruling {
    /// The file that sets it.
    pub file: PathBuf,
    /// The variable or setting.
    pub key: String,
}

impl Overruling {
    /// Whether it decides where telemetry goes, or whether it is sent at all.
    pub fn decides_where(&self) -> bool {
        decides_where(&self.key)
    }
}

/// One line that lists what managed settings override in a launch, or `None`.
pub fn overruled(files: &[SettingsFile], settings: &Value, variables: &BTreeMap<String, String>) -> Option<String> {
    let found = overruling(files, settings, variables);
    if found.is_empty() {
        return None;
    }
    let past = if found.iter().any(Overruling::decides_where) { PAST } else { "" };
    let places: BTreeSet<_> = found.iter().map(|one| format!("`{}`", one.file.display())).collect();
    let keys: BTreeSet<_> = found.into_iter().map(|one| one.key).collect();
    let list = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
    Some(format!("Claude Code's managed settings ({}) override {}{past}", list(places), list(keys)))
}

const PAST: &str = "; telemetry that they redirect bypasses ccrun";

/// What managed settings override in a launch.
///
/// `settings` is the content of the `--settings` file, and `variables` are the other changes to the environment.
/// Resource attributes are left out, because the collector sets the profile's. Content that the profile withholds is
/// also left out: the collector removes it from everything the client sends.
pub fn overruling(files: &[SettingsFile], settings: &Value, variables: &BTreeMap<String, String>) -> Vec<Overruling> {
    let has_collector = variables.contains_key(SESSION);
    let mut found = Vec::new();
    // If two files set one key, the later one takes effect.
    let mut heard = BTreeSet::new();
    for file in files.iter().rev().filter(|file| file.managed) {
        let mut is_first = |key: &String| heard.insert(key.clone());
        let variables_heard: Vec<_> = file.variables.iter().filter(|(name, _)| is_first(name)).collect();
        let scalars_heard: Vec<_> = file.scalars.iter().filter(|(key, _)| is_first(key)).collect();
        let stronger = variables_heard.into_iter().filter(|(name, value)| {
            let ours = settings["env"].get(*name).and_then(Value::as_str).or(variables.get(*name).map(String::as_str));
            // An empty OpenTelemetry variable counts as unset.
            let counts = !(name.starts_with("OTEL_") && value.trim().is_empty());
            let is_held_back = has_collector && is_content(name) && !value.trim().starts_with("file:");
            let is_stopped = is_held_back && ours.is_some_and(|ours| OFF.contains(&ours));
            counts && *name != RESOURCE_ATTRIBUTES && !is_stopped && ours.is_some_and(|ours| !is_same(ours, value))
        });
        let others =
            scalars_heard.into_iter().filter(|(key, value)| settings.get(*key).is_some_and(|ours| ours != *value));
        let keys = stronger.map(|(name, _)| name).chain(others.map(|(key, _)| key));
        found.extend(keys.map(|key| Overruling { file: file.path.clone(), key: key.clone() }));
    }
    found
}

/// Whether a key decides where telemetry goes, or whether it is sent at all.
fn decides_where(key: &str) -> bool {
    let suffixes = ["ENDPOINT", "PROTOCOL", "HEADERS", "_EXPORTER", "ENABLE_TELEMETRY"];
    key == crate::profile::HELPER || suffixes.iter().any(|suffix| key.ends_with(suffix))
}

/// Whether a variable is a content switch.
fn is_content(name: &str) -> bool {
    crate::environment::key(name).is_some_and(|key| key.starts_with("content."))
}

/// Whether two values of a variable are equivalent.
fn is_same(ours: &str, theirs: &str) -> bool {
    let (ours, theirs) = (ours.trim().to_ascii_lowercase(), theirs.trim().to_ascii_lowercase());
    let both = |words: &[&str]| words.contains(&ours.as_str()) && words.contains(&theirs.as_str());
    ours == theirs || both(&ON) || both(&OFF)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(managed: bool, variables: &[(&str, &str)], scalars: &[(&str, Value)]) -> SettingsFile {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let scalars = scalars.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        SettingsFile { path: PathBuf::from("/m.json"), managed, variables, scalars, ..SettingsFile::default() }
    }

    fn said(file: &SettingsFile) -> Option<String> {
        let settings = json!({
            "env": {"OTEL_LOG_USER_PROMPTS": "0", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1/t", "A": "1"},
            "otelHeadersHelper": "",
            "model": "m",
        });
        overruled(std::slice::from_ref(file), &settings, &[("B".to_owned(), "1".to_owned())].into())
    }

    #[test]
    fn equivalent_values_override_nothing() {
        let same = [("OTEL_LOG_USER_PROMPTS", " False"), ("A", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", " ")];
        let same = [&same[..], &[("OTEL_RESOURCE_ATTRIBUTES", "a=b"), ("UNSET", "1")]].concat();
        assert_eq!(said(&file(true, &same, &[("model", json!("m")), ("other", json!(true))])), None);
        assert_eq!(said(&file(false, &[("A", "2")], &[])), None, "`--settings` overrides what is not managed");
    }

    #[test]
    fn a_later_file_takes_precedence() {
        let (first, last) = (file(true, &[("A", "2")], &[]), file(true, &[("A", "1")], &[]));
        let settings = json!({"env": {"A": "1"}});
        let none = BTreeMap::new();
        assert_eq!(overruled(&[first.clone(), last.clone()], &settings, &none), None);
        assert!(overruled(&[last, first], &settings, &none).is_some());
    }

    #[test]
    fn content_that_the_collector_removes_is_not_reported() {
        let settings = json!({"env": {"OTEL_LOG_USER_PROMPTS": "0", "OTEL_LOG_RAW_API_BODIES": "0"}});
        let session = [(SESSION.to_owned(), "s".to_owned())].into();
        let said = |value: &str, variables: &BTreeMap<String, String>| {
            let files = [file(true, &[("OTEL_LOG_USER_PROMPTS", "1"), ("OTEL_LOG_RAW_API_BODIES", value)], &[])];
            overruled(&files, &settings, variables)
        };
        assert_eq!(said("1", &session), None);
        // These are written to disk.
        assert!(said("file:/d", &session).unwrap().ends_with("override OTEL_LOG_RAW_API_BODIES"));
        let without = said("1", &BTreeMap::new()).unwrap();
        assert!(without.ends_with("override OTEL_LOG_RAW_API_BODIES, OTEL_LOG_USER_PROMPTS"), "{without}");
    }

    #[test]
    fn differences_are_listed() {
        let managed = file(true, &[("A", "2"), ("B", "2"), ("C", "2")], &[("model", json!("other"))]);
        let expected = "Claude Code's managed settings (`/m.json`) override A, B, model";
        assert_eq!(said(&managed).as_deref(), Some(expected));
        let elsewhere = said(&file(true, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://h")], &[])).unwrap();
        assert!(elsewhere.ends_with("; telemetry that they redirect bypasses ccrun"), "{elsewhere}");
        assert!(said(&file(true, &[], &[("otelHeadersHelper", json!("/bin/x"))])).is_some());
    }
}
