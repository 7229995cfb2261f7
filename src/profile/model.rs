//! What a profile means once every layer is merged: nothing here is optional that has a default.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::credential::{Command, Source};
use crate::otlp::Signal;

/// A resolved profile: where telemetry goes, whose it is and what may leave the machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// The name by which it was chosen.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Whether the program may only start with this profile in force.
    pub require: bool,
    /// The value of `[team] id`, if the profile has one: the ledger's team.
    pub team: Option<String>,
    /// Resource attributes, `[team]`'s shorthand included.
    pub resource: BTreeMap<String, String>,
    /// Which signals the client emits, and how often it hands them over.
    pub signals: Signals,
    /// What may leave the machine beyond numbers.
    pub content: Content,
    /// Which attributes the client adds to its metrics.
    pub cardinality: Cardinality,
    /// Which attributes are taken out or hidden before anything is stored.
    pub redact: Redact,
    /// Where telemetry goes; none means that it stays in the ledger.
    pub destinations: Vec<Destination>,
    /// Variables for the program.
    pub env: BTreeMap<String, Vec<Source>>,
    /// Keys of Claude Code's own settings.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// How the collector of a session behaves.
    pub collector: Collector,
}

/// `[signals]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Signals {
    /// The signals that the client emits.
    pub emitted: BTreeSet<Signal>,
    /// How often the client hands over metrics.
    pub metric_interval: Duration,
    /// How often the client hands over log records.
    pub log_interval: Duration,
    /// How often the client hands over spans.
    pub trace_interval: Duration,
}

/// `[content]`: each switch lets a kind of content out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "five independent switches, as in the profile")]
pub struct Content {
    /// What the user typed.
    pub user_prompts: bool,
    /// What the model answered.
    pub assistant_responses: bool,
    /// A tool's input: paths, commands, parameters.
    pub tool_details: bool,
    /// A tool's output, in spans.
    pub tool_content: bool,
    /// Whole requests and answers of the model's API.
    pub raw_api_bodies: bool,
}

/// `[cardinality]`: which attributes the client's metrics carry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, as in the profile")]
pub struct Cardinality {
    /// `session.id`.
    pub session_id: bool,
    /// `user.account_uuid`.
    pub account_uuid: bool,
    /// `app.version`.
    pub version: bool,
    /// `app.entrypoint`.
    pub entrypoint: bool,
    /// The resource's own attributes, on every data point.
    pub resource_attributes: bool,
    /// Repository and branch, to destinations.
    pub repository: bool,
}

/// `[destination.NAME]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Destination {
    /// The table's name.
    pub name: String,
    /// Scheme, host, port and path, checked: `http` or `https`, a host, no user information, no query.
    pub endpoint: String,
    /// How requests are encoded and carried.
    pub protocol: Protocol,
    /// The signals that this destination is given.
    pub signals: BTreeSet<Signal>,
    /// How it is given sums.
    pub temporality: Temporality,
    /// Where it is given totals: how long a series is kept that does not change.
    pub series_ttl: Duration,
    /// Whether requests are compressed with gzip.
    pub gzip: bool,
    /// How long a request may take, from connecting to the end of its answer.
    pub timeout: Duration,
    /// Header names in lower case, and where each value comes from: the first source that has it counts.
    pub headers: BTreeMap<String, Vec<Source>>,
    /// A command that gives further headers.
    pub headers_helper: Option<Command>,
    /// How long a request waits for more to go with it.
    pub batch: Duration,
    /// Certificates.
    pub tls: Tls,
    /// Where a person looks whether something arrived.
    pub verify: Option<String>,
}

impl Destination {
    /// Whether its requests carry headers of its own, which have to be fetched.
    pub fn has_headers(&self) -> bool {
        !self.headers.is_empty() || self.headers_helper.is_some()
    }
}

/// `[destination.NAME.tls]`. All files are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// Certificate authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Our own certificate, with those between it and its authority.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// The name that the destination's certificate must be for; the endpoint's host unless given.
    pub server_name: Option<String>,
}

/// How a destination is given sums and histograms. Clients always hand over deltas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Temporality {
    /// As they come.
    Delta,
    /// As totals over all sessions.
    Cumulative,
}

/// How a destination is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// OTLP/gRPC.
    #[serde(rename = "grpc")]
    Grpc,
    /// OTLP/HTTP with protobuf bodies.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
    /// OTLP/HTTP with JSON bodies.
    #[serde(rename = "http/json")]
    HttpJson,
}

impl Protocol {
    /// The name in a profile, and in `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
            Self::HttpJson => "http/json",
        }
    }
}

/// `[redact]`: attributes by their keys, on resources, scopes, log records, spans and data points.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Redact {
    /// Those that are taken out.
    pub drop: BTreeSet<String>,
    /// Those whose values are replaced by a keyed hash.
    pub hash: BTreeSet<String>,
    /// Where the hash's key comes from; the installation's own unless given.
    pub key: Vec<Source>,
}

/// `[collector]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Collector {
    /// Whether there is none: the program exports by itself, with a destination's headers in its environment.
    pub direct: bool,
    /// Patterns of `service.name`, of which one must match for telemetry to be taken. Without any: what is usual for
    /// the program.
    pub accept: Option<Vec<String>>,
    /// How long the collector goes on delivering once its session is over.
    pub drain_timeout: Duration,
}
