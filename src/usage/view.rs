//! What of a request can tell of usage, where it lies on the wire: nothing is copied, and what is not asked for is
//! passed over. Field numbers are those of opentelemetry-proto 1.11 (`logs.proto`, `metrics.proto`).
//!
//! Requests come here validated. What could not be read is passed over like what is not known.

use super::attributes::{AnyValue, Attributes, text, to_double};
use crate::otlp::{Field, Value, fields};

/// `resource_metrics` or `resource_logs` of a request.
const RESOURCE_ITEM: u32 = 1;
/// `scope_metrics` or `scope_logs` of one of those.
const SCOPE_ITEM: u32 = 2;
/// `scope` of one of those.
const SCOPE: u32 = 1;
/// `name` of a scope.
const SCOPE_NAME: u32 = 1;
/// `metrics` or `log_records` beside the scope.
const RECORD: u32 = 2;
/// `data_points` of a metric's data.
const POINTS: u32 = 1;

/// What the names of Claude Code's scopes begin with: `com.anthropic.claude_code` and `com.anthropic.claude_code.events`.
const CLAUDE_CODE: &[u8] = b"com.anthropic.claude_code";

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`
const CUMULATIVE: u64 = 2;

/// The log records, or metrics, of Claude Code's scopes.
pub(super) fn records(request: &[u8]) -> impl Iterator<Item = &[u8]> {
    below(request, RESOURCE_ITEM)
        .flat_map(|resource| below(resource, SCOPE_ITEM))
        .filter(|item| is_claude_code(item))
        .flat_map(|item| below(item, RECORD))
}

fn is_claude_code(scope_item: &[u8]) -> bool {
    let names = below(scope_item, SCOPE).flat_map(|scope| below(scope, SCOPE_NAME));
    names.last().is_some_and(|name| name.starts_with(CLAUDE_CODE))
}

/// The strings or messages that stand in a field of a message.
fn below(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    known(message).filter(move |field| field.number == number).filter_map(|field| field.bytes().ok())
}

/// The fields of a message.
pub(super) fn known(message: &[u8]) -> impl Iterator<Item = Field<'_>> {
    fields(message).map_while(Result::ok)
}

/// A log record.
#[derive(Default)]
pub(super) struct Record<'a> {
    /// In nanoseconds since 1970, like the next; zero means unknown.
    pub(super) time: u64,
    pub(super) observed_time: u64,
    pub(super) event_name: &'a str,
    pub(super) body: Option<AnyValue<'a>>,
    pub(super) attributes: Attributes<'a>,
    /// All of it, as it came.
    pub(super) raw: &'a [u8],
}

impl<'a> Record<'a> {
    pub(super) fn new(raw: &'a [u8]) -> Self {
        let mut record = Self { raw, ..Self::default() };
        for field in known(raw) {
            match (field.number, field.value) {
                (1, Value::Fixed64(time)) => record.time = time,
                (5, Value::Bytes(body)) => record.body = AnyValue::last(body).or(record.body),
                (6, Value::Bytes(attribute)) => record.attributes.push(attribute),
                (11, Value::Fixed64(time)) => record.observed_time = time,
                (12, Value::Bytes(name)) => record.event_name = text(name),
                _ => {}
            }
        }
        record
    }
}

/// A metric that is a sum.
#[derive(Clone, Copy)]
pub(super) struct Sum<'a> {
    /// The metric's name.
    pub(super) name: &'a str,
    /// Its points are running totals.
    pub(super) is_cumulative: bool,
    data: &'a [u8],
}

impl<'a> Sum<'a> {
    /// None of a metric that is no sum. One that comes with several kinds of data is what the last of it is; its data in
    /// pieces, to be merged, is what no encoder writes.
    pub(super) fn of_metric(metric: &'a [u8]) -> Option<Self> {
        let (mut name, mut sum) = ("", None);
        for field in known(metric) {
            match (field.number, field.value) {
                (1, Value::Bytes(bytes)) => name = text(bytes),
                (7, Value::Bytes(data)) => sum = Some(data),
                (5 | 9 | 10 | 11, _) => sum = None,
                _ => {}
            }
        }
        let data = sum?;
        let mut temporality = 0;
        for field in known(data) {
            if let (2, Value::Varint(number)) = (field.number, field.value) {
                temporality = number;
            }
        }
        Some(Self { name, is_cumulative: temporality == CUMULATIVE, data })
    }

    pub(super) fn points(self) -> impl Iterator<Item = Point<'a>> {
        below(self.data, POINTS).map(Point::new)
    }
}

/// A data point of a sum.
#[derive(Default)]
pub(super) struct Point<'a> {
    /// In nanoseconds since 1970, like the next; zero means unknown.
    pub(super) start_time: u64,
    pub(super) time: u64,
    pub(super) number: Option<f64>,
    pub(super) attributes: Attributes<'a>,
}

impl<'a> Point<'a> {
    fn new(raw: &'a [u8]) -> Self {
        let mut point = Self::default();
        for field in known(raw) {
            match (field.number, field.value) {
                (2, Value::Fixed64(time)) => point.start_time = time,
                (3, Value::Fixed64(time)) => point.time = time,
                (4, Value::Fixed64(bits)) => point.number = Some(f64::from_bits(bits)),
                (6, Value::Fixed64(number)) => point.number = Some(to_double(number.cast_signed())),
                (7, Value::Bytes(attribute)) => point.attributes.push(attribute),
                _ => {}
            }
        }
        point
    }
}
