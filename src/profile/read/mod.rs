//! From the text of a profile to its meaning. Types have been checked before.

mod budget;
mod destination;
mod source;
mod team_store;
mod url;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value as Json;

pub(crate) use budget::budgets;
pub(super) use destination::can_be_sent;
use destination::destinations;
use source::sources;
pub(crate) use team_store::team_stores;
pub(super) use url::check_endpoint;

use super::diagnostic::Diagnostic;
use super::model::{Cardinality, Collector, Content, Profile, Redact, Signals};
use super::schema;
use super::status_line::StatusLine;
use super::tree::{Node, Value};
use crate::otlp::Signal;
use crate::secret::Source;

/// Reads a merged and expanded tree as the profile of that name. All faults are collected.
pub(super) fn read(name: &str, root: &Node, faults: &mut Vec<Diagnostic>) -> Profile {
    let signals = signals(root.get("signals"));
    let (team, resource) = resource(root, faults);
    Profile {
        name: name.to_owned(),
        description: text(Some(root), "description").unwrap_or_default().to_owned(),
        require: truth(Some(root), "require", false),
        team,
        resource,
        content: content(root.get("content")),
        cardinality: cardinality(root.get("cardinality")),
        redact: redact(root.get("redact"), faults),
        destinations: destinations(root, &signals.emitted, faults),
        env: env(root, faults),
        settings: settings(root),
        team_stores: team_stores(root, faults),
        budgets: super::budgets::all(root).flat_map(|table| budgets(table, faults)).collect(),
        collector: collector(root.get("collector")),
        status_line: status_line(root.get("statusline")),
        signals,
    }
}

fn truth(table: Option<&Node>, key: &str, default: bool) -> bool {
    match table.and_then(|table| table.get(key)).map(|node| &node.value) {
        Some(Value::Bool(truth)) => *truth,
        _ => default,
    }
}

fn text<'a>(table: Option<&'a Node>, key: &str) -> Option<&'a str> {
    table?.get(key)?.text()
}

fn duration(table: Option<&Node>, key: &str, default: Duration) -> Duration {
    text(table, key).and_then(schema::duration).unwrap_or(default)
}

/// The keys of `[team]`, and the resource attribute of each.
pub const SHORTHAND: [(&str, &str); 3] =
    [("id", "team.id"), ("department", "department"), ("cost_center", "cost_center")];

/// The team and the resource attributes. `[resource]` overrides `[team]`, which is its shorthand.
fn resource(root: &Node, faults: &mut Vec<Diagnostic>) -> (Option<String>, BTreeMap<String, String>) {
    let team = SHORTHAND.into_iter().filter_map(|(key, attribute)| Some((attribute, text(root.get("team"), key)?)));
    let mut attributes: BTreeMap<_, _> = team.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    for (key, node) in root.get("resource").and_then(Node::entries).into_iter().flatten() {
        if let Err(reason) = attribute_key(key) {
            faults.push(Diagnostic::at(&node.key, format!("`{key}` is not a valid attribute name: {reason}")));
        }
        if let Some(value) = node.text() {
            attributes.insert(key.clone(), value.to_owned());
        }
    }
    (attributes.get("team.id").cloned(), attributes)
}

/// Checks that `OTEL_RESOURCE_ATTRIBUTES` can carry the key (W3C Baggage: a token of RFC 9110).
pub fn attribute_key(key: &str) -> Result<(), &'static str> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    match key {
        "" => Err("it is empty"),
        key if key.len() > 255 => Err("it is longer than 255 bytes"),
        key if key.chars().all(token) => Ok(()),
        _ => Err("it may contain only letters, digits and !#$%&'*+-.^_`|~"),
    }
}

fn signals(table: Option<&Node>) -> Signals {
    let emitted = [(Signal::Metrics, true), (Signal::Logs, true), (Signal::Traces, false)];
    let emitted = emitted.into_iter().filter(|(signal, default)| truth(table, signal.name(), *default));
    Signals {
        emitted: emitted.map(|(signal, _)| signal).collect(),
        metric_interval: duration(table, "metric_interval", Duration::from_secs(10)),
        log_interval: duration(table, "log_interval", Duration::from_secs(1)),
        trace_interval: duration(table, "trace_interval", Duration::from_secs(1)),
    }
}

fn content(table: Option<&Node>) -> Content {
    Content {
        user_prompts: truth(table, "user_prompts", false),
        assistant_responses: truth(table, "assistant_responses", false),
        tool_details: truth(table, "tool_details", false),
        tool_content: truth(table, "tool_content", false),
        raw_api_bodies: truth(table, "raw_api_bodies", false),
    }
}

fn cardinality(table: Option<&Node>) -> Cardinality {
    Cardinality {
        session_id: truth(table, "session_id", true),
        account_uuid: truth(table, "account_uuid", true),
        version: truth(table, "version", false),
        entrypoint: truth(table, "entrypoint", false),
        resource_attributes: truth(table, "resource_attributes", true),
        repository: truth(table, "repository", false),
    }
}

fn redact(table: Option<&Node>, faults: &mut Vec<Diagnostic>) -> Redact {
    let key = table.and_then(|table| table.get("key"));
    Redact {
        drop: texts(table, "drop").into_iter().flatten().collect(),
        hash: texts(table, "hash").into_iter().flatten().collect(),
        key: key.map(|key| sources(key, faults)).unwrap_or_default(),
    }
}

fn collector(table: Option<&Node>) -> Collector {
    Collector {
        direct: text(table, "mode") == Some("direct"),
        accept: texts(table, "accept"),
        drain_timeout: duration(table, "drain_timeout", Duration::from_secs(10)),
    }
}

/// `[statusline]`, of a profile or of `config.toml`.
pub(crate) fn status_line(table: Option<&Node>) -> StatusLine {
    let show = match table.and_then(|table| table.get("show")).map(|node| &node.value) {
        Some(Value::Bool(show)) => Some(*show),
        _ => None,
    };
    StatusLine { show, format: text(table, "format").and_then(|format| format.parse().ok()) }
}

/// A list of strings.
fn texts(table: Option<&Node>, key: &str) -> Option<Vec<String>> {
    Some(table?.get(key)?.texts().map(|(text, _)| text.to_owned()).collect())
}

/// A path. A relative one is resolved from the directory of its file, and `~/` is the home directory.
pub(in crate::profile) fn path(node: &Node) -> Option<PathBuf> {
    let written = node.text()?;
    if let Some(rest) = written.strip_prefix("~/")
        && let Some(base) = directories::BaseDirs::new()
    {
        return Some(base.home_dir().join(rest));
    }
    let directory = Path::new(&node.origin.document.label).parent();
    Some(directory.map_or_else(|| PathBuf::from(written), |directory| directory.join(written)))
}

fn env(root: &Node, faults: &mut Vec<Diagnostic>) -> BTreeMap<String, Vec<Source>> {
    let table = root.get("env").and_then(Node::entries).into_iter().flatten();
    let env = table.map(|(name, node)| {
        if name.is_empty() || name.contains(['=', '\0']) {
            faults.push(Diagnostic::at(&node.key, format!("`{name}` is not a valid variable name")).secret());
        }
        (name.clone(), sources(node, faults))
    });
    env.collect()
}

fn settings(root: &Node) -> serde_json::Map<String, Json> {
    let table = root.get("settings").and_then(Node::entries).into_iter().flatten();
    table.map(|(key, node)| (key.clone(), json(node))).collect()
}

fn json(node: &Node) -> Json {
    match &node.value {
        Value::Table(entries) => Json::Object(entries.iter().map(|(key, node)| (key.clone(), json(node))).collect()),
        Value::List(items) => Json::Array(items.iter().map(json).collect()),
        Value::Text(text) | Value::Date(text) => Json::from(text.as_str()),
        Value::Bool(truth) => Json::from(*truth),
        Value::Integer(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
    }
}
