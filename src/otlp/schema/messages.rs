//! The table: OTLP's messages as opentelemetry-proto 1.11 defines them, in the order of its files.

use super::{Field, Kind, Message, Names, Rule};
use crate::otlp::Signal;

use Kind::{Bool, Bytes, Double, Enum, Fixed32, Fixed64, Id, Int32, Int64, Sfixed64, Sint32, String, Uint32, Uint64};
use Rule::{OneOf, Optional, Plain, Repeated};

/// Bytes of a trace's id.
const TRACE: usize = 16;
/// Bytes of a span's id.
const SPAN: usize = 8;

/// The `Export…ServiceRequest` of a signal.
pub(in crate::otlp) fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &EXPORT_TRACES,
        Signal::Metrics => &EXPORT_METRICS,
        Signal::Logs => &EXPORT_LOGS,
    }
}

const fn field(number: u32, name: &'static str, kind: Kind, rule: Rule) -> Field {
    Field { number, name, kind, rule }
}

const fn message(number: u32, name: &'static str, of: &'static Message) -> Field {
    field(number, name, Kind::Message(of), Plain)
}

const fn list(number: u32, name: &'static str, of: &'static Message) -> Field {
    field(number, name, Kind::Message(of), Repeated)
}

const fn one_of(number: u32, name: &'static str, of: &'static Message) -> Field {
    field(number, name, Kind::Message(of), OneOf)
}

static EXPORT_TRACES: Message = Message { fields: &[list(1, "resource_spans", &RESOURCE_SPANS)] };
static EXPORT_METRICS: Message = Message { fields: &[list(1, "resource_metrics", &RESOURCE_METRICS)] };
static EXPORT_LOGS: Message = Message { fields: &[list(1, "resource_logs", &RESOURCE_LOGS)] };

// common.proto

static ANY_VALUE: Message = Message {
    fields: &[
        field(1, "string_value", String, OneOf),
        field(2, "bool_value", Bool, OneOf),
        field(3, "int_value", Int64(4), OneOf),
        field(4, "double_value", Double, OneOf),
        one_of(5, "array_value", &ARRAY_VALUE),
        one_of(6, "kvlist_value", &KEY_VALUE_LIST),
        field(7, "bytes_value", Bytes, OneOf),
        field(8, "string_value_strindex", Int32, OneOf),
    ],
};
static ARRAY_VALUE: Message = Message { fields: &[list(1, "values", &ANY_VALUE)] };
static KEY_VALUE_LIST: Message = Message { fields: &[list(1, "values", &KEY_VALUE)] };
static KEY_VALUE: Message = Message {
    fields: &[field(1, "key", String, Plain), message(2, "value", &ANY_VALUE), field(3, "key_strindex", Int32, Plain)],
};
static SCOPE: Message = Message {
    fields: &[
        field(1, "name", String, Plain),
        field(2, "version", String, Plain),
        list(3, "attributes", &KEY_VALUE),
        field(4, "dropped_attributes_count", Uint32, Plain),
    ],
};
static ENTITY_REF: Message = Message {
    fields: &[
        field(1, "schema_url", String, Plain),
        field(2, "type", String, Plain),
        field(3, "id_keys", String, Repeated),
        field(4, "description_keys", String, Repeated),
    ],
};

// resource.proto

static RESOURCE: Message = Message {
    fields: &[
        list(1, "attributes", &KEY_VALUE),
        field(2, "dropped_attributes_count", Uint32, Plain),
        list(3, "entity_refs", &ENTITY_REF),
    ],
};

// trace.proto

static RESOURCE_SPANS: Message = Message {
    fields: &[
        message(1, "resource", &RESOURCE),
        list(2, "scope_spans", &SCOPE_SPANS),
        field(3, "schema_url", String, Plain),
    ],
};
static SCOPE_SPANS: Message = Message {
    fields: &[message(1, "scope", &SCOPE), list(2, "spans", &SPAN_MESSAGE), field(3, "schema_url", String, Plain)],
};
static SPAN_MESSAGE: Message = Message {
    fields: &[
        field(1, "trace_id", Id(TRACE), Plain),
        field(2, "span_id", Id(SPAN), Plain),
        field(3, "trace_state", String, Plain),
        field(4, "parent_span_id", Id(SPAN), Plain),
        field(16, "flags", Fixed32, Plain),
        field(5, "name", String, Plain),
        field(6, "kind", Enum(SPAN_KIND), Plain),
        field(7, "start_time_unix_nano", Fixed64, Plain),
        field(8, "end_time_unix_nano", Fixed64, Plain),
        list(9, "attributes", &KEY_VALUE),
        field(10, "dropped_attributes_count", Uint32, Plain),
        list(11, "events", &EVENT),
        field(12, "dropped_events_count", Uint32, Plain),
        list(13, "links", &LINK),
        field(14, "dropped_links_count", Uint32, Plain),
        message(15, "status", &STATUS),
    ],
};
const SPAN_KIND: Names =
    Names { prefix: "SPAN_KIND_", names: &["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"] };
static EVENT: Message = Message {
    fields: &[
        field(1, "time_unix_nano", Fixed64, Plain),
        field(2, "name", String, Plain),
        list(3, "attributes", &KEY_VALUE),
        field(4, "dropped_attributes_count", Uint32, Plain),
    ],
};
static LINK: Message = Message {
    fields: &[
        field(1, "trace_id", Id(TRACE), Plain),
        field(2, "span_id", Id(SPAN), Plain),
        field(3, "trace_state", String, Plain),
        list(4, "attributes", &KEY_VALUE),
        field(5, "dropped_attributes_count", Uint32, Plain),
        field(6, "flags", Fixed32, Plain),
    ],
};
static STATUS: Message =
    Message { fields: &[field(2, "message", String, Plain), field(3, "code", Enum(STATUS_CODE), Plain)] };
const STATUS_CODE: Names = Names { prefix: "STATUS_CODE_", names: &["UNSET", "OK", "ERROR"] };

// metrics.proto

static RESOURCE_METRICS: Message = Message {
    fields: &[
        message(1, "resource", &RESOURCE),
        list(2, "scope_metrics", &SCOPE_METRICS),
        field(3, "schema_url", String, Plain),
    ],
};
static SCOPE_METRICS: Message = Message {
    fields: &[message(1, "scope", &SCOPE), list(2, "metrics", &METRIC), field(3, "schema_url", String, Plain)],
};
static METRIC: Message = Message {
    fields: &[
        field(1, "name", String, Plain),
        field(2, "description", String, Plain),
        field(3, "unit", String, Plain),
        one_of(5, "gauge", &GAUGE),
        one_of(7, "sum", &SUM),
        one_of(9, "histogram", &HISTOGRAM),
        one_of(10, "exponential_histogram", &EXPONENTIAL_HISTOGRAM),
        one_of(11, "summary", &SUMMARY),
        list(12, "metadata", &KEY_VALUE),
    ],
};
static GAUGE: Message = Message { fields: &[list(1, "data_points", &NUMBER_DATA_POINT)] };
static SUM: Message = Message {
    fields: &[
        list(1, "data_points", &NUMBER_DATA_POINT),
        field(2, "aggregation_temporality", Enum(TEMPORALITY), Plain),
        field(3, "is_monotonic", Bool, Plain),
    ],
};
static HISTOGRAM: Message = Message {
    fields: &[
        list(1, "data_points", &HISTOGRAM_DATA_POINT),
        field(2, "aggregation_temporality", Enum(TEMPORALITY), Plain),
    ],
};
static EXPONENTIAL_HISTOGRAM: Message = Message {
    fields: &[
        list(1, "data_points", &EXPONENTIAL_HISTOGRAM_DATA_POINT),
        field(2, "aggregation_temporality", Enum(TEMPORALITY), Plain),
    ],
};
static SUMMARY: Message = Message { fields: &[list(1, "data_points", &SUMMARY_DATA_POINT)] };
const TEMPORALITY: Names = Names { prefix: "AGGREGATION_TEMPORALITY_", names: &["UNSPECIFIED", "DELTA", "CUMULATIVE"] };
static NUMBER_DATA_POINT: Message = Message {
    fields: &[
        list(7, "attributes", &KEY_VALUE),
        field(2, "start_time_unix_nano", Fixed64, Plain),
        field(3, "time_unix_nano", Fixed64, Plain),
        field(4, "as_double", Double, OneOf),
        field(6, "as_int", Sfixed64(4), OneOf),
        list(5, "exemplars", &EXEMPLAR),
        field(8, "flags", Uint32, Plain),
    ],
};
static HISTOGRAM_DATA_POINT: Message = Message {
    fields: &[
        list(9, "attributes", &KEY_VALUE),
        field(2, "start_time_unix_nano", Fixed64, Plain),
        field(3, "time_unix_nano", Fixed64, Plain),
        field(4, "count", Fixed64, Plain),
        field(5, "sum", Double, Optional),
        field(6, "bucket_counts", Fixed64, Repeated),
        field(7, "explicit_bounds", Double, Repeated),
        list(8, "exemplars", &EXEMPLAR),
        field(10, "flags", Uint32, Plain),
        field(11, "min", Double, Optional),
        field(12, "max", Double, Optional),
    ],
};
static EXPONENTIAL_HISTOGRAM_DATA_POINT: Message = Message {
    fields: &[
        list(1, "attributes", &KEY_VALUE),
        field(2, "start_time_unix_nano", Fixed64, Plain),
        field(3, "time_unix_nano", Fixed64, Plain),
        field(4, "count", Fixed64, Plain),
        field(5, "sum", Double, Optional),
        field(6, "scale", Sint32, Plain),
        field(7, "zero_count", Fixed64, Plain),
        message(8, "positive", &BUCKETS),
        message(9, "negative", &BUCKETS),
        field(10, "flags", Uint32, Plain),
        list(11, "exemplars", &EXEMPLAR),
        field(12, "min", Double, Optional),
        field(13, "max", Double, Optional),
        field(14, "zero_threshold", Double, Plain),
    ],
};
static BUCKETS: Message =
    Message { fields: &[field(1, "offset", Sint32, Plain), field(2, "bucket_counts", Uint64, Repeated)] };
static SUMMARY_DATA_POINT: Message = Message {
    fields: &[
        list(7, "attributes", &KEY_VALUE),
        field(2, "start_time_unix_nano", Fixed64, Plain),
        field(3, "time_unix_nano", Fixed64, Plain),
        field(4, "count", Fixed64, Plain),
        field(5, "sum", Double, Plain),
        list(6, "quantile_values", &VALUE_AT_QUANTILE),
        field(8, "flags", Uint32, Plain),
    ],
};
static VALUE_AT_QUANTILE: Message =
    Message { fields: &[field(1, "quantile", Double, Plain), field(2, "value", Double, Plain)] };
static EXEMPLAR: Message = Message {
    fields: &[
        list(7, "filtered_attributes", &KEY_VALUE),
        field(2, "time_unix_nano", Fixed64, Plain),
        field(3, "as_double", Double, OneOf),
        field(6, "as_int", Sfixed64(3), OneOf),
        field(4, "span_id", Id(SPAN), Plain),
        field(5, "trace_id", Id(TRACE), Plain),
    ],
};

// logs.proto

static RESOURCE_LOGS: Message = Message {
    fields: &[
        message(1, "resource", &RESOURCE),
        list(2, "scope_logs", &SCOPE_LOGS),
        field(3, "schema_url", String, Plain),
    ],
};
static SCOPE_LOGS: Message = Message {
    fields: &[message(1, "scope", &SCOPE), list(2, "log_records", &LOG_RECORD), field(3, "schema_url", String, Plain)],
};
static LOG_RECORD: Message = Message {
    fields: &[
        field(1, "time_unix_nano", Fixed64, Plain),
        field(11, "observed_time_unix_nano", Fixed64, Plain),
        field(2, "severity_number", Enum(SEVERITY), Plain),
        field(3, "severity_text", String, Plain),
        message(5, "body", &ANY_VALUE),
        list(6, "attributes", &KEY_VALUE),
        field(7, "dropped_attributes_count", Uint32, Plain),
        field(8, "flags", Fixed32, Plain),
        field(9, "trace_id", Id(TRACE), Plain),
        field(10, "span_id", Id(SPAN), Plain),
        field(12, "event_name", String, Plain),
    ],
};
const SEVERITY: Names = Names {
    prefix: "SEVERITY_NUMBER_",
    names: &[
        "UNSPECIFIED",
        "TRACE",
        "TRACE2",
        "TRACE3",
        "TRACE4",
        "DEBUG",
        "DEBUG2",
        "DEBUG3",
        "DEBUG4",
        "INFO",
        "INFO2",
        "INFO3",
        "INFO4",
        "WARN",
        "WARN2",
        "WARN3",
        "WARN4",
        "ERROR",
        "ERROR2",
        "ERROR3",
        "ERROR4",
        "FATAL",
        "FATAL2",
        "FATAL3",
        "FATAL4",
    ],
};
