//! From what was written to what is meant: one pass over the merged tree that finds all its faults.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};

use super::diagnostic::{Diagnostic, Faults};
use super::model::{Cardinality, Collector, Content, Destination, Profile, Protocol, Signals};
use super::reader::{Entries, Reader};
use super::tree::{Node, Value};
use crate::credential::Source;
use crate::otlp::Signal;

/// Headers that frame a message or that the exporter sets itself (RFC 9110, RFC 9112).
const FRAMING: [&str; 11] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Reads a merged tree as the profile of that name.
pub(super) fn read(name: &str, root: &Node) -> Result<Profile, Faults> {
    let mut reader = Reader::default();
    let empty = Entries::new();
    let entries = if let Value::Table(entries) = &root.value { entries } else { &empty };
    reader.known(
        entries,
        &[
            "description",
            "require",
            "extends",
            "vars",
            "team",
            "resource",
            "signals",
            "content",
            "cardinality",
            "destination",
            "collector",
        ],
        "",
    );
    reader.variables = values(&mut reader, entries, "vars");
    let signals = signals(&mut reader, entries);
    let (team, resource) = resource(&mut reader, entries);
    let profile = Profile {
        name: name.to_owned(),
        description: reader.text(Some(entries), "description").unwrap_or_default(),
        require: reader.bool(Some(entries), "require", false),
        team,
        resource,
        content: content(&mut reader, entries),
        cardinality: cardinality(&mut reader, entries),
        destinations: destinations(&mut reader, entries, &signals.emitted),
        collector: collector(&mut reader, entries),
        signals,
    };
    if reader.faults.is_empty() { Ok(profile) } else { Err(Faults(reader.faults)) }
}

/// A table whose entries are strings of any name.
fn values(reader: &mut Reader, entries: &Entries, key: &str) -> BTreeMap<String, String> {
    let table = reader.table(entries, key, &[]);
    let pairs = table.into_iter().flatten();
    pairs.filter_map(|(name, node)| Some((name.clone(), reader.string(node)?))).collect()
}

/// The team and the resource attributes; `[resource]` beats `[team]`, which is its shorthand.
fn resource(reader: &mut Reader, entries: &Entries) -> (Option<String>, BTreeMap<String, String>) {
    let team = reader.table(entries, "team", &["id", "department", "cost_center"]).unwrap_or(&EMPTY);
    let shorthand = [("id", "team.id"), ("department", "department"), ("cost_center", "cost_center")];
    let mut attributes = BTreeMap::new();
    for (key, attribute) in shorthand {
        if let Some(value) = reader.text(Some(team), key) {
            attributes.insert(attribute.to_owned(), value);
        }
    }
    for (key, node) in reader.table(entries, "resource", &[]).unwrap_or(&EMPTY) {
        if let Err(reason) = attribute_key(key) {
            reader.fault(Diagnostic::at(&node.key, format!("`{key}` is no attribute's name: {reason}")));
        }
        if let Some(value) = reader.string(node) {
            attributes.insert(key.clone(), value);
        }
    }
    (attributes.get("team.id").cloned(), attributes)
}

static EMPTY: Entries = Entries::new();

/// What `OTEL_RESOURCE_ATTRIBUTES` can carry as a key (W3C Baggage: a token of RFC 9110).
pub fn attribute_key(key: &str) -> Result<(), &'static str> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    match key {
        "" => Err("it is empty"),
        key if key.len() > 255 => Err("it is longer than 255 bytes"),
        key if key.chars().all(token) => Ok(()),
        _ => Err("it may hold letters, digits and !#$%&'*+-.^_`|~"),
    }
}

fn signals(reader: &mut Reader, entries: &Entries) -> Signals {
    let known = ["metrics", "logs", "traces", "metric_interval", "log_interval", "trace_interval"];
    let table = reader.table(entries, "signals", &known);
    let emitted = [(Signal::Metrics, true), (Signal::Logs, true), (Signal::Traces, false)];
    Signals {
        emitted: emitted
            .into_iter()
            .filter(|(signal, default)| reader.bool(table, signal.name(), *default))
            .map(|(signal, _)| signal)
            .collect(),
        metric_interval: reader.duration(table, "metric_interval", Duration::from_secs(10)),
        log_interval: reader.duration(table, "log_interval", Duration::from_secs(1)),
        trace_interval: reader.duration(table, "trace_interval", Duration::from_secs(1)),
    }
}

fn content(reader: &mut Reader, entries: &Entries) -> Content {
    let known = ["user_prompts", "assistant_responses", "tool_details", "tool_content", "raw_api_bodies"];
    let table = reader.table(entries, "content", &known);
    Content {
        user_prompts: reader.bool(table, "user_prompts", false),
        assistant_responses: reader.bool(table, "assistant_responses", false),
        tool_details: reader.bool(table, "tool_details", false),
        tool_content: reader.bool(table, "tool_content", false),
        raw_api_bodies: reader.bool(table, "raw_api_bodies", false),
    }
}

fn cardinality(reader: &mut Reader, entries: &Entries) -> Cardinality {
    let known = ["session_id", "account_uuid", "version", "entrypoint", "resource_attributes", "repository"];
    let table = reader.table(entries, "cardinality", &known);
    Cardinality {
        session_id: reader.bool(table, "session_id", true),
        account_uuid: reader.bool(table, "account_uuid", true),
        version: reader.bool(table, "version", false),
        entrypoint: reader.bool(table, "entrypoint", false),
        resource_attributes: reader.bool(table, "resource_attributes", true),
        repository: reader.bool(table, "repository", false),
    }
}

fn collector(reader: &mut Reader, entries: &Entries) -> Collector {
    let table = reader.table(entries, "collector", &["drain_timeout"]);
    Collector { drain_timeout: reader.duration(table, "drain_timeout", Duration::from_secs(10)) }
}

fn destinations(reader: &mut Reader, entries: &Entries, emitted: &BTreeSet<Signal>) -> Vec<Destination> {
    let table = reader.table(entries, "destination", &[]).unwrap_or(&EMPTY);
    table.iter().filter_map(|(name, node)| destination(reader, name, node, emitted)).collect()
}

fn destination(reader: &mut Reader, name: &str, node: &Node, emitted: &BTreeSet<Signal>) -> Option<Destination> {
    let Value::Table(entries) = &node.value else {
        reader.wrong_type(node, "a table");
        return None;
    };
    let known = ["endpoint", "protocol", "signals", "compression", "timeout", "headers", "tls"];
    reader.known(entries, &known, &format!(" in `[destination.{name}]`"));
    if let Err(reason) = super::check_name(name) {
        reader.fault(Diagnostic::at(&node.key, format!("`{name}` is no name for a destination: {reason}")));
    }
    let Some(endpoint_node) = entries.get("endpoint") else {
        let fault = Diagnostic::at(&node.key, format!("destination `{name}` has no `endpoint`"));
        reader.fault(fault.help("write for example endpoint = \"https://otlp.example.com\""));
        return None;
    };
    let endpoint = reader.string(endpoint_node)?;
    if let Err(reason) = check_endpoint(&endpoint) {
        let fault = Diagnostic::at(&endpoint_node.origin, format!("bad endpoint: {reason}"));
        let fault = fault.help("write scheme, host, port and path: \"https://otlp.example.com:443/path\"");
        // People do write passwords there.
        reader.fault(if endpoint.contains('@') { fault.secret() } else { fault });
    }
    let some = Some(entries);
    Some(Destination {
        name: name.to_owned(),
        endpoint,
        protocol: choice(reader, entries, "protocol", &PROTOCOLS, Protocol::HttpProtobuf),
        signals: destination_signals(reader, entries, emitted),
        gzip: choice(reader, entries, "compression", &[("gzip", true), ("none", false)], true),
        timeout: reader.duration(some, "timeout", Duration::from_secs(10)),
        headers: headers(reader, entries),
        ca: certificate_authorities(reader, entries),
    })
}

const PROTOCOLS: [(&str, Protocol); 2] = [("http/protobuf", Protocol::HttpProtobuf), ("grpc", Protocol::Grpc)];

/// One of a few words, each with what it means.
fn choice<T: Copy>(reader: &mut Reader, entries: &Entries, key: &str, words: &[(&str, T)], default: T) -> T {
    let Some(node) = entries.get(key) else { return default };
    let Some(text) = reader.string(node) else { return default };
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
        return *meaning;
    }
    let allowed = words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ");
    reader.fault(Diagnostic::at(&node.origin, format!("`{text}` is no {key}")).help(format!("allowed: {allowed}")));
    default
}

fn destination_signals(reader: &mut Reader, entries: &Entries, emitted: &BTreeSet<Signal>) -> BTreeSet<Signal> {
    let Some(node) = entries.get("signals") else { return emitted.clone() };
    let mut wanted = BTreeSet::new();
    for name in reader.strings(node) {
        match Signal::from_name(&name) {
            Some(signal) => drop(wanted.insert(signal)),
            None => reader.fault(
                Diagnostic::at(&node.origin, format!("`{name}` is no signal"))
                    .help("allowed: \"metrics\", \"logs\", \"traces\""),
            ),
        }
    }
    wanted
}

fn headers(reader: &mut Reader, entries: &Entries) -> BTreeMap<String, Source> {
    let table = reader.table(entries, "headers", &[]).unwrap_or(&EMPTY);
    table.iter().filter_map(|(name, node)| Some((name.clone(), header(reader, name, node)?))).collect()
}

/// A header's value. No message shows it, for people do write keys there.
fn header(reader: &mut Reader, name: &str, node: &Node) -> Option<Source> {
    if HeaderName::try_from(name).is_err() {
        reader.fault(Diagnostic::at(&node.key, format!("`{name}` is no header's name")).secret());
    } else if FRAMING.contains(&name) || name.starts_with("grpc-") {
        let fault = Diagnostic::at(&node.key, format!("`{name}` frames the message and cannot be set")).secret();
        reader.fault(fault.help("ccrun sets it where the protocol wants it"));
    }
    let before = reader.faults.len();
    let value = reader.string(node);
    reader.faults[before..].iter_mut().for_each(|fault| fault.is_secret = true);
    if HeaderValue::try_from(value.as_ref()?).is_err() {
        let message = format!("the value of header `{name}` holds a line break or another control character");
        reader.fault(Diagnostic::at(&node.origin, message).secret());
    }
    value.map(Source::Literal)
}

fn certificate_authorities(reader: &mut Reader, entries: &Entries) -> Option<PathBuf> {
    let tls = reader.table(entries, "tls", &["ca"]);
    let node = tls?.get("ca")?;
    let path = PathBuf::from(reader.string(node)?);
    let home = std::path::Path::new(&node.origin.document.label).parent();
    Some(home.map_or_else(|| path.clone(), |home| home.join(&path)))
}

fn check_endpoint(endpoint: &str) -> Result<(), &'static str> {
    let uri = endpoint.parse::<Uri>().map_err(|_| "it is no URL")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("it begins neither with http:// nor with https://");
    }
    let authority = uri.authority().ok_or("it has no host")?;
    if authority.as_str().contains('@') {
        return Err("user information does not belong in a URL; write a header");
    }
    if authority.host().is_empty() {
        return Err("it has no host");
    }
    if authority.as_str().len() > authority.host().len() && authority.port_u16().is_none_or(|port| port == 0) {
        return Err("its port is no number from 1 to 65535");
    }
    if uri.query().is_some() || endpoint.contains('#') {
        return Err("a query or a fragment does not belong there");
    }
    Ok(())
}
