//! Telemetry variables: where they are set, and which name was meant. Pure, except for reading the files that set them.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::otlp::Signal;
use crate::state::Places;
use crate::system::bounded;
use crate::{claude, environment};

use super::Subject;

/// How much of a settings file is read to find a line in it, in bytes.
const MAXIMUM_SIZE: u64 = 4 << 20;

/// Variables of Claude Code's telemetry, besides those that a profile sets and those of each signal.
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

/// What can be set for each signal and for all of them.
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

/// A variable that is set somewhere.
#[derive(Clone)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) value: String,
    /// Where it is set.
    pub(super) place: Place,
}

/// Where a variable is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the environment.
    Environment,
    /// In a file, with its line if known.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: Option<usize>,
    },
}

impl Place {
    /// The place of a key in a JSON file.
    pub(super) fn of_key(file: &Path, key: &str) -> Self {
        let text = bounded::read(file, MAXIMUM_SIZE).unwrap_or_default();
        let (text, quoted) = (String::from_utf8_lossy(&text), format!("\"{key}\""));
        let is_key =
            |line: &str| line.find(&quoted).is_some_and(|at| line[at + quoted.len()..].trim_start().starts_with(':'));
        Self::File { path: file.to_owned(), line: text.lines().position(is_key).map(|at| at + 1) }
    }

    /// Whether both are in the same file, or both in the environment.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File { path, .. }, Self::File { path: other, .. }) => path == other,
            (Self::Environment, Self::Environment) => true,
            _ => false,
        }
    }
}

/// `FILE:LINE`, or `the environment`.
impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => formatter.write_str("the environment"),
            Self::File { path, line: None } => formatter.write_str(&Places::shortened(path)),
            Self::File { path, line: Some(line) } => write!(formatter, "{}:{line}", Places::shortened(path)),
        }
    }
}

/// A variable of this signal, or of all signals.
pub(super) fn variable(signal: Option<Signal>, what: &str) -> String {
    let scope = signal.map(|signal| format!("{}_", signal.name().to_uppercase())).unwrap_or_default();
    format!("OTEL_EXPORTER_OTLP_{scope}{what}")
}

/// All scopes that a variable may have.
pub(super) fn scopes() -> impl Iterator<Item = Option<Signal>> {
    std::iter::once(None).chain(Signal::ALL.map(Some))
}

/// The variables of the environment, unless it is the environment of a ccrun session.
pub(super) fn around(subject: &Subject) -> Vec<Named> {
    let variables = &subject.workspace.variables;
    if environment::is_of_a_session(variables) {
        return Vec::new();
    }
    let named = |(name, value): (&String, &String)| Named {
        name: name.clone(),
        value: value.clone(),
        place: Place::Environment,
    };
    variables.iter().map(named).collect()
}

/// The variables of Claude Code's user, project and managed settings.
pub(super) fn of_settings(subject: &Subject) -> Vec<Named> {
    let (files, _) = claude::settings_files(&subject.workspace.places.claude, &subject.process.directory);
    let named = files.iter().flat_map(|file| {
        file.variables.iter().map(|(name, value)| Named {
            name: name.clone(),
            value: value.clone(),
            place: Place::of_key(&file.path, name),
        })
    });
    named.collect()
}

/// The name that an unknown name was probably meant to be.
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
    fn typos_are_distinguished_from_valid_names() {
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
    fn the_line_of_a_key_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("settings.json");
        std::fs::write(&file, "{\n  \"a\": \"b\",\n  \"b\": 1\n}").unwrap();
        let line = |key| Place::of_key(&file, key);
        let at = |line| Place::File { path: file.clone(), line };
        assert_eq!((line("b"), line("c")), (at(Some(3)), at(None)));
        assert!(line("b").is_beside(&line("c")) && !line("b").is_beside(&Place::Environment));
    }
}
