//! The meaning of a profile once every layer is merged. Nothing here is optional that has a default.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::status_line::StatusLine;
use super::team_store::TeamStore;
use crate::client::Tls;
use crate::otlp::Signal;
use crate::secret::{Command, Source};

/// A resolved profile: where telemetry goes, who it belongs to, and what may leave the machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// The name by which it was selected.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Whether programs may start only with this profile in force.
    pub require: bool,
    /// The value of `[team] id`, if set. The ledger records it as the team.
    pub team: Option<String>,
    /// Resource attributes, including those of `[team]`.
    pub resource: BTreeMap<String, String>,
    /// Which signals the client emits, and how often it exports them.
    pub signals: Signals,
    /// What may leave the machine besides numbers.
    pub content: Content,
    /// Which attributes the client adds to its metrics.
    pub cardinality: Cardinality,
    /// Which attributes are dropped or hashed before anything is stored.
    pub redact: Redact,
    /// Where telemetry goes. If empty, it stays in the ledger.
    pub destinations: Vec<Destination>,
    /// Variables for the program.
    pub env: BTreeMap<String, Vec<Source>>,
    /// Keys of Claude Code's own settings.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// The teams' stores that reports are read from: the profile's own, then those of `config.toml`.
    pub team_stores: Vec<TeamStore>,
    /// How much Claude Code may cost: the profile's own budgets, then the project's, then those of `config.toml`. All of
    /// them apply.
    pub budgets: Vec<Budget>,
    /// How the collector of a session behaves.
    pub collector: Collector,
    /// What Claude Code's status line shows.
    pub status_line: StatusLine,
}

impl Profile {
    /// The sources of the values that only `ccrun` itself needs: headers, the hash key, what notifications are sent with,
    /// and what teams' stores are read with.
    pub fn own_sources(&self) -> impl Iterator<Item = &Source> {
        let headers = self.destinations.iter().flat_map(|destination| destination.headers.values().flatten());
        let notifications = self.budgets.iter().flat_map(|budget| &budget.notify).flat_map(Notify::sources);
        let of_stores = self.team_stores.iter().flat_map(TeamStore::sources);
        headers.chain(&self.redact.key).chain(notifications).chain(of_stores)
    }
}

/// `[signals]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Signals {
    /// The signals that the client emits.
    pub emitted: BTreeSet<Signal>,
    /// How often the client exports metrics.
    pub metric_interval: Duration,
    /// How often the client exports log records.
    pub log_interval: Duration,
    /// How often the client exports spans.
    pub trace_interval: Duration,
}

/// `[content]`: each switch lets a kind of content out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "five independent switches, as in the profile")]
pub struct Content {
    /// The user's prompts.
    pub user_prompts: bool,
    /// The model's answers.
    pub assistant_responses: bool,
    /// A tool's input: paths, commands, parameters.
    pub tool_details: bool,
    /// A tool's output, in spans.
    pub tool_content: bool,
    /// Whole requests and responses of the model's API.
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
    /// Repository and branch, sent to destinations.
    pub repository: bool,
}

/// `[destination.NAME]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Destination {
    /// The table's name.
    pub name: String,
    /// Scheme, host, port and path, checked: `http` or `https`, a host, no user information, no query.
    pub endpoint: String,
    /// How requests are encoded and sent.
    pub protocol: Protocol,
    /// The signals that this destination gets.
    pub signals: BTreeSet<Signal>,
    /// The temporality of the sums it gets.
    pub temporality: Temporality,
    /// For cumulative temporality: how long a series without changes is kept.
    pub series_ttl: Duration,
    /// Whether requests are compressed with gzip.
    pub gzip: bool,
    /// How long a request may take, from connecting to the end of its answer.
    pub timeout: Duration,
    /// Header names in lower case, and the sources of each value. The first source that has the value is used.
    pub headers: BTreeMap<String, Vec<Source>>,
    /// A command that prints further headers.
    pub headers_helper: Option<Command>,
    /// How long a request waits to be sent together with others.
    pub batch: Duration,
    /// Certificates.
    pub tls: Tls,
    /// Where a person can check that data arrived.
    pub verify: Option<String>,
}

impl Destination {
    /// Whether its requests carry headers, which must be fetched.
    pub fn has_headers(&self) -> bool {
        !self.headers.is_empty() || self.headers_helper.is_some()
    }
}

/// The temporality of sums and histograms sent to a destination. Clients always export deltas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Temporality {
    /// As received.
    Delta,
    /// As cumulative totals over all sessions.
    Cumulative,
}

/// The protocol of a destination.
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
    /// Attributes to drop.
    pub drop: BTreeSet<String>,
    /// Attributes whose values are replaced by a keyed hash.
    pub hash: BTreeSet<String>,
    /// The source of the hash key. Without one, the installation's own key is used.
    pub key: Vec<Source>,
}

/// `[collector]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Collector {
    /// Whether there is no collector: the program exports by itself, with the destination's headers in its environment.
    pub direct: bool,
    /// Patterns of `service.name`, one of which must match for telemetry to be accepted. `None` means the usual
    /// patterns for the program.
    pub accept: Option<Vec<String>>,
    /// How long the collector keeps delivering after its session has ended.
    pub drain_timeout: Duration,
}

/// One limit of a `[budget]`, and what happens as the spend nears it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The period that it is for.
    pub period: Period,
    /// The limit, in billionths of a US dollar.
    pub limit: i64,
    /// Whose spend counts.
    pub per: Scope,
    /// The percentages of the limit at which to warn.
    pub warn: BTreeSet<u16>,
    /// Whether no work begins beyond the limit.
    pub stop: bool,
    /// What else is told.
    pub notify: Vec<Notify>,
    /// The place of the limit: `FILE:LINE:COLUMN`.
    pub origin: String,
}

/// The period of a budget, by local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From midnight to midnight.
    Daily,
    /// From Monday to Sunday, an ISO week.
    Weekly,
    /// From the first of a month to its last day.
    Monthly,
}

impl Period {
    /// All periods, shortest first.
    pub const ALL: [Self; 3] = [Self::Daily, Self::Weekly, Self::Monthly];

    /// The key of its limit in `[budget]`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        }
    }
}

/// Whose spend a budget limits. It is always that of the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The person, as the ledger knows them.
    Person,
    /// The project.
    Project,
    /// The branch of the project.
    Branch,
    /// The team.
    Team,
    /// The profile.
    Profile,
    /// Claude Code's session.
    Session,
}

impl Scope {
    /// All scopes, in the order of `SCOPES` in the schema.
    pub const ALL: [Self; 6] = [Self::Person, Self::Project, Self::Branch, Self::Team, Self::Profile, Self::Session];

    /// Its name in `per`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Project => "project",
            Self::Branch => "branch",
            Self::Team => "team",
            Self::Profile => "profile",
            Self::Session => "session",
        }
    }
}

/// A receiver of messages about a budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notify {
    /// A program.
    Command(Command),
    /// A server.
    Webhook {
        /// The sources of its URL, which may contain a secret.
        url: Vec<Source>,
        /// Header names in lower case, and the sources of each value.
        headers: BTreeMap<String, Vec<Source>>,
    },
}

impl Notify {
    /// The sources of what is sent.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        let (url, headers) = match self {
            Self::Command(_) => (None, None),
            Self::Webhook { url, headers } => (Some(url), Some(headers)),
        };
        url.into_iter().flatten().chain(headers.into_iter().flat_map(BTreeMap::values).flatten())
    }
}
