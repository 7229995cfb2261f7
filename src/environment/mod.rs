//! The changes that a profile and a collector's endpoint make to the program's environment. Pure.

mod direct;
mod identity;
mod names;
mod proxy;
pub mod quoting;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::otlp::Signal;
use crate::profile::Profile;
use crate::secret::{Secret, Source};
use crate::system::hidden::Names;

pub use direct::{direct, only_destination};
pub use names::{second_pipeline, taken_back};
pub use proxy::{EXCEPTIONS, exceptions, own_exceptions, reach_loopback, spares_loopback};

/// Marks the session for `report`, and tells a nested `ccrun` its parent. It does not mean that the session is alive: a
/// server started from Claude's Bash tool keeps it forever.
pub const SESSION: &str = "CCRUN_SESSION";

/// The header with the session's token for gRPC clients, whose endpoint has no path.
pub const TOKEN_HEADER: &str = "x-ccrun-token";

/// The maximum length of an attribute value in Claude Code, in characters.
const MAXIMUM_VALUE: usize = 255;

/// Changes to an environment.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Variables to set.
    pub set: BTreeMap<String, String>,
    /// Variables to remove.
    pub removed: BTreeSet<String>,
}

/// Shows only the names: values include secrets of the program.
impl fmt::Debug for Changes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Changes").field("set", &Names(&self.set)).field("removed", &self.removed).finish()
    }
}

impl Changes {
    /// Combines both; `then` takes precedence.
    #[must_use]
    pub fn and(mut self, then: Self) -> Self {
        self.removed.retain(|name| !then.set.contains_key(name));
        self.set.retain(|name, _| !then.removed.contains(name));
        self.set.extend(then.set);
        self.removed.extend(then.removed);
        self
    }
}

/// The endpoint of a session's collector.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// The token that requests must contain.
    pub token: Secret,
}

impl Endpoint {
    /// The general endpoint. Clients append `/v1/<signal>`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/{}", self.port, self.token.expose())
    }
}

/// A variable that expresses a key of the profile: its name, the key, and the value.
type Selector = (&'static str, &'static str, fn(&Profile) -> String);

/// The variables that express a profile, and the keys behind them.
const SAID: [Selector; 18] = [
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

/// Variables that are the same for every profile, because the collector requires them.
const FIXED: [(&str, &str); 3] = [
    ("CLAUDE_CODE_ENABLE_TELEMETRY", "1"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
];

/// The variable with the service name.
pub const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";

/// The variable with resource attributes.
pub const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// The two variables that say who the telemetry belongs to.
const IDENTITY: [&str; 2] = [SERVICE_NAME, RESOURCE_ATTRIBUTES];

/// Variables that a session changes although the user may have set them, each with the variable that keeps the user's
/// value. A session inside it, in an editor's window for another project, starts from the user's value again.
const KEPT: [(&str, &str); 2] =
    [(SERVICE_NAME, "CCRUN_OWN_SERVICE_NAME"), (RESOURCE_ATTRIBUTES, "CCRUN_OWN_RESOURCE_ATTRIBUTES")];

/// The variables without the changes of an outer session, as far as they say who the telemetry belongs to. That session
/// may have ended long ago: an editor passes the environment of its first launch to every later window.
#[must_use]
pub fn before_sessions(mut variables: BTreeMap<String, String>) -> BTreeMap<String, String> {
    // A user's shell may have replaced the session's endpoint, for example in an editor's windows.
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

/// Whether this variable's user value is kept in another one.
pub fn keeps(variable: &str) -> bool {
    KEPT.iter().any(|(_, kept)| *kept == variable)
}

/// The profile's key that decides a variable's value, if there is exactly one.
pub fn key(variable: &str) -> Option<&'static str> {
    SAID.iter().find(|(name, ..)| *name == variable).map(|(_, key, _)| *key)
}

/// The variables that express a profile.
pub fn said() -> impl Iterator<Item = &'static str> {
    SAID.iter().map(|(name, ..)| *name).chain(FIXED.iter().map(|(name, _)| *name))
}

/// Whether a variable's value may always be shown, because it is a switch or a number and cannot hold a key.
pub fn is_plain(variable: &str) -> bool {
    key(variable).is_some()
        || [RESOURCE_ATTRIBUTES, SERVICE_NAME].contains(&variable)
        || FIXED.iter().any(|(name, _)| *name == variable)
}

/// Whether `ccrun` made this environment. Its endpoint then belongs to a session and is not the user's configuration.
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

/// Telemetry on, to this endpoint. Every selector is set, so that no inherited value applies.
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
    put("OTEL_EXPORTER_OTLP_HEADERS", format!("{TOKEN_HEADER}={}", endpoint.token.expose()));
    put(SESSION, session.to_owned());
    for (name, kept) in KEPT {
        inherited.get(name).into_iter().for_each(|own| put(kept, own.clone()));
    }
    set.extend(identity::of_a_program(profile.resource.clone(), inherited, identity::MAXIMUM_ATTRIBUTES));
    Changes { removed: leftovers(inherited, &set), set }
}

/// All places besides the profile that can set Claude Code's variables, in order of precedence.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// The user's own `--settings`.
    pub given: &'a BTreeMap<String, String>,
    /// The environment.
    pub inherited: &'a BTreeMap<String, String>,
    /// The user's settings.
    pub user: &'a BTreeMap<String, String>,
}

impl Changes {
    /// The same telemetry for Claude Code only, where `own` is the profile's `[env]`: with the identity that its user
    /// has set, and without variables that would reduce the telemetry.
    #[must_use]
    pub fn for_claude_code(mut self, profile: &Profile, own: &Self, said: Said<'_>) -> Self {
        self.set.extend(identity::of_claude_code(profile.resource.clone(), &[said.given, said.inherited, said.user]));
        self.set.extend(names::said_by_the_profile(&own.set));
        self.removed.retain(|name| !self.set.contains_key(name));
        self.hidden_from_claude_code(own, said.inherited)
    }

    /// The same telemetry for a program that starts Claude Code and other programs: changes only variables that the
    /// others do not use.
    #[must_use]
    pub fn hidden_from_claude_code(mut self, own: &Self, inherited: &BTreeMap<String, String>) -> Self {
        self.removed.extend(names::withdrawn(inherited, &self.set, &own.set));
        self
    }
}

/// The same before there is a session, with placeholders for its values.
pub fn on_in_general(profile: &Profile, inherited: &BTreeMap<String, String>) -> Changes {
    let placeholder = Endpoint { port: 0, token: "<token>".into() };
    let mut changes = on(profile, &placeholder, "<session>", inherited);
    changes.set.insert("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), "http://127.0.0.1:<port>/<token>".to_owned());
    changes
}

/// `[env]` with each value as returned by `value`, and without the variables that a destination's headers, the hash
/// key or notifications take their values from. The program does not need them.
pub fn own<E>(profile: &Profile, value: impl Fn(&str, &[Source]) -> Result<String, E>) -> Result<Changes, E> {
    let mut changes = Changes::default();
    changes.removed.extend(profile.own_sources().flat_map(Source::variables).map(str::to_owned));
    for (name, sources) in &profile.env {
        changes.removed.remove(name);
        changes.set.insert(name.clone(), value(name, sources)?);
    }
    Ok(changes)
}

/// Telemetry off, overriding everything inherited.
pub fn off(inherited: &BTreeMap<String, String>) -> Changes {
    let mut set = BTreeMap::from([("CLAUDE_CODE_ENABLE_TELEMETRY".to_owned(), flag(false))]);
    for signal in Signal::ALL {
        set.insert(exporter_variable(signal), "none".to_owned());
    }
    let mut removed = leftovers(inherited, &set);
    removed.insert(SESSION.to_owned());
    Changes { set, removed }
}

/// Inherited variables that would send telemetry elsewhere, or differently.
fn leftovers(inherited: &BTreeMap<String, String>, set: &BTreeMap<String, String>) -> BTreeSet<String> {
    let misleading = |name: &str| {
        name.starts_with("OTEL_EXPORTER_OTLP_")
            || name.starts_with("OTEL_EXPORTER_PROMETHEUS_")
            || matches!(name, "OTEL_SDK_DISABLED" | "OTEL_CONFIG_FILE" | "OTEL_EXPERIMENTAL_CONFIG_FILE")
            || second_pipeline().any(|known| known == name)
    };
    let theirs = inherited.keys().filter(|name| misleading(name)).map(String::as_str);
    // Variables that the outer session has set, and not the user.
    let is_nested = inherited.contains_key(SESSION);
    let outer = KEPT.into_iter().filter(|(name, _)| is_nested && !inherited.contains_key(*name));
    let outer = outer.flat_map(|(name, kept)| [name, kept]);
    theirs.chain(outer).filter(|name| !set.contains_key(*name)).map(str::to_owned).collect()
}

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

/// The value of Claude Code's own switches.
fn flag(on: bool) -> String {
    if on { "1" } else { "0" }.to_owned()
}

/// The value of OpenTelemetry's booleans.
fn truth(on: bool) -> String {
    on.to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::profile::{Defaults, Directories, Selection, merge};
    use crate::secret::command::FetchContext;

    fn inherited(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn no_inherited_variable_applies() {
        let nowhere = Path::new("/nonexistent");
        let directories = Directories { system: nowhere, user: nowhere, inherited: None };
        let merged = merge(&Selection::default(), &Defaults::default(), None, directories).unwrap();
        let variables = BTreeMap::new();
        let profile = merged.meaning(FetchContext::new(nowhere, &variables)).unwrap().profile;
        let endpoint = Endpoint { port: 4711, token: "secret".into() };
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
    fn a_nested_session_starts_from_the_users_values() {
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
        // A variable that no session set is the user's. A variable that only claims to be kept is not.
        let before = before_sessions(inherited(&ours[1..]));
        assert_eq!(
            before,
            inherited(&[("OTEL_SERVICE_NAME", "outer"), ("OTEL_RESOURCE_ATTRIBUTES", "mine=1,of.outer=1")])
        );
    }
}
