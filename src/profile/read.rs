//! From what was written to what is meant. Types are checked already: what is read here is what words mean.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value as Json;

use super::diagnostic::Diagnostic;
use super::model::{Cardinality, Collector, Content, Destination, Profile, Protocol, Signals};
use super::schema;
use super::tree::{Entries, Node, Value};
use crate::credential::{Format, Source};
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

/// Reads a merged and expanded tree as the profile of that name. All faults are noted.
pub(super) fn read(name: &str, root: &Node, faults: &mut Vec<Diagnostic>) -> Profile {
    let signals = signals(root.get("signals"));
    let (team, resource) = resource(root, faults);
    not_in_force(root, faults);
    Profile {
        name: name.to_owned(),
        description: text(Some(root), "description").unwrap_or_default().to_owned(),
        require: truth(Some(root), "require", false),
        team,
        resource,
        content: content(root.get("content")),
        cardinality: cardinality(root.get("cardinality")),
        destinations: destinations(root, &signals.emitted, faults),
        env: env(root, faults),
        settings: settings(root),
        collector: Collector {
            drain_timeout: duration(root.get("collector"), "drain_timeout", Duration::from_secs(10)),
        },
        signals,
    }
}

/// What the format knows and this version does not do: said, rather than passed over.
fn not_in_force(root: &Node, faults: &mut Vec<Diagnostic>) {
    let mut note = |node: Option<&Node>, what: &str| {
        if let Some(node) = node {
            let fault = Diagnostic::at(&node.key, format!("{what}, which this version of ccrun does not do yet"));
            faults.push(fault.secret());
        }
    };
    note(root.get("redact"), "`redact` takes attributes out");
    let collector = root.get("collector");
    let direct = collector.and_then(|table| table.get("mode")).filter(|mode| mode.text() == Some("direct"));
    note(direct, "`mode = \"direct\"` does without a collector");
    note(collector.and_then(|table| table.get("accept")), "`accept` chooses who is heard");
    for destination in root.get("destination").and_then(Node::entries).into_iter().flat_map(Entries::values) {
        note(destination.get("headers_helper"), "`headers_helper` runs a command for headers");
        let tls = destination.get("tls");
        for key in ["cert", "key", "server_name"] {
            note(tls.and_then(|tls| tls.get(key)), "client certificates and server names");
        }
        let is = |key: &str, word: &str| destination.get(key).filter(|node| node.text() == Some(word));
        note(is("temporality", "cumulative"), "`cumulative` gives totals");
        note(is("protocol", "http/json"), "`http/json`");
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

/// The keys of `[team]`, and the resource attribute that each stands for.
pub const SHORTHAND: [(&str, &str); 3] =
    [("id", "team.id"), ("department", "department"), ("cost_center", "cost_center")];

/// The team and the resource attributes; `[resource]` beats `[team]`, which is its shorthand.
fn resource(root: &Node, faults: &mut Vec<Diagnostic>) -> (Option<String>, BTreeMap<String, String>) {
    let team = SHORTHAND.into_iter().filter_map(|(key, attribute)| Some((attribute, text(root.get("team"), key)?)));
    let mut attributes: BTreeMap<_, _> = team.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    for (key, node) in root.get("resource").and_then(Node::entries).into_iter().flatten() {
        if let Err(reason) = attribute_key(key) {
            faults.push(Diagnostic::at(&node.key, format!("`{key}` is no attribute's name: {reason}")));
        }
        if let Some(value) = node.text() {
            attributes.insert(key.clone(), value.to_owned());
        }
    }
    (attributes.get("team.id").cloned(), attributes)
}

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

fn destinations(root: &Node, emitted: &BTreeSet<Signal>, faults: &mut Vec<Diagnostic>) -> Vec<Destination> {
    let table = root.get("destination").and_then(Node::entries).into_iter().flatten();
    table.filter_map(|(name, node)| destination(name, node, emitted, faults)).collect()
}

fn destination(
    name: &str,
    node: &Node,
    emitted: &BTreeSet<Signal>,
    faults: &mut Vec<Diagnostic>,
) -> Option<Destination> {
    if let Err(reason) = super::check_name(name) {
        faults.push(Diagnostic::at(&node.key, format!("`{name}` is no name for a destination: {reason}")));
    }
    let some = Some(node);
    let Some(endpoint) = node.get("endpoint") else {
        // One that is misspelt is a fault of its own.
        if node.entries()?.keys().any(|key| schema::guess(key, &["endpoint"]).is_some()) {
            return None;
        }
        let fault = Diagnostic::at(&node.key, format!("destination `{name}` has no `endpoint`"));
        faults.push(fault.help("write for example endpoint = \"https://otlp.example.com\""));
        return None;
    };
    let url = endpoint.text()?;
    // A variable that is not defined is a fault of its own.
    let complete = !url.contains("${");
    if let Err(reason) = check_endpoint(url)
        && complete
    {
        let fault = Diagnostic::at(&endpoint.origin, format!("bad endpoint: {reason}"));
        let fault = fault.help("write scheme, host, port and path: \"https://otlp.example.com:443/path\"");
        // People do write passwords there.
        faults.push(if url.contains('@') { fault.secret() } else { fault });
    }
    let headers = headers(node, faults);
    let insecure = truth(node.get("tls"), "insecure", false);
    let is_secret = headers.values().flatten().any(|source| !matches!(source, Source::Literal(_)));
    if is_secret && !insecure && in_the_clear(url) {
        let fault = Diagnostic::at(&endpoint.origin, "secret headers would go over plain text to another host");
        faults.push(fault.help("use https://, or say `tls.insecure = true` in the destination"));
    }
    let signals = node.get("signals").map_or_else(
        || emitted.clone(),
        |wanted| wanted.texts().filter_map(|(name, _)| Signal::from_name(name)).collect(),
    );
    Some(Destination {
        name: name.to_owned(),
        endpoint: url.to_owned(),
        protocol: if text(some, "protocol") == Some("grpc") { Protocol::Grpc } else { Protocol::HttpProtobuf },
        signals,
        gzip: text(some, "compression") != Some("none"),
        timeout: duration(some, "timeout", Duration::from_secs(10)),
        headers,
        ca: node.get("tls").and_then(|tls| tls.get("ca")).and_then(path),
        verify: text(some, "verify").map(str::to_owned),
    })
}

/// A path; a relative one starts at the file that names it, and `~/` at the home directory.
pub(super) fn path(node: &Node) -> Option<PathBuf> {
    let written = node.text()?;
    if let Some(rest) = written.strip_prefix("~/")
        && let Some(base) = directories::BaseDirs::new()
    {
        return Some(base.home_dir().join(rest));
    }
    let directory = Path::new(&node.origin.document.label).parent();
    Some(directory.map_or_else(|| PathBuf::from(written), |directory| directory.join(written)))
}

fn headers(node: &Node, faults: &mut Vec<Diagnostic>) -> BTreeMap<String, Vec<Source>> {
    let table = node.get("headers").and_then(Node::entries).into_iter().flatten();
    let headers = table.map(|(name, node)| {
        check_header(name, node, faults);
        (name.clone(), sources(node, faults))
    });
    headers.collect()
}

/// Whether a header can stand in a request of ours.
pub(super) fn can_be_sent(name: &str, value: &str) -> bool {
    let is_ours = FRAMING.contains(&name) || name.starts_with("grpc-");
    !is_ours && HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok()
}

/// Checks a header. No message shows its line, for people do write keys there.
fn check_header(name: &str, node: &Node, faults: &mut Vec<Diagnostic>) {
    if HeaderName::try_from(name).is_err() {
        faults.push(Diagnostic::at(&node.key, format!("`{name}` is no header's name")).secret());
    } else if FRAMING.contains(&name) || name.starts_with("grpc-") {
        let fault = Diagnostic::at(&node.key, format!("`{name}` frames the message and cannot be set")).secret();
        faults.push(fault.help("ccrun sets it where the protocol wants it"));
    }
    if node.text().is_some_and(|value| HeaderValue::try_from(value).is_err()) {
        let message = format!("the value of header `{name}` holds a line break or another control character");
        faults.push(Diagnostic::at(&node.origin, message).secret());
    }
}

/// The sources of a value, the first that is asked first.
fn sources(node: &Node, faults: &mut Vec<Diagnostic>) -> Vec<Source> {
    if let Value::List(items) = &node.value {
        return items.iter().flat_map(|item| sources(item, faults)).collect();
    }
    if let Some(literal) = node.text() {
        return vec![Source::Literal(literal.to_owned())];
    }
    let format = || text(Some(node), "format").map_or_else(Format::default, |format| Format(format.to_owned()));
    let named = |key: &str| text(Some(node), key).map(str::to_owned);
    let source = named("env").map(|name| Source::Env(name, format()));
    let source = source.or_else(|| named("keyring").map(|name| Source::Keyring(name, format())));
    let source = source.or_else(|| {
        let basic = node.get("basic")?;
        let password = basic.get("password").map(|password| sources(password, faults)).unwrap_or_default();
        Some(Source::Basic(text(Some(basic), "user")?.to_owned(), password))
    });
    let source = source.or_else(|| Some(Source::File(node.get("file").and_then(path)?, format())));
    if source.is_none() {
        let message = "a command or OAuth2, which this version of ccrun does not do yet";
        faults.push(Diagnostic::at(&node.origin, message).secret());
    }
    source.into_iter().collect()
}

fn env(root: &Node, faults: &mut Vec<Diagnostic>) -> BTreeMap<String, Vec<Source>> {
    let table = root.get("env").and_then(Node::entries).into_iter().flatten();
    let env = table.map(|(name, node)| {
        if name.is_empty() || name.contains(['=', '\0']) {
            faults.push(Diagnostic::at(&node.key, format!("`{name}` is no name for a variable")).secret());
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

/// Whether a URL is plain text to another machine.
fn in_the_clear(url: &str) -> bool {
    let uri = url.parse::<Uri>().unwrap_or_default();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    uri.scheme_str() == Some("http") && !is_here
}

pub(super) fn check_endpoint(endpoint: &str) -> Result<(), &'static str> {
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
