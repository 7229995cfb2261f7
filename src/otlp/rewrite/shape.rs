//! The places of attributes in a request.

use crate::otlp::Signal;
use crate::otlp::schema::{
    every, exemplar, exponential_histogram_data_point, histogram_data_point, link, log_record, metric,
    number_data_point, scope, span, span_event, summary_data_point,
};

/// A kind of message: the field with its attributes, and the fields with further messages that have attributes.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    /// The field with its attributes.
    pub(super) attributes: Option<u32>,
    /// Fields with messages, and their kinds.
    pub(super) below: &'static [(u32, &'static Shape)],
}

/// The kind of a message, as far as it determines its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A log record: Claude Code's events.
    Event,
    /// A span.
    Span,
    /// An event during a span.
    SpanEvent,
    /// The status of a span.
    Status,
    /// Anything else.
    Other,
}

/// The messages in a signal's scopes.
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

pub(super) static SCOPE_SHAPE: Shape = other(Some(scope::ATTRIBUTES), &[]);

static LOG_RECORD: Shape = Shape { kind: Kind::Event, attributes: Some(log_record::ATTRIBUTES), below: &[] };

static SPAN: Shape = Shape {
    kind: Kind::Span,
    attributes: Some(span::ATTRIBUTES),
    below: &[(span::EVENTS, &SPAN_EVENT), (span::LINKS, &LINK), (span::STATUS, &STATUS)],
};
static SPAN_EVENT: Shape = Shape { kind: Kind::SpanEvent, attributes: Some(span_event::ATTRIBUTES), below: &[] };
static LINK: Shape = other(Some(link::ATTRIBUTES), &[]);
static STATUS: Shape = Shape { kind: Kind::Status, attributes: None, below: &[] };

/// Its own attributes are its `metadata`.
static METRIC: Shape = other(
    Some(metric::METADATA),
    &[
        (metric::GAUGE, &NUMBERS),
        (metric::SUM, &NUMBERS),
        (metric::HISTOGRAM, &HISTOGRAM),
        (metric::EXPONENTIAL_HISTOGRAM, &EXPONENTIAL),
        (metric::SUMMARY, &SUMMARY),
    ],
);
/// Gauges and sums.
static NUMBERS: Shape = other(None, &[(every::POINTS, &NUMBER_POINT)]);
static NUMBER_POINT: Shape = other(Some(number_data_point::ATTRIBUTES), &[(number_data_point::EXEMPLARS, &EXEMPLAR)]);
static HISTOGRAM: Shape = other(None, &[(every::POINTS, &HISTOGRAM_POINT)]);
static HISTOGRAM_POINT: Shape =
    other(Some(histogram_data_point::ATTRIBUTES), &[(histogram_data_point::EXEMPLARS, &EXEMPLAR)]);
static EXPONENTIAL: Shape = other(None, &[(every::POINTS, &EXPONENTIAL_POINT)]);
static EXPONENTIAL_POINT: Shape = other(
    Some(exponential_histogram_data_point::ATTRIBUTES),
    &[(exponential_histogram_data_point::EXEMPLARS, &EXEMPLAR)],
);
static SUMMARY: Shape = other(None, &[(every::POINTS, &SUMMARY_POINT)]);
static SUMMARY_POINT: Shape = other(Some(summary_data_point::ATTRIBUTES), &[]);
/// Its attributes are `filtered_attributes`: those that its point lacks.
static EXEMPLAR: Shape = other(Some(exemplar::FILTERED_ATTRIBUTES), &[]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::schema::{self, Message, any_value, key_value};

    fn below(message: &'static Message) -> impl Iterator<Item = (u32, &'static Message)> {
        message.fields.iter().filter_map(|field| match field.kind {
            schema::Kind::Message(of) => Some((field.number, of)),
            _ => None,
        })
    }

    /// Attributes within a value are not attributes of a message.
    fn has_attributes(message: &'static Message) -> bool {
        !std::ptr::eq(message, &raw const any_value::TABLE)
            && (std::ptr::eq(message, &raw const key_value::TABLE) || below(message).any(|(_, of)| has_attributes(of)))
    }

    fn check(message: &'static Message, shape: &Shape) {
        for (number, of) in below(message).filter(|(_, of)| has_attributes(of)) {
            if std::ptr::eq(of, &raw const key_value::TABLE) {
                assert_eq!(shape.attributes, Some(number));
            } else {
                let found = shape.below.iter().find(|(known, _)| *known == number);
                check(of, found.unwrap_or_else(|| panic!("field {number} of {shape:?} is missing")).1);
            }
        }
    }

    #[test]
    fn every_attribute_in_the_schema_has_a_shape() {
        check(&schema::span::TABLE, record(Signal::Traces));
        check(&schema::metric::TABLE, record(Signal::Metrics));
        check(&schema::log_record::TABLE, record(Signal::Logs));
        check(&schema::scope::TABLE, &SCOPE_SHAPE);
    }
}
