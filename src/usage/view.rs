//! Views of the parts of a request that report usage, in its wire form. Nothing is copied, and other fields are
//! skipped.
//!
//! Requests are validated before. Anything unreadable is skipped, like unknown fields.

use std::rc::Rc;

use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;

use super::attributes::{AnyValue, Attributes, known, text, to_double};
use crate::otlp::Value;
use crate::otlp::schema::{every, log_record, metric, number_data_point, resource, scope, sum};

/// The prefix of Claude Code's scopes: `com.anthropic.claude_code` and `com.anthropic.claude_code.events`.
const CLAUDE_CODE: &[u8] = b"com.anthropic.claude_code";

/// The resource attribute of the test telemetry that `ccrun doctor` sends. It does not count as usage.
pub const STAND_IN: &str = "ccrun.doctor";

/// The log records or metrics of Claude Code's scopes, each with its resource's attributes.
pub(super) fn records(request: &[u8]) -> impl Iterator<Item = (&[u8], Rc<Attributes<'_>>)> {
    below(request, every::RESOURCE_ITEM).flat_map(|item| {
        let mut attributes = Attributes::default();
        for found in below(item, every::RESOURCE) {
            below(found, resource::ATTRIBUTES).for_each(|attribute| attributes.push(attribute));
        }
        let attributes = Rc::new(attributes);
        let is_use = !attributes.is_there(STAND_IN);
        below(item, every::SCOPE_ITEM)
            .filter(move |item| is_use && is_claude_code(item))
            .flat_map(|item| below(item, every::RECORD))
            .map(move |record| (record, Rc::clone(&attributes)))
    })
}

fn is_claude_code(scope_item: &[u8]) -> bool {
    let names = below(scope_item, every::SCOPE).flat_map(|scope| below(scope, scope::NAME));
    names.last().is_some_and(|name| name.starts_with(CLAUDE_CODE))
}

/// The strings or messages in a field of a message.
fn below(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    known(message).filter(move |field| field.number == number).filter_map(|field| field.bytes().ok())
}

/// A log record.
#[derive(Default)]
pub(super) struct Record<'a> {
    /// In nanoseconds since 1970, like the next field; zero means unknown.
    pub(super) time: u64,
    pub(super) observed_time: u64,
    pub(super) event_name: &'a str,
    pub(super) body: Option<AnyValue<'a>>,
    pub(super) attributes: Attributes<'a>,
    /// The whole record as received.
    pub(super) raw: &'a [u8],
}

impl<'a> Record<'a> {
    pub(super) fn new(raw: &'a [u8]) -> Self {
        let mut record = Self { raw, ..Self::default() };
        for field in known(raw) {
            match (field.number, field.value) {
                (log_record::TIME_UNIX_NANO, Value::Fixed64(time)) => record.time = time,
                (log_record::BODY, Value::Bytes(body)) => record.body = AnyValue::last(body).or(record.body),
                (log_record::ATTRIBUTES, Value::Bytes(attribute)) => record.attributes.push(attribute),
                (log_record::OBSERVED_TIME_UNIX_NANO, Value::Fixed64(time)) => record.observed_time = time,
                (log_record::EVENT_NAME, Value::Bytes(name)) => record.event_name = text(name),
                _ => {}
            }
        }
        record
    }
}

/// A metric with a sum.
#[derive(Clone, Copy)]
pub(super) struct Sum<'a> {
    /// The metric's name.
    pub(super) name: &'a str,
    /// Whether its points are running totals.
    pub(super) is_cumulative: bool,
    data: &'a [u8],
}

impl<'a> Sum<'a> {
    /// `None` if the metric is not a sum. If it has several kinds of data, the last one counts. No encoder writes data
    /// in pieces that must be merged.
    pub(super) fn of_metric(metric: &'a [u8]) -> Option<Self> {
        let (mut name, mut sum) = ("", None);
        for field in known(metric) {
            match (field.number, field.value) {
                (metric::NAME, Value::Bytes(bytes)) => name = text(bytes),
                (metric::SUM, Value::Bytes(data)) => sum = Some(data),
                (other, _) if every::DATA.contains(&other) => sum = None,
                _ => {}
            }
        }
        let data = sum?;
        let mut temporality = 0;
        for field in known(data) {
            if let (sum::AGGREGATION_TEMPORALITY, Value::Varint(number)) = (field.number, field.value) {
                temporality = number;
            }
        }
        Some(Self { name, is_cumulative: temporality == AggregationTemporality::Cumulative as u64, data })
    }

    pub(super) fn points(self) -> impl Iterator<Item = Point<'a>> {
        below(self.data, sum::DATA_POINTS).map(Point::new)
    }
}

/// A data point of a sum.
#[derive(Default)]
pub(super) struct Point<'a> {
    /// In nanoseconds since 1970, like the next field; zero means unknown.
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
                (number_data_point::START_TIME_UNIX_NANO, Value::Fixed64(time)) => point.start_time = time,
                (number_data_point::TIME_UNIX_NANO, Value::Fixed64(time)) => point.time = time,
                (number_data_point::AS_DOUBLE, Value::Fixed64(bits)) => point.number = Some(f64::from_bits(bits)),
                (number_data_point::AS_INT, Value::Fixed64(number)) => {
                    point.number = Some(to_double(number.cast_signed()));
                }
                (number_data_point::ATTRIBUTES, Value::Bytes(attribute)) => point.attributes.push(attribute),
                _ => {}
            }
        }
        point
    }
}
