//! Tests: a table of cases with everything that senders write, rejected input with its position, and properties.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::Status;
use prost::Message;

use super::*;
use crate::otlp::Signal;

mod properties;
mod refusals;

const LIMIT: usize = 1 << 20;

fn read(signal: Signal, json: impl AsRef<[u8]>) -> Result<Vec<u8>, JsonError> {
    json_to_protobuf(signal, json.as_ref(), LIMIT)
}

fn write(signal: Signal, message: &impl Message) -> String {
    String::from_utf8(protobuf_to_json(signal, &message.encode_to_vec(), LIMIT).unwrap()).unwrap()
}

/// The only log record of a request in JSON with these fields.
fn record(fields: &str) -> LogRecord {
    let json = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{fields}}}]}}]}}]}}"#);
    let request = ExportLogsServiceRequest::decode(&*read(Signal::Logs, json).unwrap()).unwrap();
    request.resource_logs[0].scope_logs[0].log_records[0].clone()
}

fn logs(record: LogRecord) -> ExportLogsServiceRequest {
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
}

fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn text(text: &str) -> AnyValue {
    any(Value::StringValue(text.to_owned()))
}

fn array(values: Vec<AnyValue>) -> AnyValue {
    any(Value::ArrayValue(ArrayValue { values }))
}

#[test]
fn values_as_senders_write_them() {
    let pair = KeyValue { key: "k".to_owned(), value: Some(any(Value::BoolValue(false))), ..KeyValue::default() };
    let cases = [
        ("{}", AnyValue { value: None }),
        (r#"{"stringValue":null}"#, AnyValue { value: None }),
        (r#"{"stringValue":""}"#, text("")),
        (r#"{"stringValue":"größer \u00fc \ud83d\ude00 \n"}"#, text("größer ü 😀 \n")),
        // JavaScript may cut a character in half.
        (r#"{"stringValue":"cut \ud83d"}"#, text("cut \u{fffd}")),
        (r#"{"stringValue":"\ude00\ud83d.\ud83d\ude00"}"#, text("\u{fffd}\u{fffd}.😀")),
        (r#"{"boolValue":false}"#, any(Value::BoolValue(false))),
        (r#"{"intValue":0}"#, any(Value::IntValue(0))),
        (r#"{"intValue":"-5"}"#, any(Value::IntValue(-5))),
        (r#"{"intValue":-5}"#, any(Value::IntValue(-5))),
        (r#"{"intValue":5.0}"#, any(Value::IntValue(5))),
        (r#"{"intValue":1e3}"#, any(Value::IntValue(1000))),
        (r#"{"intValue":"1e3"}"#, any(Value::IntValue(1000))),
        (r#"{"intValue":9223372036854775807}"#, any(Value::IntValue(i64::MAX))),
        (r#"{"intValue":"-9223372036854775808"}"#, any(Value::IntValue(i64::MIN))),
        // JavaScript's exporters call this an integer.
        (r#"{"intValue":1e+300}"#, any(Value::DoubleValue(1e300))),
        (r#"{"intValue":18446744073709551615}"#, any(Value::DoubleValue(18_446_744_073_709_551_615.0))),
        (r#"{"doubleValue":5}"#, any(Value::DoubleValue(5.0))),
        (r#"{"doubleValue":"0.1"}"#, any(Value::DoubleValue(0.1))),
        (r#"{"doubleValue":-0.0}"#, any(Value::DoubleValue(-0.0))),
        // Readers that are fast rather than exact are off by one unit in the last place.
        (
            r#"{"doubleValue":0.3333333333333333148296162562473909929394721984863281}"#,
            any(Value::DoubleValue(1.0 / 3.0)),
        ),
        (r#"{"doubleValue":"Infinity"}"#, any(Value::DoubleValue(f64::INFINITY))),
        (r#"{"doubleValue":"-Infinity"}"#, any(Value::DoubleValue(f64::NEG_INFINITY))),
        (r#"{"arrayValue":{}}"#, array(Vec::new())),
        (r#"{"arrayValue":{"values":null}}"#, array(Vec::new())),
        (r#"{"arrayValue":{"values":[]}}"#, array(Vec::new())),
        (
            r#"{"arrayValue":{"values":[{"stringValue":"a"},{"intValue":"1"},{},null,{"arrayValue":{}}]}}"#,
            array(vec![
                text("a"),
                any(Value::IntValue(1)),
                AnyValue::default(),
                AnyValue::default(),
                array(Vec::new()),
            ]),
        ),
        (r#"{"kvlistValue":{}}"#, any(Value::KvlistValue(KeyValueList::default()))),
        (
            r#"{"kvlistValue":{"values":[{"key":"k","value":{"boolValue":false}}]}}"#,
            any(Value::KvlistValue(KeyValueList { values: vec![pair] })),
        ),
        (r#"{"bytesValue":""}"#, any(Value::BytesValue(Vec::new()))),
        (r#"{"bytesValue":"+/8="}"#, any(Value::BytesValue(vec![0xfb, 0xff]))),
        (r#"{"bytesValue":"+/8"}"#, any(Value::BytesValue(vec![0xfb, 0xff]))),
        (r#"{"bytesValue":"-_8="}"#, any(Value::BytesValue(vec![0xfb, 0xff]))),
        (r#"{"bytesValue":"-_8"}"#, any(Value::BytesValue(vec![0xfb, 0xff]))),
        (r#"{"string_value":"a"}"#, text("a")),
        (r#"{"stringValue":"a","intValue":null,"arrayValue":null}"#, text("a")),
        (r#"{"stringValue":"a","unknown":{"deep":[1,{"x":1e999}]},"":null}"#, text("a")),
    ];
    for (json, expected) in cases {
        assert_eq!(record(&format!(r#""body":{json}"#)).body, Some(expected), "{json}");
    }
    let Some(Value::DoubleValue(number)) = record(r#""body":{"doubleValue":"NaN"}"#).body.unwrap().value else {
        panic!("no double")
    };
    assert!(number.is_nan());
}

#[test]
fn fields_as_senders_write_them() {
    let nothing = LogRecord::default();
    let (trace, span) = ((0x10..0x20).collect::<Vec<u8>>(), vec![0xab, 0xcd, 0xef, 1, 2, 3, 4, 5]);
    let cases = [
        (
            r#""timeUnixNano":"1544712660300000001""#,
            LogRecord { time_unix_nano: 1_544_712_660_300_000_001, ..nothing.clone() },
        ),
        (
            r#""timeUnixNano":1544712660300000001"#,
            LogRecord { time_unix_nano: 1_544_712_660_300_000_001, ..nothing.clone() },
        ),
        (r#""timeUnixNano":18446744073709551615"#, LogRecord { time_unix_nano: u64::MAX, ..nothing.clone() }),
        (r#""time_unix_nano":1.5447e18"#, LogRecord { time_unix_nano: 1_544_700_000_000_000_000, ..nothing.clone() }),
        (r#""severityNumber":9"#, LogRecord { severity_number: 9, ..nothing.clone() }),
        (r#""severityNumber":"9""#, LogRecord { severity_number: 9, ..nothing.clone() }),
        (r#""severityNumber":"SEVERITY_NUMBER_FATAL4""#, LogRecord { severity_number: 24, ..nothing.clone() }),
        // A value that is unknown in this version of OTLP.
        (r#""severityNumber":-99"#, LogRecord { severity_number: -99, ..nothing.clone() }),
        (r#""flags":4294967295"#, LogRecord { flags: u32::MAX, ..nothing.clone() }),
        (r#""traceId":"101112131415161718191A1b1C1d1E1f""#, LogRecord { trace_id: trace, ..nothing.clone() }),
        (r#""spanId":"ABcdEf0102030405""#, LogRecord { span_id: span, ..nothing.clone() }),
        (r#""traceId":"","spanId":null"#, nothing.clone()),
        (r#""attributes":null,"body":null,"timeUnixNano":null,"severityText":null"#, nothing.clone()),
        (r#""attributes":[],"droppedAttributesCount":0"#, nothing.clone()),
        (r#""attributes":[{}]"#, LogRecord { attributes: vec![KeyValue::default()], ..nothing.clone() }),
        (r#""attributes":[null]"#, LogRecord { attributes: vec![KeyValue::default()], ..nothing }),
    ];
    for (json, expected) in cases {
        assert_eq!(record(json), expected, "{json}");
    }
}

#[test]
fn an_empty_request_has_no_bytes() {
    for signal in Signal::ALL {
        for json in ["", " \n", "{}", "{ }\n", r#"{"resourceLogs":null,"resourceSpans":[],"resourceMetrics":[]}"#] {
            assert_eq!(read(signal, json), Ok(Vec::new()), "{json}");
        }
    }
}

#[test]
fn output_follows_the_specification() {
    let attribute =
        KeyValue { key: "a\"b".to_owned(), value: Some(array(vec![AnyValue::default()])), ..KeyValue::default() };
    let record = LogRecord {
        time_unix_nano: 1_544_712_660_300_000_001,
        severity_number: 9,
        body: Some(any(Value::BytesValue(vec![0xfb, 0xff]))),
        attributes: vec![attribute],
        trace_id: (0xa0..0xb0).collect(),
        ..LogRecord::default()
    };
    let expected = concat!(
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1544712660300000001","severityNumber":9,"#,
        r#""body":{"bytesValue":"+/8="},"attributes":[{"key":"a\"b","value":{"arrayValue":{"values":[{}]}}}],"#,
        r#""traceId":"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"}]}]}]}"#
    );
    assert_eq!(write(Signal::Logs, &logs(record)), expected);
    let numbers = [
        (Value::DoubleValue(f64::NAN), r#"{"doubleValue":"NaN"}"#),
        (Value::DoubleValue(f64::NEG_INFINITY), r#"{"doubleValue":"-Infinity"}"#),
        (Value::DoubleValue(0.0), r#"{"doubleValue":0.0}"#),
        (Value::DoubleValue(0.1), r#"{"doubleValue":0.1}"#),
        (Value::IntValue(0), r#"{"intValue":"0"}"#),
        (Value::IntValue(i64::MIN), r#"{"intValue":"-9223372036854775808"}"#),
        (Value::BoolValue(false), r#"{"boolValue":false}"#),
        (Value::StringValue(String::new()), r#"{"stringValue":""}"#),
        (Value::ArrayValue(ArrayValue::default()), r#"{"arrayValue":{}}"#),
    ];
    for (value, expected) in numbers {
        let json = write(Signal::Logs, &logs(LogRecord { body: Some(any(value)), ..LogRecord::default() }));
        assert!(json.contains(&format!(r#""body":{expected}"#)), "{json}");
    }
}

/// Protobuf allows a message in pieces, unpacked numbers, and repeated fields.
#[test]
fn unusual_valid_wire_forms_are_converted() {
    use crate::otlp::put_message;
    let nested = |numbers: &[u32], inner: &[u8]| {
        numbers.iter().rev().fold(inner.to_vec(), |inner, number| {
            let mut outer = Vec::new();
            put_message(&mut outer, *number, &inner);
            outer
        })
    };
    // A body with a string, an array with one string, and a piece of that array with a second one: the whole array
    // counts.
    let text = |text: &str| nested(&[1], text.as_bytes());
    let body = [nested(&[5, 1], b"x"), nested(&[5, 5, 1], &text("a")), nested(&[5, 5, 1], &text("b"))].concat();
    let json = protobuf_to_json(Signal::Logs, &nested(&[1, 2, 2], &body), LIMIT).unwrap();
    let values = r#"{"body":{"arrayValue":{"values":[{"stringValue":"a"},{"stringValue":"b"}]}}}"#;
    assert!(String::from_utf8(json).unwrap().contains(values));
    // Buckets of an exponential histogram's point, packed and not; an unknown field between them.
    let buckets = [&[0x10, 1, 0x12, 2, 2, 3][..], &[0x7a, 1, b'?'], &[0x10, 4, 0x12, 0]].concat();
    let json = protobuf_to_json(Signal::Metrics, &nested(&[1, 2, 2, 10, 1, 8], &buckets), LIMIT).unwrap();
    assert!(String::from_utf8(json).unwrap().contains(r#""positive":{"bucketCounts":["1","2","3","4"]}"#));
    // A field with a wrong wire type is an error, as everywhere.
    let error = protobuf_to_json(Signal::Logs, &[0x08, 1], LIMIT).unwrap_err();
    assert_eq!(error, JsonError::Malformed(Malformed::Unexpected(1)));
}

#[test]
fn the_examples_of_other_implementations_read_the_same() {
    // The output of opentelemetry-js for a span with an event, a link and attributes of every kind.
    let json = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"js"}}],
        "droppedAttributesCount":0},"scopeSpans":[{"scope":{"name":"test","version":""},"spans":[{
        "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"span","kind":1,
        "startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000","attributes":[
        {"key":"int","value":{"intValue":5}},{"key":"double","value":{"doubleValue":0.5}},
        {"key":"list","value":{"arrayValue":{"values":[{"stringValue":"a"},{}]}}}],"droppedAttributesCount":0,
        "events":[{"attributes":[],"name":"event","timeUnixNano":"1544712660500000000","droppedAttributesCount":0}],
        "droppedEventsCount":0,"status":{"code":0},"links":[],"droppedLinksCount":0,"flags":257}]}]}]}"#;
    let bytes = read(Signal::Traces, json).unwrap();
    let request = ExportTraceServiceRequest::decode(&*bytes).unwrap();
    assert_eq!(request.encode_to_vec().len(), bytes.len(), "default values are not written");
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((span.name.as_str(), span.kind, span.flags, span.attributes.len()), ("span", 1, 257, 3));
    assert_eq!((span.events[0].name.as_str(), span.status.clone()), ("event", Some(Status::default())));
    let metrics = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[
        {"asDouble":"NaN","timeUnixNano":"1"},{"asInt":"5"},{"asInt":5}]}}]}]}]}"#;
    let request = ExportMetricsServiceRequest::decode(&*read(Signal::Metrics, metrics).unwrap()).unwrap();
    let text = format!("{:?}", request.resource_metrics[0].scope_metrics[0].metrics[0]);
    assert!(text.contains("AsDouble(NaN)") && text.matches("AsInt(5)").count() == 2, "{text}");
}
