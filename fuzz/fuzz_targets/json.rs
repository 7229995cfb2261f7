//! Arbitrary bytes as JSON: they are rejected with a one-line error, or become protobuf whose JSON means the same.
#![no_main]

use ccrun::otlp::{Signal, json_to_protobuf, protobuf_to_json};
use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

const LIMIT: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, json)) = bytes.split_first() else { return };
    match first % 3 {
        0 => check::<ExportTraceServiceRequest>(Signal::Traces, json),
        1 => check::<ExportMetricsServiceRequest>(Signal::Metrics, json),
        _ => check::<ExportLogsServiceRequest>(Signal::Logs, json),
    }
});

fn check<M: Message + Default>(signal: Signal, json: &[u8]) {
    let protobuf = match json_to_protobuf(signal, json, LIMIT) {
        Ok(protobuf) => protobuf,
        Err(error) => return assert_eq!(error.to_string().lines().count(), 1),
    };
    // Compared as bytes, because NaN does not equal itself.
    let meant = M::decode(&*protobuf).unwrap().encode_to_vec();
    let written = protobuf_to_json(signal, &protobuf, 64 * LIMIT).unwrap();
    let read = json_to_protobuf(signal, &written, LIMIT).unwrap();
    assert_eq!(M::decode(&*read).unwrap().encode_to_vec(), meant);
}
