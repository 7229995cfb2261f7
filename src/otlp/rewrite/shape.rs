//! Where attributes stand in a request: field numbers of opentelemetry-proto 1.11 (`logs.proto`, `metrics.proto`,
//! `trace.proto`, `common.proto`), as tables.

use crate::otlp::Signal;

/// A kind of message: where it has attributes, and which of its fields hold further messages that have some.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    /// The field that its attributes are.
    pub(super) attributes: Option<u32>,
    /// Fields that hold messages, and their kinds.
    pub(super) below: &'static [(u32, &'static Shape)],
}

/// What a message is, as far as it matters which content it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A log record: Claude Code's events.
    Event,
    /// A span.
    Span,
    /// Something that happened during a span.
    SpanEvent,
    /// The status of a span.
    Status,
    /// Anything else.
    Other,
}

/// `resource_metrics`, `resource_logs`, `resource_spans` of a request.
pub(super) const RESOURCE_ITEM: u32 = 1;
/// `resource` of one of those.
pub(super) const RESOURCE: u32 = 1;
/// `scope_metrics`, `scope_logs`, `scope_spans` of one of those.
pub(super) const SCOPE_ITEM: u32 = 2;
/// `attributes` of a resource.
pub(super) const RESOURCE_ATTRIBUTES: u32 = 1;
/// `scope` of a `ScopeX`.
pub(super) const SCOPE: u32 = 1;
/// `name` of a scope.
pub(super) const SCOPE_NAME: u32 = 1;
/// `metrics`, `log_records`, `spans` of a `ScopeX`.
pub(super) const RECORD: u32 = 2;

/// `body` of a log record.
pub(super) const BODY: u32 = 5;
/// `attributes` of a log record.
pub(super) const EVENT_ATTRIBUTES: u32 = 6;
/// `event_name` of a log record.
pub(super) const EVENT_NAME: u32 = 12;
/// `name` of a span.
pub(super) const SPAN_NAME: u32 = 5;
/// `attributes` of a span.
pub(super) const SPAN_ATTRIBUTES: u32 = 9;
/// `name` of a span's event.
pub(super) const SPAN_EVENT_NAME: u32 = 2;
/// `message` of a span's status.
pub(super) const STATUS_MESSAGE: u32 = 2;

/// `data_points` of a metric's data, whichever of the five kinds.
pub(super) const POINTS: u32 = 1;
/// `gauge`, `sum`, `histogram`, `exponential_histogram`, `summary` of a metric.
pub(super) const DATA: [u32; 5] = [5, 7, 9, 10, 11];

/// What stands under a signal's scopes.
pub(super) fn record(signal: Signal) -> &'static Shape {
    match signal {
        Signal::Logs => &LOG_RECORD,
        Signal::Metrics => &METRIC,
        Signal::Traces => &SPAN,
    }
}

const fn other(attributes: Option<u32>, below: &'static [(u32, &'static Shape)]) -> Shape {
    Shape { kind: Kind::Other, attributes, below }
}

pub(super) static SCOPE_SHAPE: Shape = other(Some(3), &[]);

static LOG_RECORD: Shape = Shape { kind: Kind::Event, attributes: Some(EVENT_ATTRIBUTES), below: &[] };

static SPAN: Shape = Shape {
    kind: Kind::Span,
    attributes: Some(SPAN_ATTRIBUTES),
    below: &[(11, &SPAN_EVENT), (13, &LINK), (15, &STATUS)],
};
static SPAN_EVENT: Shape = Shape { kind: Kind::SpanEvent, attributes: Some(3), below: &[] };
static LINK: Shape = other(Some(4), &[]);
static STATUS: Shape = Shape { kind: Kind::Status, attributes: None, below: &[] };

/// Its own attributes are its `metadata`.
static METRIC: Shape =
    other(Some(12), &[(5, &NUMBERS), (7, &NUMBERS), (9, &HISTOGRAM), (10, &EXPONENTIAL), (11, &SUMMARY)]);
/// Gauges and sums.
static NUMBERS: Shape = other(None, &[(POINTS, &NUMBER_POINT)]);
static NUMBER_POINT: Shape = other(Some(7), &[(5, &EXEMPLAR)]);
static HISTOGRAM: Shape = other(None, &[(POINTS, &HISTOGRAM_POINT)]);
static HISTOGRAM_POINT: Shape = other(Some(9), &[(8, &EXEMPLAR)]);
static EXPONENTIAL: Shape = other(None, &[(POINTS, &EXPONENTIAL_POINT)]);
static EXPONENTIAL_POINT: Shape = other(Some(1), &[(11, &EXEMPLAR)]);
static SUMMARY: Shape = other(None, &[(POINTS, &SUMMARY_POINT)]);
static SUMMARY_POINT: Shape = other(Some(7), &[]);
/// Its attributes are `filtered_attributes`: those that its point does not have.
static EXEMPLAR: Shape = other(Some(7), &[]);
