//! `[destination.NAME]`: where telemetry goes, checked as far as possible without a connection.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use rustls::pki_types::ServerName;

use super::source::{command, sources};
use super::url::{check_endpoint, escaped, in_the_clear};
use super::{duration, path, text, truth};
use crate::client::Tls;
use crate::otlp::Signal;
use crate::profile::diagnostic::Diagnostic;
use crate::profile::model::{Destination, Protocol, Temporality};
use crate::profile::tree::Node;
use crate::profile::{check_name, schema};
use crate::secret::{Source, answer};

/// How long a series without changes is kept by default.
const SERIES_TTL: Duration = Duration::from_hours(30 * 24);

pub(super) fn destinations(root: &Node, emitted: &BTreeSet<Signal>, faults: &mut Vec<Diagnostic>) -> Vec<Destination> {
    let table = root.get("destination").and_then(Node::entries).into_iter().flatten();
    table.filter_map(|(name, node)| destination(name, node, emitted, faults)).collect()
}

fn destination(
    name: &str,
    node: &Node,
    emitted: &BTreeSet<Signal>,
    faults: &mut Vec<Diagnostic>,
) -> Option<Destination> {
    if let Err(reason) = check_name(name) {
        faults.push(Diagnostic::at(&node.key, format!("`{name}` is not a valid destination name: {reason}")));
    }
    let some = Some(node);
    let Some(endpoint) = node.get("endpoint") else {
        // A misspelt key is reported separately.
        if node.entries()?.keys().any(|key| schema::guess(key, &["endpoint"]).is_some()) {
            return None;
        }
        let fault = Diagnostic::at(&node.key, format!("destination `{name}` has no `endpoint`"));
        faults.push(fault.help("write, for example, endpoint = \"https://otlp.example.com\""));
        return None;
    };
    let url = endpoint.text()?;
    // An undefined variable is reported separately.
    let complete = !url.contains("${");
    if let Err(reason) = check_endpoint(url)
        && complete
    {
        let fault = Diagnostic::at(&endpoint.origin, format!("bad endpoint: {reason}"));
        let fault = fault.help("write scheme, host, port and path: \"https://otlp.example.com:443/path\"");
        // User information may contain a password.
        faults.push(if url.contains('@') { fault.secret() } else { fault });
    }
    let headers = headers(node, faults);
    let insecure = truth(node.get("tls"), "insecure", false);
    let headers_helper = node.get("headers_helper").map(command);
    let is_secret =
        headers_helper.is_some() || headers.values().flatten().any(|source| !matches!(source, Source::Literal(_)));
    if is_secret && !insecure && in_the_clear(url) {
        let fault = Diagnostic::at(&endpoint.origin, "secret headers would be sent in plain text to another host");
        faults.push(fault.help("use https://, or set `tls.insecure = true` in the destination"));
    }
    let signals = node.get("signals").map_or_else(
        || emitted.clone(),
        |wanted| wanted.texts().filter_map(|(name, _)| Signal::from_name(name)).collect(),
    );
    Some(Destination {
        name: name.to_owned(),
        endpoint: escaped(url),
        protocol: protocol(some),
        signals,
        temporality: temporality(some),
        series_ttl: duration(some, "series_ttl", SERIES_TTL),
        gzip: text(some, "compression") != Some("none"),
        timeout: duration(some, "timeout", Duration::from_secs(10)),
        headers,
        headers_helper,
        batch: duration(some, "batch", Duration::from_secs(5)),
        tls: tls(node.get("tls"), faults),
        verify: text(some, "verify").map(str::to_owned),
    })
}

fn temporality(destination: Option<&Node>) -> Temporality {
    match text(destination, "temporality") {
        Some("cumulative") => Temporality::Cumulative,
        _ => Temporality::Delta,
    }
}

fn protocol(destination: Option<&Node>) -> Protocol {
    match text(destination, "protocol") {
        Some("grpc") => Protocol::Grpc,
        Some("http/json") => Protocol::HttpJson,
        _ => Protocol::HttpProtobuf,
    }
}

/// Certificates of a destination or of a team's store.
pub(super) fn tls(table: Option<&Node>, faults: &mut Vec<Diagnostic>) -> Tls {
    let at = |key: &str| table.and_then(|table| table.get(key));
    for (one, other) in [("cert", "key"), ("key", "cert")] {
        if let Some(node) = at(one).filter(|_| at(other).is_none()) {
            let fault = Diagnostic::at(&node.key, format!("`tls.{one}` without `tls.{other}`"));
            faults.push(fault.help("a client certificate needs both; they may be the same PEM file"));
        }
    }
    let server_name = text(table, "server_name").map(str::to_owned);
    // An undefined variable is reported separately.
    if let Some((node, name)) = at("server_name").zip(server_name.as_ref()).filter(|(_, name)| !name.contains("${"))
        && ServerName::try_from(name.as_str()).is_err()
    {
        let fault = Diagnostic::at(&node.origin, format!("`{name}` is not a valid server name"));
        faults.push(fault.help("write a host name or an address, without scheme and port"));
    }
    let file = |key: &str| at(key).and_then(path);
    Tls { ca: file("ca"), cert: file("cert"), key: file("key"), server_name }
}

/// The headers of a destination, a webhook or a team's store.
pub(super) fn headers(node: &Node, faults: &mut Vec<Diagnostic>) -> BTreeMap<String, Vec<Source>> {
    let table = node.get("headers").and_then(Node::entries).into_iter().flatten();
    let headers = table.map(|(name, node)| {
        check_header(name, node, faults);
        (name.to_ascii_lowercase(), sources(node, faults))
    });
    headers.collect()
}

/// Whether a header is valid in an HTTP request.
pub(in crate::profile) fn can_be_sent(name: &str, value: &str) -> bool {
    !answer::frames(name) && HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok()
}

/// Checks a header. Messages do not show its line, which may contain a key.
fn check_header(name: &str, node: &Node, faults: &mut Vec<Diagnostic>) {
    if HeaderName::try_from(name).is_err() {
        faults.push(Diagnostic::at(&node.key, format!("`{name}` is not a valid header name")).secret());
    } else if answer::frames(name) {
        let fault = Diagnostic::at(&node.key, format!("`{name}` frames the message and cannot be set")).secret();
        faults.push(fault.help("ccrun sets it if the protocol needs it"));
    }
    if node.text().is_some_and(|value| HeaderValue::try_from(value).is_err()) {
        let message = format!("the value of header `{name}` holds a line break or another control character");
        faults.push(Diagnostic::at(&node.origin, message).secret());
    }
}
