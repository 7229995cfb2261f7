//! The table: OTLP's messages as opentelemetry-proto 1.11 defines them, in the order of its files.
//!
//! Each message is a module with the message's table, and the numbers of its fields by name.

use super::{Field, Kind, Message, Names, Rule, lowercase};
use crate::otlp::Signal;

use Kind::{Bool, Bytes, Double, Enum, Fixed32, Fixed64, Id, Int32, Int64, Sfixed64, Sint32, String, Uint32, Uint64};

/// The length of a trace id, in bytes.
const TRACE: usize = 16;
/// The length of a span id, in bytes.
const SPAN: usize = 8;

/// The `Export…ServiceRequest` of a signal.
pub(in crate::otlp) fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &export_traces::TABLE,
        Signal::Metrics => &export_metrics::TABLE,
        Signal::Logs => &export_logs::TABLE,
    }
}

const fn message(of: &'static Message) -> Kind {
    Kind::Message(of)
}

/// A line is `number NAME: rule kind`. JSON uses the same order.
macro_rules! messages {
    ($($message:ident { $($number:literal $name:ident: $rule:ident $kind:expr,)* })*) => {$(
        #[doc = concat!("The numbers of the fields of `", stringify!($message), "`.")]
        pub mod $message {
            use super::*;

            $(
                #[doc = concat!("The number of `", stringify!($name), "`.")]
                pub const $name: u32 = $number;
            )*

            /// The message.
            pub(in crate::otlp) static TABLE: Message = Message {
                fields: &[$(Field {
                    number: $name,
                    name: {
                        const UPPER: &str = stringify!($name);
                        const LOWER: [u8; UPPER.len()] = lowercase(UPPER);
                        match str::from_utf8(&LOWER) {
                            Ok(name) => name,
                            Err(_) => UPPER,
                        }
                    },
                    kind: $kind,
                    rule: Rule::$rule,
                }),*],
            };
        }
    )*};
}

messages! {
    export_traces {
        1 RESOURCE_SPANS: Repeated message(&resource_spans::TABLE),
    }
    export_metrics {
        1 RESOURCE_METRICS: Repeated message(&resource_metrics::TABLE),
    }
    export_logs {
        1 RESOURCE_LOGS: Repeated message(&resource_logs::TABLE),
    }

    // common.proto
    any_value {
        1 STRING_VALUE: OneOf String,
        2 BOOL_VALUE: OneOf Bool,
        3 INT_VALUE: OneOf Int64(DOUBLE_VALUE),
        4 DOUBLE_VALUE: OneOf Double,
        5 ARRAY_VALUE: OneOf message(&array_value::TABLE),
        6 KVLIST_VALUE: OneOf message(&key_value_list::TABLE),
        7 BYTES_VALUE: OneOf Bytes,
        8 STRING_VALUE_STRINDEX: OneOf Int32,
    }
    array_value {
        1 VALUES: Repeated message(&any_value::TABLE),
    }
    key_value_list {
        1 VALUES: Repeated message(&key_value::TABLE),
    }
    key_value {
        1 KEY: Plain String,
        2 VALUE: Plain message(&any_value::TABLE),
        3 KEY_STRINDEX: Plain Int32,
    }
    scope {
        1 NAME: Plain String,
        2 VERSION: Plain String,
        3 ATTRIBUTES: Repeated message(&key_value::TABLE),
        4 DROPPED_ATTRIBUTES_COUNT: Plain Uint32,
    }
    entity_ref {
        1 SCHEMA_URL: Plain String,
        2 TYPE: Plain String,
        3 ID_KEYS: Repeated String,
        4 DESCRIPTION_KEYS: Repeated String,
    }

    // resource.proto
    resource {
        1 ATTRIBUTES: Repeated message(&key_value::TABLE),
        2 DROPPED_ATTRIBUTES_COUNT: Plain Uint32,
        3 ENTITY_REFS: Repeated message(&entity_ref::TABLE),
    }

    // trace.proto
    resource_spans {
        1 RESOURCE: Plain message(&resource::TABLE),
        2 SCOPE_SPANS: Repeated message(&scope_spans::TABLE),
        3 SCHEMA_URL: Plain String,
    }
    scope_spans {
        1 SCOPE: Plain message(&scope::TABLE),
        2 SPANS: Repeated message(&span::TABLE),
        3 SCHEMA_URL: Plain String,
    }
    span {
        1 TRACE_ID: Plain Id(TRACE),
        2 SPAN_ID: Plain Id(SPAN),
        3 TRACE_STATE: Plain String,
        4 PARENT_SPAN_ID: Plain Id(SPAN),
        16 FLAGS: Plain Fixed32,
        5 NAME: Plain String,
        6 KIND: Plain Enum(SPAN_KIND),
        7 START_TIME_UNIX_NANO: Plain Fixed64,
        8 END_TIME_UNIX_NANO: Plain Fixed64,
        9 ATTRIBUTES: Repeated message(&key_value::TABLE),
        10 DROPPED_ATTRIBUTES_COUNT: Plain Uint32,
        11 EVENTS: Repeated message(&span_event::TABLE),
        12 DROPPED_EVENTS_COUNT: Plain Uint32,
        13 LINKS: Repeated message(&link::TABLE),
        14 DROPPED_LINKS_COUNT: Plain Uint32,
        15 STATUS: Plain message(&status::TABLE),
    }
    span_event {
        1 TIME_UNIX_NANO: Plain Fixed64,
        2 NAME: Plain String,
        3 ATTRIBUTES: Repeated message(&key_value::TABLE),
        4 DROPPED_ATTRIBUTES_COUNT: Plain Uint32,
    }
    link {
        1 TRACE_ID: Plain Id(TRACE),
        2 SPAN_ID: Plain Id(SPAN),
        3 TRACE_STATE: Plain String,
        4 ATTRIBUTES: Repeated message(&key_value::TABLE),
        5 DROPPED_ATTRIBUTES_COUNT: Plain Uint32,
        6 FLAGS: Plain Fixed32,
    }
    status {
        2 MESSAGE: Plain String,
        3 CODE: Plain Enum(STATUS_CODE),
    }

    // metrics.proto
    resource_metrics {
        1 RESOURCE: Plain message(&resource::TABLE),
        2 SCOPE_METRICS: Repeated message(&scope_metrics::TABLE),
        3 SCHEMA_URL: Plain String,
    }
    scope_metrics {
        1 SCOPE: Plain message(&scope::TABLE),
        2 METRICS: Repeated message(&metric::TABLE),
        3 SCHEMA_URL: Plain String,
    }
    metric {
        1 NAME: Plain String,
        2 DESCRIPTION: Plain String,
        3 UNIT: Plain String,
        5 GAUGE: OneOf message(&gauge::TABLE),
        7 SUM: OneOf message(&sum::TABLE),
        9 HISTOGRAM: OneOf message(&histogram::TABLE),
        10 EXPONENTIAL_HISTOGRAM: OneOf message(&exponential_histogram::TABLE),
        11 SUMMARY: OneOf message(&summary::TABLE),
        12 METADATA: Repeated message(&key_value::TABLE),
    }
    gauge {
        1 DATA_POINTS: Repeated message(&number_data_point::TABLE),
    }
    sum {
        1 DATA_POINTS: Repeated message(&number_data_point::TABLE),
        2 AGGREGATION_TEMPORALITY: Plain Enum(TEMPORALITY),
        3 IS_MONOTONIC: Plain Bool,
    }
    histogram {
        1 DATA_POINTS: Repeated message(&histogram_data_point::TABLE),
        2 AGGREGATION_TEMPORALITY: Plain Enum(TEMPORALITY),
    }
    exponential_histogram {
        1 DATA_POINTS: Repeated message(&exponential_histogram_data_point::TABLE),
        2 AGGREGATION_TEMPORALITY: Plain Enum(TEMPORALITY),
    }
    summary {
        1 DATA_POINTS: Repeated message(&summary_data_point::TABLE),
    }
    number_data_point {
        7 ATTRIBUTES: Repeated message(&key_value::TABLE),
        2 START_TIME_UNIX_NANO: Plain Fixed64,
        3 TIME_UNIX_NANO: Plain Fixed64,
        4 AS_DOUBLE: OneOf Double,
        6 AS_INT: OneOf Sfixed64(AS_DOUBLE),
        5 EXEMPLARS: Repeated message(&exemplar::TABLE),
        8 FLAGS: Plain Uint32,
    }
    histogram_data_point {
        9 ATTRIBUTES: Repeated message(&key_value::TABLE),
        2 START_TIME_UNIX_NANO: Plain Fixed64,
        3 TIME_UNIX_NANO: Plain Fixed64,
        4 COUNT: Plain Fixed64,
        5 SUM: Optional Double,
        6 BUCKET_COUNTS: Repeated Fixed64,
        7 EXPLICIT_BOUNDS: Repeated Double,
        8 EXEMPLARS: Repeated message(&exemplar::TABLE),
        10 FLAGS: Plain Uint32,
        11 MIN: Optional Double,
        12 MAX: Optional Double,
    }
    exponential_histogram_data_point {
        1 ATTRIBUTES: Repeated message(&key_value::TABLE),
        2 START_TIME_UNIX_NANO: Plain Fixed64,
        3 TIME_UNIX_NANO: Plain Fixed64,
        4 COUNT: Plain Fixed64,
        5 SUM: Optional Double,
        6 SCALE: Plain Sint32,
        7 ZERO_COUNT: Plain Fixed64,
        8 POSITIVE: Plain message(&buckets::TABLE),
        9 NEGATIVE: Plain message(&buckets::TABLE),
        10 FLAGS: Plain Uint32,
        11 EXEMPLARS: Repeated message(&exemplar::TABLE),
        12 MIN: Optional Double,
        13 MAX: Optional Double,
        14 ZERO_THRESHOLD: Plain Double,
    }
    buckets {
        1 OFFSET: Plain Sint32,
        2 BUCKET_COUNTS: Repeated Uint64,
    }
    summary_data_point {
        7 ATTRIBUTES: Repeated message(&key_value::TABLE),
        2 START_TIME_UNIX_NANO: Plain Fixed64,
        3 TIME_UNIX_NANO: Plain Fixed64,
        4 COUNT: Plain Fixed64,
        5 SUM: Plain Double,
        6 QUANTILE_VALUES: Repeated message(&value_at_quantile::TABLE),
        8 FLAGS: Plain Uint32,
    }
    value_at_quantile {
        1 QUANTILE: Plain Double,
        2 VALUE: Plain Double,
    }
    exemplar {
        7 FILTERED_ATTRIBUTES: Repeated message(&key_value::TABLE),
        2 TIME_UNIX_NANO: Plain Fixed64,
        3 AS_DOUBLE: OneOf Double,
        6 AS_INT: OneOf Sfixed64(AS_DOUBLE),
        4 SPAN_ID: Plain Id(SPAN),
        5 TRACE_ID: Plain Id(TRACE),
    }

    // logs.proto
    resource_logs {
        1 RESOURCE: Plain message(&resource::TABLE),
        2 SCOPE_LOGS: Repeated message(&scope_logs::TABLE),
        3 SCHEMA_URL: Plain String,
    }
    scope_logs {
        1 SCOPE: Plain message(&scope::TABLE),
        2 LOG_RECORDS: Repeated message(&log_record::TABLE),
        3 SCHEMA_URL: Plain String,
    }
    log_record {
        1 TIME_UNIX_NANO: Plain Fixed64,
        11 OBSERVED_TIME_UNIX_NANO: Plain Fixed64,
        2 SEVERITY_NUMBER: Plain Enum(SEVERITY),
        3 SEVERITY_TEXT: Plain String,
        5 BODY: Plain message(&any_value::TABLE),
        6 ATTRIBUTES: Repeated message(&key_value::TABLE),
        7 DROPPED_ATTRIBUTES_COUNT: Plain Uint32,
        8 FLAGS: Plain Fixed32,
        9 TRACE_ID: Plain Id(TRACE),
        10 SPAN_ID: Plain Id(SPAN),
        12 EVENT_NAME: Plain String,
    }
}

const SPAN_KIND: Names =
    Names { prefix: "SPAN_KIND_", names: &["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"] };
const STATUS_CODE: Names = Names { prefix: "STATUS_CODE_", names: &["UNSET", "OK", "ERROR"] };
const TEMPORALITY: Names = Names { prefix: "AGGREGATION_TEMPORALITY_", names: &["UNSPECIFIED", "DELTA", "CUMULATIVE"] };
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
