//! Reads what Claude Code would read, and expresses it as a profile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use percent_encoding::percent_decode_str;

use super::{Entry, Inherited, NAME, Variables, literal, origin};
use crate::otlp::Signal;
use crate::profile::read::{attribute_key, can_be_sent, check_endpoint};
use crate::profile::tree::{Node, Value};

/// How Claude Code reads its own switches.
pub(super) fn is_on(value: &str) -> bool {
    ["1", "true", "yes", "on"].contains(&value.trim().to_ascii_lowercase().as_str())
}

pub(super) struct Finder<'a> {
    variables: &'a Variables,
    entries: Vec<Entry>,
    remarks: Vec<String>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(variables: &'a Variables) -> Self {
        Self { variables, entries: Vec::new(), remarks: Vec::new() }
    }

    pub(super) fn find(mut self) -> Inherited {
        let emitted = self.exporters();
        let mut source = None;
        let mut general = BTreeSet::new();
        for signal in emitted.iter().copied() {
            let own = ["ENDPOINT", "PROTOCOL", "HEADERS"];
            if own.iter().any(|what| self.value(&variable(Some(signal), what)).is_some()) {
                let reached = self.destination(signal.name(), Some(signal), &BTreeSet::from([signal]));
                source = source.or(reached);
            } else {
                general.insert(signal);
            }
        }
        if !general.is_empty() {
            source = self.destination(NAME, None, &general).or(source);
        }
        let Some(source) = source else {
            return Inherited { profile: None, source: String::new(), remarks: self.remarks };
        };
        self.switches();
        self.intervals();
        self.resource();
        self.remark_what_is_lost();
        Inherited { profile: Some(self.entries), source, remarks: self.remarks }
    }

    /// A variable's value, if it has one.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let (value, _) = self.variables.get(name)?;
        Some(value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The variable and its place.
    fn place(&self, name: &str) -> String {
        match self.variables.get(name) {
            Some((_, place)) => format!("{name} in {place}"),
            None => format!("{name}, which is not set"),
        }
    }

    fn put(&mut self, table: &[&str], key: &str, value: Value, from: &str) {
        let table = table.iter().map(|name| (*name).to_owned()).collect();
        self.entries.push(Entry { table, key: key.to_owned(), value, from: from.to_owned() });
    }

    /// The signals that are exported over OTLP. If an endpoint but no exporter is set, the exporters were probably
    /// forgotten, which is a common mistake. Metrics and events are then assumed.
    fn exporters(&mut self) -> BTreeSet<Signal> {
        let signals = [Signal::Metrics, Signal::Logs, Signal::Traces];
        let name = |signal: Signal| format!("OTEL_{}_EXPORTER", signal.name().to_uppercase());
        let is_any = signals.iter().any(|signal| self.value(&name(*signal)).is_some());
        if !is_any {
            return BTreeSet::from([Signal::Metrics, Signal::Logs]);
        }
        let beta = self.value("CLAUDE_CODE_ENHANCED_TELEMETRY_BETA").is_some_and(|value| is_on(&value));
        let mut emitted = BTreeSet::new();
        for signal in signals {
            let named = self.value(&name(signal)).unwrap_or_default();
            let exporters: Vec<_> = named.split(',').map(str::trim).collect();
            let on = exporters.contains(&"otlp") && (signal != Signal::Traces || beta);
            if on {
                emitted.insert(signal);
            }
            let from = self.place(&name(signal));
            if on || signal != Signal::Traces {
                self.put(&["signals"], signal.name(), Value::Bool(on), &from);
            }
            if exporters.contains(&"console") {
                self.remark(format!(
                    "the `console` exporter ({from}) is left out: it writes over Claude Code's screen"
                ));
            }
            if exporters.contains(&"prometheus") {
                self.remark(format!(
                    "the `prometheus` exporter ({from}) is left out: every session needs port 9464, and only one can have \
                     it; the profile `prometheus` sends to its OTLP receiver instead"
                ));
            }
        }
        emitted
    }

    fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    /// A signal's own value, else the general one, with the variable's name.
    fn either(&self, signal: Option<Signal>, what: &str) -> Option<(String, String)> {
        let names = [signal.map(|signal| variable(Some(signal), what)), Some(variable(None, what))];
        names.into_iter().flatten().find_map(|name| Some((self.value(&name)?, name)))
    }

    /// Adds one destination. Returns the place of its endpoint, or `None` if there is no endpoint that a profile can
    /// express.
    fn destination(&mut self, name: &str, signal: Option<Signal>, signals: &BTreeSet<Signal>) -> Option<String> {
        let (endpoint, variable_name) = self.either(signal, "ENDPOINT")?;
        let from = self.place(&variable_name);
        let protocol = self.either(signal, "PROTOCOL");
        let is_grpc = protocol.as_ref().is_some_and(|(protocol, _)| protocol == "grpc");
        let is_own = signal.is_some_and(|signal| variable_name == variable(Some(signal), "ENDPOINT"));
        let expressed = match signal.filter(|_| is_own) {
            _ if is_grpc => Ok(self.grpc_endpoint(&endpoint, signal)),
            Some(signal) if !endpoint.trim_end_matches('/').ends_with(signal.http_path()) => {
                Err(format!("its path does not end in `{}`", signal.http_path()))
            }
            _ => Ok(endpoint),
        };
        let checked = expressed.and_then(|url| check_endpoint(&url).map(|()| url).map_err(str::to_owned));
        let endpoint = match checked {
            Ok(endpoint) => endpoint,
            Err(reason) => {
                self.remark(format!("the endpoint of {from} is left out: {reason}"));
                return None;
            }
        };
        let table = ["destination", name];
        self.put(&table, "endpoint", literal(&endpoint), &from);
        self.protocol(&table, protocol);
        let place = origin(&from);
        let names = signals.iter().map(|signal| Node {
            value: Value::Text(signal.name().to_owned()),
            origin: place.clone(),
            key: place.clone(),
        });
        self.put(&table, "signals", Value::List(names.collect()), &from);
        // `lowmemory` exports counters as deltas, and Claude Code has only counters (OTLP exporter, *Temporality
        // Preference*).
        let preference = self.value(TEMPORALITY).filter(|value| value.eq_ignore_ascii_case("cumulative"));
        if preference.is_some() && signals.contains(&Signal::Metrics) {
            let from = self.place(TEMPORALITY);
            self.put(&table, "temporality", Value::Text("cumulative".to_owned()), &from);
        }
        let compression = self.either(signal, "COMPRESSION").filter(|(value, _)| value == "gzip");
        let compressed = compression.map(|(_, name)| self.place(&name));
        let word = if compressed.is_some() { "gzip" } else { "none" };
        self.put(&table, "compression", Value::Text(word.to_owned()), compressed.as_ref().unwrap_or(&from));
        if is_grpc && let Some((path, name)) = self.either(signal, "CERTIFICATE").filter(|(path, _)| is_absolute(path))
        {
            let from = self.place(&name);
            self.put(&["destination", table[1], "tls"], "ca", literal(&path), &from);
        }
        self.certificate(name, signal, is_grpc);
        self.headers(name, signal, is_grpc);
        Some(from)
    }

    /// The client certificate: OpenTelemetry's variables over gRPC, Claude Code's own over HTTP.
    fn certificate(&mut self, destination: &str, signal: Option<Signal>, is_grpc: bool) {
        let own = |name: &str| Some((self.value(name)?, name.to_owned()));
        let both = if is_grpc {
            [self.either(signal, "CLIENT_CERTIFICATE"), self.either(signal, "CLIENT_KEY")]
        } else {
            [own("CLAUDE_CODE_CLIENT_CERT"), own("CLAUDE_CODE_CLIENT_KEY")]
        };
        if let [Some((cert, cert_name)), Some((key, key_name))] = &both
            && is_absolute(cert)
            && is_absolute(key)
        {
            for (word, path, name) in [("cert", cert, cert_name), ("key", key, key_name)] {
                let from = self.place(name);
                self.put(&["destination", destination, "tls"], word, literal(path), &from);
            }
        } else if let Some((_, name)) = both.into_iter().flatten().next() {
            let from = self.place(&name);
            self.remark(format!(
                "{from} is not used: a client certificate needs absolute paths of the certificate and its key"
            ));
        }
    }

    /// The scheme, host and port of a URL, the only parts that a gRPC endpoint has.
    fn grpc_endpoint(&self, endpoint: &str, signal: Option<Signal>) -> String {
        let is_plain = || self.either(signal, "INSECURE").is_some_and(|(value, _)| value == "true");
        let (scheme, rest) = match endpoint.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None if is_plain() => ("http", endpoint),
            None => ("https", endpoint),
        };
        let host = rest.split('/').next().unwrap_or_default();
        format!("{scheme}://{host}")
    }

    fn protocol(&mut self, table: &[&str], protocol: Option<(String, String)>) {
        let Some((value, name)) = protocol else { return };
        let from = self.place(&name);
        let word = ["grpc", "http/json"].into_iter().find(|word| *word == value).unwrap_or("http/protobuf");
        self.put(table, "protocol", Value::Text(word.to_owned()), &from);
        if value != word {
            self.remark(format!("{from} is not a known protocol: `http/protobuf` is used"));
        }
    }

    /// The general headers with the signal's own merged over them, as Claude Code reads them.
    fn headers(&mut self, destination: &str, signal: Option<Signal>, is_grpc: bool) {
        let names = [Some(variable(None, "HEADERS")), signal.map(|signal| variable(Some(signal), "HEADERS"))];
        let mut headers = BTreeMap::new();
        for name in names.into_iter().flatten() {
            let from = self.place(&name);
            for (header, value) in pairs(&self.value(&name).unwrap_or_default(), is_grpc) {
                let header = header.to_ascii_lowercase();
                if can_be_sent(&header, &value) {
                    headers.insert(header, (value, from.clone()));
                } else {
                    self.remark(format!("a header of {from} is left out: it cannot be sent"));
                }
            }
        }
        for (header, (value, from)) in headers {
            self.put(&["destination", destination, "headers"], &header, literal(&value), &from);
        }
    }

    fn switches(&mut self) {
        let content = [
            ("user_prompts", "USER_PROMPTS"),
            ("assistant_responses", "ASSISTANT_RESPONSES"),
            ("tool_details", "TOOL_DETAILS"),
            ("tool_content", "TOOL_CONTENT"),
            ("raw_api_bodies", "RAW_API_BODIES"),
        ];
        for (key, word) in content {
            let mut name = format!("OTEL_LOG_{word}");
            if word == "ASSISTANT_RESPONSES" && self.value(&name).is_none() {
                // If unset, it follows the switch for prompts.
                "OTEL_LOG_USER_PROMPTS".clone_into(&mut name);
            }
            let Some(value) = self.value(&name) else { continue };
            let from = self.place(&name);
            self.put(&["content"], key, Value::Bool(is_on(&value)), &from);
            if value.starts_with("file:") {
                self.remark(format!("{from} writes files, which a profile cannot do: it is off"));
            }
        }
        let cardinality = ["session_id", "account_uuid", "version", "entrypoint", "resource_attributes", "repository"];
        for key in cardinality {
            let name = format!("OTEL_METRICS_INCLUDE_{}", key.to_uppercase());
            if let Some(value) = self.value(&name) {
                let from = self.place(&name);
                self.put(&["cardinality"], key, Value::Bool(is_on(&value)), &from);
            }
        }
    }

    fn intervals(&mut self) {
        let intervals = [
            ("metric_interval", "OTEL_METRIC_EXPORT_INTERVAL"),
            ("log_interval", "OTEL_LOGS_EXPORT_INTERVAL"),
            ("trace_interval", "OTEL_TRACES_EXPORT_INTERVAL"),
        ];
        for (key, name) in intervals {
            let milliseconds = self.value(name).and_then(|value| value.parse::<u32>().ok()).filter(|value| *value > 0);
            if let Some(milliseconds) = milliseconds {
                let from = self.place(name);
                self.put(&["signals"], key, Value::Text(format!("{milliseconds}ms")), &from);
            }
        }
    }

    /// Resource attributes. Those in Claude's user settings would otherwise be overridden by the session's settings.
    fn resource(&mut self) {
        let name = "OTEL_RESOURCE_ATTRIBUTES";
        let from = self.place(name);
        let mut attributes: BTreeMap<_, _> = pairs(&self.value(name).unwrap_or_default(), true)
            .filter(|(key, _)| attribute_key(key).is_ok())
            .map(|(key, value)| (key, (value, from.clone())))
            .collect();
        if let Some(service) = self.value("OTEL_SERVICE_NAME") {
            attributes.insert("service.name".to_owned(), (service, self.place("OTEL_SERVICE_NAME")));
        }
        for (key, (value, from)) in attributes {
            self.put(&["resource"], &key, literal(&value), &from);
        }
    }

    /// Remarks on what worked before and no longer does.
    fn remark_what_is_lost(&mut self) {
        if self.value(HELPER).is_some() {
            let from = self.variables.get(HELPER).map(|(_, place)| place.clone()).unwrap_or_default();
            self.remark(format!("`otelHeadersHelper` in {from} is not run: ccrun does not support it"));
        }
    }
}

/// The variable that selects delta or cumulative temporality.
const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";

/// The name under which the setting `otelHeadersHelper` appears among the variables.
pub const HELPER: &str = "otelHeadersHelper";

fn is_absolute(path: &str) -> bool {
    Path::new(path).is_absolute()
}

/// The name of a transport variable, of one signal or of all.
fn variable(signal: Option<Signal>, what: &str) -> String {
    match signal {
        Some(signal) => format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.name().to_uppercase()),
        None => format!("OTEL_EXPORTER_OTLP_{what}"),
    }
}

/// Parses a list as Claude Code does: split at each `,` and at the first `=` of each part, trimmed.
fn pairs(list: &str, is_encoded: bool) -> impl Iterator<Item = (String, String)> {
    let pair = move |part: &str| {
        let (key, value) = part.split_once('=')?;
        let decode = |text: &str| match percent_decode_str(text).decode_utf8() {
            Ok(decoded) if is_encoded => decoded.into_owned(),
            _ => text.to_owned(),
        };
        Some((decode(key.trim()), decode(value.trim()))).filter(|(key, _)| !key.is_empty())
    };
    list.split(',').filter_map(pair).collect::<Vec<_>>().into_iter()
}
