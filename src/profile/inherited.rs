//! The profile `inherited`: what somebody has set up for Claude Code already, as far as a profile can say it, so that
//! nothing which worked goes dark. Pure: variables in, a profile out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use serde_json::Value as Json;

use super::document::{Document, Origin};
use super::read::{attribute_key, can_be_sent, check_endpoint};
use super::tree::{Entries, Node, Value};
use crate::otlp::Signal;
use crate::printable::visible;

/// The profile's name.
pub const NAME: &str = "inherited";

const DESCRIPTION: &str = "what was set up for Claude Code before";

/// Variables of Claude Code's telemetry, by name, each with its value and the place that it was found in.
pub type Variables = BTreeMap<String, (String, String)>;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Inherited {
    /// The profile, if there is an endpoint that one can name.
    profile: Option<Vec<Entry>>,
    /// The variable that names the endpoint, and where it stands.
    source: String,
    /// What a profile cannot say, or says otherwise: no value is among it.
    remarks: Vec<String>,
}

/// A value of the profile.
#[derive(Clone)]
struct Entry {
    /// The table that it is in, as TOML writes it.
    table: Vec<String>,
    key: String,
    value: Value,
    /// The variable, and where it was found.
    from: String,
}

/// Shows no value: headers are among them.
impl std::fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{} from {}", self.table.join("."), self.key, self.from)
    }
}

impl Inherited {
    /// Reads what Claude Code would read; nothing where its telemetry is not on.
    pub fn find(variables: &Variables) -> Option<Self> {
        let finder = Finder { variables, entries: Vec::new(), remarks: Vec::new() };
        is_on(&finder.value("CLAUDE_CODE_ENABLE_TELEMETRY")?).then(|| finder.find())
    }

    /// Whether it makes a profile.
    pub fn is_profile(&self) -> bool {
        self.profile.is_some()
    }

    /// What its user should know, in one line; nothing where nothing was found that matters.
    pub fn notice(&self) -> Option<String> {
        let found = format!(
            "telemetry that was set up already ({}) is now delivered through ccrun, as the profile `{NAME}`; \
             `ccrun profile new NAME --from-env` keeps it",
            self.source
        );
        let parts: Vec<_> = self.is_profile().then_some(found).into_iter().chain(self.remarks.clone()).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// What a profile cannot say of it, or says otherwise.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The profile as a tree whose values name the variables that they come from.
    pub(super) fn node(&self) -> Option<Node> {
        let mut root = table(&origin(NAME));
        let description = Node { value: Value::Text(DESCRIPTION.to_owned()), ..root.clone() };
        if let Value::Table(entries) = &mut root.value {
            entries.insert("description".to_owned(), description);
        }
        for entry in self.profile.as_ref()? {
            let place = origin(&entry.from);
            let mut at = &mut root;
            for name in &entry.table {
                let Value::Table(entries) = &mut at.value else { return None };
                at = entries.entry(name.clone()).or_insert_with(|| table(&place));
            }
            let Value::Table(entries) = &mut at.value else { return None };
            let node = Node { value: entry.value.clone(), origin: place.clone(), key: place };
            entries.insert(entry.key.clone(), node);
        }
        Some(root)
    }

    /// The profile as a file, each value with the variable that it comes from.
    pub fn text(&self) -> Option<String> {
        let mut text = format!("description = {}\n", quoted(DESCRIPTION));
        let entries = self.profile.as_ref()?;
        let mut tables: Vec<&[String]> = Vec::new();
        for entry in entries {
            if !tables.contains(&entry.table.as_slice()) {
                tables.push(&entry.table);
            }
        }
        for table in tables {
            let names: Vec<_> = table.iter().map(|name| key(name)).collect();
            text.extend(["\n[", &names.join("."), "]\n"]);
            for entry in entries.iter().filter(|entry| entry.table == table) {
                text.extend([&key(&entry.key), " = ", &written(&entry.value), "  # ", &visible(&entry.from), "\n"]);
            }
        }
        Some(text)
    }

    /// Whether a header's value is in that file.
    pub fn has_headers(&self) -> bool {
        self.profile.iter().flatten().any(|entry| entry.table.get(2).is_some_and(|table| table == "headers"))
    }
}

fn origin(label: &str) -> Origin {
    // Without a text, so that no message can show a line that holds a key.
    Origin { document: Arc::new(Document { label: label.to_owned(), text: String::new() }), span: 0..0 }
}

fn table(place: &Origin) -> Node {
    Node { value: Value::Table(Entries::new()), origin: place.clone(), key: place.clone() }
}

/// A key as TOML writes it.
fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quoted(name) }
}

/// A JSON string is a TOML string, but for DEL, which TOML wants escaped.
fn quoted(text: &str) -> String {
    Json::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn written(value: &Value) -> String {
    match value {
        Value::Bool(truth) => truth.to_string(),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| written(&item.value)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Text(text) => quoted(text),
        // Nothing else is made here.
        _ => quoted(""),
    }
}

/// A literal string: `${` would be taken for a variable of the profile.
fn literal(text: &str) -> Value {
    Value::Text(text.replace("${", "$${"))
}

/// How Claude Code reads its own switches.
fn is_on(value: &str) -> bool {
    ["1", "true", "yes", "on"].contains(&value.trim().to_ascii_lowercase().as_str())
}

struct Finder<'a> {
    variables: &'a Variables,
    entries: Vec<Entry>,
    remarks: Vec<String>,
}

impl Finder<'_> {
    fn find(mut self) -> Inherited {
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
        self.remark_what_is_lost(&emitted);
        Inherited { profile: Some(self.entries), source, remarks: self.remarks }
    }

    /// A variable's value, if it has one.
    fn value(&self, name: &str) -> Option<String> {
        let (value, _) = self.variables.get(name)?;
        Some(value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The variable, and where it stands.
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

    /// The signals that are exported by OTLP. Where no exporter is named at all but an endpoint is, somebody forgot
    /// them, as most who hear nothing have: then metrics and events are meant.
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
                    "the `prometheus` exporter ({from}) is left out: every session wants port 9464, and only one gets \
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

    /// One destination; gives where its endpoint was found, unless there is none that a profile can say.
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
        let compression = self.either(signal, "COMPRESSION").filter(|(value, _)| value == "gzip");
        let compressed = compression.map(|(_, name)| self.place(&name));
        let word = if compressed.is_some() { "gzip" } else { "none" };
        self.put(&table, "compression", Value::Text(word.to_owned()), compressed.as_ref().unwrap_or(&from));
        if is_grpc && let Some((path, name)) = self.either(signal, "CERTIFICATE").filter(|(path, _)| is_absolute(path))
        {
            let from = self.place(&name);
            self.put(&["destination", table[1], "tls"], "ca", literal(&path), &from);
        }
        self.headers(name, signal, is_grpc);
        Some(from)
    }

    /// A URL of scheme, host and port, which is all of an endpoint that gRPC takes.
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
        let word = if value == "grpc" { "grpc" } else { "http/protobuf" };
        self.put(table, "protocol", Value::Text(word.to_owned()), &from);
        if value == "http/json" {
            self.remark(format!("`http/json` ({from}) becomes `http/protobuf`, which every OTLP receiver has to take"));
        } else if value != word {
            self.remark(format!("{from} names no protocol that there is: `http/protobuf` is used"));
        }
    }

    /// The general headers and over them the signal's own, as Claude Code reads them.
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
                // Unset it follows the prompts.
                "OTEL_LOG_USER_PROMPTS".clone_into(&mut name);
            }
            let Some(value) = self.value(&name) else { continue };
            let from = self.place(&name);
            self.put(&["content"], key, Value::Bool(is_on(&value)), &from);
            if value.starts_with("file:") {
                self.remark(format!("{from} writes files, which a profile cannot say: it is off"));
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

    /// Whose it is. Claude's user settings would lose theirs to the settings of a session.
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

    /// Says what worked and does not go on as it was.
    fn remark_what_is_lost(&mut self, emitted: &BTreeSet<Signal>) {
        let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        let is_total = self.value(name).is_some_and(|value| !value.eq_ignore_ascii_case("delta"));
        if is_total && emitted.contains(&Signal::Metrics) {
            let from = self.place(name);
            self.remark(format!(
                "{from} asks for totals, and deltas are sent: this version of ccrun does not do totals yet"
            ));
        }
        let certificates = self.variables.keys().filter(|name| {
            name.starts_with("OTEL_EXPORTER_OTLP_") && name.ends_with("CLIENT_CERTIFICATE")
                || *name == "CLAUDE_CODE_CLIENT_CERT"
        });
        let certificates: Vec<_> = certificates.filter(|name| self.value(name).is_some()).cloned().collect();
        for name in certificates {
            let from = self.place(&name);
            self.remark(format!("{from} is not used: this version of ccrun does not do client certificates yet"));
        }
        if self.value(HELPER).is_some() {
            let from = self.variables.get(HELPER).map(|(_, place)| place.clone()).unwrap_or_default();
            self.remark(format!(
                "`otelHeadersHelper` in {from} is not run: this version of ccrun does not do that yet"
            ));
        }
    }
}

/// By what name the setting `otelHeadersHelper` stands among the variables.
pub const HELPER: &str = "otelHeadersHelper";

fn is_absolute(path: &str) -> bool {
    Path::new(path).is_absolute()
}

/// The name of a transport variable, of a signal or of all.
fn variable(signal: Option<Signal>, what: &str) -> String {
    match signal {
        Some(signal) => format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.name().to_uppercase()),
        None => format!("OTEL_EXPORTER_OTLP_{what}"),
    }
}

/// A list as Claude Code reads it: split at each `,` and the first `=` of each part, trimmed.
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

#[cfg(test)]
#[path = "inherited_tests.rs"]
mod tests;
