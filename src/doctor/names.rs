//! Variables of telemetry: where they are named, and which name was meant. Pure, but for reading where they stand.

use std::path::Path;

use crate::bounded;
use crate::claude;
use crate::environment;
use crate::otlp::Signal;
use crate::surroundings::Places;

use super::Subject;

/// How much of a settings file is read to find a line in it, in bytes.
const MAXIMUM_SIZE: u64 = 4 << 20;

/// Variables that Claude Code's telemetry knows, besides those that a profile says and those of each signal.
const KNOWN: [&str; 24] = [
    "CLAUDE_CODE_ENABLE_TELEMETRY",
    "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA",
    "CLAUDE_CODE_OTEL_CONTENT_MAX_LENGTH",
    "CLAUDE_CODE_OTEL_DIAG_STDERR",
    "CLAUDE_CODE_OTEL_FLUSH_TIMEOUT_MS",
    "CLAUDE_CODE_OTEL_HEADERS_HELPER_DEBOUNCE_MS",
    "CLAUDE_CODE_OTEL_SHUTDOWN_TIMEOUT_MS",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "OTEL_EXPORTER_PROMETHEUS_HOST",
    "OTEL_EXPORTER_PROMETHEUS_PORT",
    "OTEL_LOGS_EXPORTER",
    "OTEL_LOGS_EXPORT_INTERVAL",
    "OTEL_LOG_LEVEL",
    "OTEL_LOG_MANAGED_SETTINGS",
    "OTEL_METRICS_EXPORTER",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_METRIC_EXPORT_TIMEOUT",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_RESOURCE_INCLUDE_HOST",
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_EXPORTER",
    "OTEL_TRACES_EXPORT_INTERVAL",
    "OTEL_TRACES_SAMPLER",
];

/// What each signal, and all of them together, may have of its own.
const OF_A_SIGNAL: [&str; 9] = [
    "CERTIFICATE",
    "CLIENT_CERTIFICATE",
    "CLIENT_KEY",
    "COMPRESSION",
    "ENDPOINT",
    "HEADERS",
    "INSECURE",
    "PROTOCOL",
    "TIMEOUT",
];

/// A variable that is named somewhere.
#[derive(Clone)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) value: String,
    /// Where: `FILE:LINE`, or `the environment`.
    pub(super) place: String,
}

/// A variable of this signal's, or of all.
pub(super) fn variable(signal: Option<Signal>, what: &str) -> String {
    let scope = signal.map(|signal| format!("{}_", signal.name().to_uppercase())).unwrap_or_default();
    format!("OTEL_EXPORTER_OTLP_{scope}{what}")
}

/// All scopes that a variable may be of.
pub(super) fn scopes() -> impl Iterator<Item = Option<Signal>> {
    std::iter::once(None).chain(Signal::ALL.map(Some))
}

/// The variables of the environment, unless it is that of a session of ours.
pub(super) fn around(subject: &Subject) -> Vec<Named> {
    let variables = &subject.setting.variables;
    if environment::is_of_a_session(variables) {
        return Vec::new();
    }
    let named = |(name, value): (&String, &String)| Named {
        name: name.clone(),
        value: value.clone(),
        place: "the environment".to_owned(),
    };
    variables.iter().map(named).collect()
}

/// The variables of the user's, the project's and the administrator's settings of Claude Code.
pub(super) fn of_settings(subject: &Subject) -> Vec<Named> {
    let (files, _) = claude::settings_files(&subject.setting.places.claude, &subject.surroundings.directory);
    let named = files.iter().flat_map(|file| {
        file.variables.iter().map(|(name, value)| Named {
            name: name.clone(),
            value: value.clone(),
            place: place(&file.path, name),
        })
    });
    named.collect()
}

/// `FILE:LINE` of a key in a file of JSON; the file alone where it cannot be found.
pub(super) fn place(file: &Path, key: &str) -> String {
    let text = bounded::read(file, MAXIMUM_SIZE).unwrap_or_default();
    let (text, quoted) = (String::from_utf8_lossy(&text), format!("\"{key}\""));
    let is_key =
        |line: &str| line.find(&quoted).is_some_and(|at| line[at + quoted.len()..].trim_start().starts_with(':'));
    let path = Places::shortened(file);
    text.lines().position(is_key).map_or(path.clone(), |at| format!("{path}:{}", at + 1))
}

/// The name that was meant by one that means nothing.
pub(super) fn meant(name: &str) -> Option<String> {
    let known: Vec<_> = all().collect();
    let is_ours = ["OTEL_", "CLAUDE_CODE_", "OTLP_", "OLTP_", "OTEL-"].iter().any(|start| name.starts_with(start));
    if !(is_ours || name.contains("OLTP")) || known.iter().any(|known| known == name) {
        return None;
    }
    let turned = name.replace("OLTP", "OTLP");
    let candidates = [turned.clone(), format!("OTEL_EXPORTER_{turned}"), format!("OTEL_{turned}")];
    if turned != name {
        let found = candidates.iter().find(|candidate| known.contains(candidate)).cloned();
        return Some(found.unwrap_or(turned));
    }
    let near = known.into_iter().map(|known| (strsim::osa_distance(name, &known), known));
    near.filter(|(distance, _)| *distance <= 2).min().map(|(_, known)| known)
}

fn all() -> impl Iterator<Item = String> {
    let of_signals = scopes().flat_map(|signal| OF_A_SIGNAL.map(|what| variable(signal, what)));
    KNOWN.map(str::to_owned).into_iter().chain(environment::said().map(str::to_owned)).chain(of_signals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_told_from_a_name() {
        for (name, expected) in [
            ("OTEL_EXPORTER_OLTP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
            ("OLTP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
            ("OTEL_METRIC_EXPORTER", "OTEL_METRICS_EXPORTER"),
            ("OTEL_METRICS_EXPORT_INTERVAL", "OTEL_METRIC_EXPORT_INTERVAL"),
            ("CLAUDE_CODE_ENABLE_TELEMTRY", "CLAUDE_CODE_ENABLE_TELEMETRY"),
            ("OTEL_EXPORTER_OTLP_LOG_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"),
        ] {
            assert_eq!(meant(name).as_deref(), Some(expected), "{name}");
        }
        for name in [
            "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT",
            "OTLP_TOKEN",
            "CLAUDE_CODE_USE_BEDROCK",
            "OTEL_PYTHON_LOG_LEVEL",
            "PATH",
        ] {
            assert_eq!(meant(name), None, "{name}");
        }
        assert!(all().all(|name| meant(&name).is_none()));
    }

    #[test]
    fn a_key_has_a_line() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("settings.json");
        std::fs::write(&file, "{\n  \"a\": \"b\",\n  \"b\": 1\n}").unwrap();
        assert!(place(&file, "b").ends_with("settings.json:3") && place(&file, "c").ends_with("settings.json"));
    }
}
