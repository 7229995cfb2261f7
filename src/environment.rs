//! What a profile and a collector's endpoint make of the program's environment. Pure: nothing is read, nothing is set.

mod direct;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::credential::Source;
use crate::hidden::Names;
use crate::otlp::Signal;
use crate::profile::{Profile, attribute_key};

pub use direct::{direct, only_destination};

/// Marks the session for `report`, and tells a nested `ccrun` its parent. No sign of life: a server started from
/// Claude's Bash tool carries it for ever.
pub const SESSION: &str = "CCRUN_SESSION";

/// The header by which a gRPC client, which has no path, brings the session's token.
pub const TOKEN_HEADER: &str = "x-ccrun-token";

/// The longest attribute value that Claude Code takes, in characters.
const MAXIMUM_VALUE: usize = 255;

/// What to do to an environment.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Variables to set.
    pub set: BTreeMap<String, String>,
    /// Variables to take out.
    pub removed: BTreeSet<String>,
}

/// Shows which variables there are: the program's own secrets are among their values.
impl fmt::Debug for Changes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Changes").field("set", &Names(&self.set)).field("removed", &self.removed).finish()
    }
}

impl Changes {
    /// These and then those, which win.
    #[must_use]
    pub fn and(mut self, then: Self) -> Self {
        self.removed.retain(|name| !then.set.contains_key(name));
        self.set.retain(|name, _| !then.removed.contains(name));
        self.set.extend(then.set);
        self.removed.extend(then.removed);
        self
    }
}

/// Where a session's collector listens.
#[derive(Clone)]
pub struct Endpoint {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// What a request must bring.
    pub token: String,
}

/// Shows no token.
impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Endpoint").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// The general endpoint: `/v1/<signal>` gets appended.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/{}", self.port, self.token)
    }
}

/// A variable that says what a key of the profile says: its name, the key, and the value.
type Said = (&'static str, &'static str, fn(&Profile) -> String);

/// What the client hears of a profile, and which key to change for it.
const SAID: [Said; 18] = [
    ("CLAUDE_CODE_ENHANCED_TELEMETRY_BETA", "signals.traces", |profile| flag(emits(profile, Signal::Traces))),
    ("OTEL_TRACES_EXPORTER", "signals.traces", |profile| exporter(profile, Signal::Traces)),
    ("OTEL_METRICS_EXPORTER", "signals.metrics", |profile| exporter(profile, Signal::Metrics)),
    ("OTEL_LOGS_EXPORTER", "signals.logs", |profile| exporter(profile, Signal::Logs)),
    ("OTEL_METRIC_EXPORT_INTERVAL", "signals.metric_interval", |profile| milliseconds(profile.signals.metric_interval)),
    ("OTEL_LOGS_EXPORT_INTERVAL", "signals.log_interval", |profile| milliseconds(profile.signals.log_interval)),
    ("OTEL_TRACES_EXPORT_INTERVAL", "signals.trace_interval", |profile| milliseconds(profile.signals.trace_interval)),
    ("OTEL_METRICS_INCLUDE_SESSION_ID", "cardinality.session_id", |profile| truth(profile.cardinality.session_id)),
    ("OTEL_METRICS_INCLUDE_ACCOUNT_UUID", "cardinality.account_uuid", |profile| {
        truth(profile.cardinality.account_uuid)
    }),
    ("OTEL_METRICS_INCLUDE_VERSION", "cardinality.version", |profile| truth(profile.cardinality.version)),
    ("OTEL_METRICS_INCLUDE_ENTRYPOINT", "cardinality.entrypoint", |profile| truth(profile.cardinality.entrypoint)),
    ("OTEL_METRICS_INCLUDE_RESOURCE_ATTRIBUTES", "cardinality.resource_attributes", |profile| {
        truth(profile.cardinality.resource_attributes)
    }),
    ("OTEL_METRICS_INCLUDE_REPOSITORY", "cardinality.repository", |profile| truth(profile.cardinality.repository)),
    ("OTEL_LOG_USER_PROMPTS", "content.user_prompts", |profile| flag(profile.content.user_prompts)),
    ("OTEL_LOG_ASSISTANT_RESPONSES", "content.assistant_responses", |profile| {
        flag(profile.content.assistant_responses)
    }),
    ("OTEL_LOG_TOOL_DETAILS", "content.tool_details", |profile| flag(profile.content.tool_details)),
    ("OTEL_LOG_TOOL_CONTENT", "content.tool_content", |profile| flag(profile.content.tool_content)),
    ("OTEL_LOG_RAW_API_BODIES", "content.raw_api_bodies", |profile| flag(profile.content.raw_api_bodies)),
];

/// Variables that are the same for every profile, for the collector wants it so.
const FIXED: [(&str, &str); 3] = [
    ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
];

/// The variable that names the service.
pub const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";

/// The variable that carries resource attributes.
pub const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// Variables that a session changes although its user may have said something by them, each with where that stays
/// readable: a session inside it, in an editor's window for another project, begins with the user's own word again.
const KEPT: [(&str, &str); 2] =
    [(SERVICE_NAME, "CCRUN_OWN_SERVICE_NAME"), (RESOURCE_ATTRIBUTES, "CCRUN_OWN_RESOURCE_ATTRIBUTES")];

/// The variables as they would be without the session that they were made by, as far as they say whose telemetry it is.
/// That may have ended long ago: an editor hands its first launch's environment to every later window.
#[must_use]
pub fn before_sessions(mut variables: BTreeMap<String, String>) -> BTreeMap<String, String> {
    // A user's shell may have put another endpoint over the session's, in an editor's windows for example.
    let has_token =
        variables.get("OTEL_EXPORTER_OTLP_HEADERS").is_some_and(|headers| headers.starts_with(TOKEN_HEADER));
    let is_of_a_session = has_token || is_of_a_session(&variables);
    for (name, kept) in KEPT {
        let own = variables.remove(kept);
        if is_of_a_session {
            variables.remove(name);
            variables.extend(own.map(|own| (name.to_owned(), own)));
        }
    }
    variables
}

/// Whether the user's own word stays readable there.
pub fn keeps(variable: &str) -> bool {
    KEPT.iter().any(|(_, kept)| *kept == variable)
}

/// The profile's key that decides a variable's value, if a single one does.
pub fn key(variable: &str) -> Option<&'static str> {
    SAID.iter().find(|(name, ..)| *name == variable).map(|(_, key, _)| *key)
}

/// The variables that say what a profile says.
pub fn said() -> impl Iterator<Item = &'static str> {
    SAID.iter().map(|(name, ..)| *name).chain(FIXED.iter().map(|(name, _)| *name))
}

/// Whether whatever somebody else set a variable to may be shown: it is a switch or a number, and no place for a key.
pub fn is_plain(variable: &str) -> bool {
    key(variable).is_some()
        || [RESOURCE_ATTRIBUTES, SERVICE_NAME].contains(&variable)
        || FIXED.iter().any(|(name, _)| *name == variable)
}

/// Whether an environment was made by us: its endpoint is a collector's of a session, which is no setup of the user's.
pub fn is_of_a_session(variables: &BTreeMap<String, String>) -> bool {
    let endpoint = variables.get("OTEL_EXPORTER_OTLP_ENDPOINT");
    let rest = endpoint.and_then(|endpoint| endpoint.strip_prefix("http://127.0.0.1:"));
    let parts = rest.and_then(|rest| rest.split_once('/'));
    let is_like_ours = parts.is_some_and(|(port, token)| {
        port.parse::<u16>().is_ok() && token.len() == 32 && token.chars().all(|c| c.is_ascii_hexdigit())
    });
    let headers = variables.get("OTEL_EXPORTER_OTLP_HEADERS");
    is_like_ours
        && (variables.contains_key(SESSION) || headers.is_some_and(|headers| headers.starts_with(TOKEN_HEADER)))
}

/// Telemetry on, to this endpoint. Every selector is set, so that nothing inherited can half-apply.
pub fn on(profile: &Profile, endpoint: &Endpoint, session: &str, inherited: &BTreeMap<String, String>) -> Changes {
    let mut set = BTreeMap::new();
    let mut put = |name: &str, value: String| drop(set.insert(name.to_owned(), value));
    for (name, _, value) in SAID {
        put(name, value(profile));
    }
    for (name, value) in FIXED {
        put(name, value.to_owned());
    }
    put("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.url());
    put("OTEL_EXPORTER_OTLP_HEADERS", format!("{TOKEN_HEADER}={}", endpoint.token));
    put(SESSION, session.to_owned());
    for (name, kept) in KEPT {
        inherited.get(name).into_iter().for_each(|own| put(kept, own.clone()));
    }
    set.extend(resource(profile, inherited));
    Changes { removed: leftovers(inherited, &set), set }
}

/// Whose telemetry it is: the user's own attributes and the profile's.
fn resource(profile: &Profile, inherited: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let own = inherited.get(RESOURCE_ATTRIBUTES).map(String::as_str).unwrap_or_default();
    let mut resource = profile.resource.clone();
    // Among the resource attributes it would be copied onto every data point.
    let service = resource.remove("service.name").map(|service| (SERVICE_NAME.to_owned(), service));
    let attributes = resource_attributes(own, &resource);
    service.into_iter().chain([(RESOURCE_ATTRIBUTES.to_owned(), attributes)]).collect()
}

/// The same before there is a session: what it decides is named instead.
pub fn on_in_general(profile: &Profile, inherited: &BTreeMap<String, String>) -> Changes {
    let nobody = Endpoint { port: 0, token: "<token>".to_owned() };
    let mut changes = on(profile, &nobody, "<session>", inherited);
    changes.set.insert("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), "http://127.0.0.1:<port>/<token>".to_owned());
    changes
}

/// `[env]`, each value as `value` has it, and without the variables that a destination's headers or the key of hashes
/// were taken from: the program has no use for them.
pub fn own<E>(profile: &Profile, value: impl Fn(&str, &[Source]) -> Result<String, E>) -> Result<Changes, E> {
    let mut changes = Changes::default();
    let headers = profile.destinations.iter().flat_map(|destination| destination.headers.values().flatten());
    let secrets = headers.chain(&profile.redact.key);
    changes.removed.extend(secrets.flat_map(Source::variables).map(str::to_owned));
    for (name, sources) in &profile.env {
        changes.removed.remove(name);
        changes.set.insert(name.clone(), value(name, sources)?);
    }
    Ok(changes)
}

/// Telemetry off, whatever was inherited.
pub fn off(inherited: &BTreeMap<String, String>) -> Changes {
    let mut set = BTreeMap::from([("CLAUDE_CODE_ENABLE_TELEMETRY".to_owned(), flag(false))]);
    for signal in Signal::ALL {
        set.insert(exporter_variable(signal), "none".to_owned());
    }
    let mut removed = leftovers(inherited, &set);
    removed.insert(SESSION.to_owned());
    Changes { set, removed }
}

/// Inherited variables that would send telemetry elsewhere, or otherwise, than what is set.
fn leftovers(inherited: &BTreeMap<String, String>, set: &BTreeMap<String, String>) -> BTreeSet<String> {
    let misleading = |name: &str| {
        name.starts_with("OTEL_EXPORTER_OTLP_")
            || name.starts_with("OTEL_EXPORTER_PROMETHEUS_")
            || matches!(name, "OTEL_SDK_DISABLED" | "OTEL_CONFIG_FILE" | "OTEL_EXPERIMENTAL_CONFIG_FILE")
    };
    let theirs = inherited.keys().filter(|name| misleading(name)).map(String::as_str);
    // What the session around this one has set, and the user has not.
    let is_nested = inherited.contains_key(SESSION);
    let outer = KEPT.into_iter().filter(|(name, _)| is_nested && !inherited.contains_key(*name));
    let outer = outer.flat_map(|(name, kept)| [name, kept]);
    theirs.chain(outer).filter(|name| !set.contains_key(*name)).map(str::to_owned).collect()
}

/// Variables that a settings file of Claude Code's may name and that would then beat the general ones: set to nothing
/// they are as good as not set.
pub fn taken_back() -> impl Iterator<Item = String> {
    let kinds = Signal::ALL.map(|signal| format!("{}_", signal.name().to_uppercase()));
    let scopes = [String::new()].into_iter().chain(kinds);
    let names = scopes.flat_map(|scope| {
        let per_signal = !scope.is_empty();
        let general = ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY", "COMPRESSION", "INSECURE", "TIMEOUT"];
        let specific = ["ENDPOINT", "HEADERS", "PROTOCOL"].into_iter().filter(move |_| per_signal);
        let names = general.into_iter().chain(specific);
        names.map(move |name| format!("OTEL_EXPORTER_OTLP_{scope}{name}")).collect::<Vec<_>>()
    });
    names.chain(["OTEL_SDK_DISABLED".to_owned()])
}

/// `OTEL_RESOURCE_ATTRIBUTES`: the user's own entries, then the profile's, which win. A value that Claude Code would
/// drop for its length is left to the collector, which adds every attribute of the profile in any case.
pub fn resource_attributes(own: &str, profile: &BTreeMap<String, String>) -> String {
    let own = own.split(',').filter_map(|entry| {
        let (key, value) = entry.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
        Some((key.trim().to_owned(), value))
    });
    let own = own.filter(|(key, _)| attribute_key(key).is_ok() && !profile.contains_key(key));
    let profile = profile.iter().map(|(key, value)| (key.clone(), value.clone()));
    let fitting = own.chain(profile).filter(|(_, value)| value.chars().count() <= MAXIMUM_VALUE);
    fitting.map(|(key, value)| format!("{key}={}", utf8_percent_encode(&value, RESERVED))).collect::<Vec<_>>().join(",")
}

/// Everything but the characters that no reader of the variable could take for something else.
const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b':');

fn emits(profile: &Profile, signal: Signal) -> bool {
    profile.signals.emitted.contains(&signal)
}

fn exporter_variable(signal: Signal) -> String {
    format!("OTEL_{}_EXPORTER", signal.name().to_uppercase())
}

fn exporter(profile: &Profile, signal: Signal) -> String {
    if emits(profile, signal) { "otlp" } else { "none" }.to_owned()
}

fn milliseconds(interval: Duration) -> String {
    interval.as_millis().to_string()
}

/// How Claude Code writes its own switches.
fn flag(on: bool) -> String {
    if on { "1" } else { "0" }.to_owned()
}

/// How OpenTelemetry writes booleans.
fn truth(on: bool) -> String {
    on.to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::helper::Ground;
    use crate::profile::{Config, Directories, Selection, merge};

    fn inherited(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn nothing_inherited_half_applies() {
        let nowhere = Path::new("/nonexistent");
        let directories = Directories { system: nowhere, user: nowhere, inherited: None };
        let merged = merge(&Selection::default(), &Config::default(), None, directories).unwrap();
        let variables = BTreeMap::new();
        let profile = merged.meaning(Ground::new(nowhere, &variables)).unwrap().profile;
        let endpoint = Endpoint { port: 4711, token: "secret".to_owned() };
        let changes = on(
            &profile,
            &endpoint,
            "s1",
            &inherited(&[
                ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://elsewhere"),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
                ("OTEL_EXPORTER_OTLP_HEADERS", "key=theirs"),
                ("OTEL_SDK_DISABLED", "true"),
                ("OTEL_SERVICE_NAME", "mine"),
                ("OTEL_RESOURCE_ATTRIBUTES", "a=b%20c,bad key=x,noequals"),
            ]),
        );
        assert_eq!(
            changes.removed.iter().map(String::as_str).collect::<Vec<_>>(),
            ["OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_SDK_DISABLED"]
        );
        assert_eq!(changes.set["OTEL_EXPORTER_OTLP_ENDPOINT"], "http://127.0.0.1:4711/secret");
        assert_eq!(changes.set["OTEL_EXPORTER_OTLP_HEADERS"], "x-ccrun-token=secret");
        assert_eq!(changes.set["OTEL_TRACES_EXPORTER"], "none");
        assert_eq!(changes.set["OTEL_METRIC_EXPORT_INTERVAL"], "10000");
        assert_eq!(changes.set["OTEL_RESOURCE_ATTRIBUTES"], "a=b%20c");
    }

    #[test]
    fn a_session_inside_another_begins_with_the_users_own_word() {
        let ours = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4711/0123456789abcdef0123456789abcdef"),
            ("OTEL_SERVICE_NAME", "outer"),
            ("OTEL_RESOURCE_ATTRIBUTES", "mine=1,of.outer=1"),
            ("CCRUN_OWN_RESOURCE_ATTRIBUTES", "mine=1"),
        ];
        for mark in [("CCRUN_SESSION", "s"), ("OTEL_EXPORTER_OTLP_HEADERS", "x-ccrun-token=0123")] {
            let before = before_sessions(inherited(&[&ours[..], &[mark]].concat()));
            assert_eq!(before["OTEL_RESOURCE_ATTRIBUTES"], "mine=1");
            assert!(!before.contains_key("OTEL_SERVICE_NAME") && !before.contains_key("CCRUN_OWN_RESOURCE_ATTRIBUTES"));
        }
        let elsewhere =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h"), ("OTEL_EXPORTER_OTLP_HEADERS", "x-ccrun-token=0")];
        let before = before_sessions(inherited(&[&ours[1..], &elsewhere].concat()));
        assert_eq!(before["OTEL_RESOURCE_ATTRIBUTES"], "mine=1");
        // What nobody of ours has set is the user's, and what claims to be kept is not.
        let before = before_sessions(inherited(&ours[1..]));
        assert_eq!(
            before,
            inherited(&[("OTEL_SERVICE_NAME", "outer"), ("OTEL_RESOURCE_ATTRIBUTES", "mine=1,of.outer=1")])
        );
    }

    #[test]
    fn attributes_are_encoded_and_the_profile_wins() {
        let profile = inherited(&[("team.id", "a, b=c%\"é😀"), ("long", &"x".repeat(256))]);
        assert_eq!(
            resource_attributes("team.id=forged,mine=1", &profile),
            "mine=1,team.id=a%2C%20b%3Dc%25%22%C3%A9%F0%9F%98%80"
        );
    }
}
