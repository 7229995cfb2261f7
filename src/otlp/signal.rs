//! The three signals of OTLP, and their names on the wire.

use serde::{Deserialize, Serialize};

/// One of OTLP's signals. Profiles, the fourth, are still in development and not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Spans, which are beta in Claude Code.
    Traces,
    /// Data points.
    Metrics,
    /// Log records, which are Claude Code's events.
    Logs,
}

impl Signal {
    /// All signals, in the order in which the specification lists them.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// The name in a profile and in OTLP/HTTP's paths: `traces`, `metrics` or `logs`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// The signal with this name, as returned by [`Signal::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.name() == name)
    }

    /// The path that is appended to a general endpoint (OTLP specification, *OTLP/HTTP Request*).
    pub fn http_path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
        }
    }

    /// Whether an endpoint's path is specific to this signal and used unchanged: it ends like the specification's path,
    /// or is one of Splunk's ("Send data to Splunk Observability Cloud").
    pub fn is_path_of(self, endpoint: &str) -> bool {
        let path = endpoint.trim_end_matches('/');
        let splunk = match self {
            Self::Traces => Some("/v2/trace/otlp"),
            Self::Metrics => Some("/v2/datapoint/otlp"),
            Self::Logs => None,
        };
        path.ends_with(self.http_path()) || splunk.is_some_and(|own| path.ends_with(own))
    }

    /// The full path of the unary `Export` method of the signal's gRPC service.
    pub fn grpc_path(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }
}
