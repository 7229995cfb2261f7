//! OpenTelemetry's JavaScript SDK under `ccrun`, configured by the environment alone. It has its own variants of JSON
//! and gRPC.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::support::backend::{Backend, Export, Received};
use crate::support::sandbox::{Sandbox, text};

/// The number of records of each signal that the program emits.
const RECORDS: usize = 1500;

/// Emits the records in several batches through the given exporters, with attribute values of every type, and exits.
const EMIT: &str = r#"
const [encoding, count] = process.argv.slice(1);
const exporter = (signal, name) => new (require(`@opentelemetry/exporter-${signal}-otlp-${encoding}`)[name])();
const { TracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace');
const { LoggerProvider, BatchLogRecordProcessor } = require('@opentelemetry/sdk-logs');
const { MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const records = Number(count);
const batch = signal => ({ exporter: signal, maxQueueSize: 2 * records });
const traces = new TracerProvider({
  spanProcessors: [new BatchSpanProcessor(batch(exporter('trace', 'OTLPTraceExporter')))],
});
const logs = new LoggerProvider({
  processors: [new BatchLogRecordProcessor(batch(exporter('logs', 'OTLPLogExporter')))],
});
const meters = new MeterProvider({
  readers: [new PeriodicExportingMetricReader({ exporter: exporter('metrics', 'OTLPMetricExporter') })],
});
const tracer = traces.getTracer('test', '1.0');
const logger = logs.getLogger('test');
const meter = meters.getMeter('test');
const counter = meter.createCounter('test.count', { valueType: 0 });
const histogram = meter.createHistogram('test.histogram');
const values = {
  whole: 9007199254740991, negative: -5, fraction: 0.1, huge: 1e300, truth: false, empty: '', none: null,
  text: 'größer 😀 \u0000 " \\ \n', cut: '😀'.slice(0, 1), bytes: new Uint8Array([0xfb, 0xff, 0]),
  mixed: [1, 'a', null, true, 0.5, []], nothing: [], nested: { deep: { deeper: [{ deepest: 1 }] } }, emptied: {},
};
for (let number = 0; number < records; number++) {
  const span = tracer.startSpan(`span-${number}`, { kind: 2, attributes: { number, names: ['a', 'b'] } });
  span.addEvent('event', { number });
  span.setStatus({ code: 2, message: 'a reason' });
  span.addLink({ context: span.spanContext() });
  span.end();
  logger.emit({ severityNumber: 9, body: `record-${number}`, attributes: number % 100 ? { number } : values });
  counter.add(1, { number });
  histogram.record(number);
}
Promise.all([traces, logs, meters].map(provider => provider.shutdown()));
"#;

/// Everything that arrived, without the parts that differ between runs.
type Said = Vec<String>;

#[test]
#[ignore = "needs TEST_NODE; scripts/test.sh runs it"]
fn the_sdk_sends_the_same_in_json_and_protobuf() {
    let (json, media_types) = said_by("http", "http/protobuf");
    assert_eq!(media_types, ["application/x-protobuf"]);
    // A line for each span, log record and counter point, and one for the histogram.
    assert_eq!(json.len(), 3 * RECORDS + 1);
    let (protobuf, _) = said_by("proto", "http/protobuf");
    assert_same(&json, &protobuf);
}

#[test]
#[ignore = "needs TEST_NODE; scripts/test.sh runs it"]
fn a_json_client_can_send_to_a_json_backend() {
    let (json, media_types) = said_by("http", "http/json");
    assert_eq!(media_types, ["application/json"]);
    let (protobuf, _) = said_by("proto", "http/json");
    assert_same(&json, &protobuf);
    assert_eq!(json.len(), 3 * RECORDS + 1);
}

/// The SDK's gRPC client sends the token in a header and drops the path of the endpoint.
#[test]
#[ignore = "needs TEST_NODE; scripts/test.sh runs it"]
fn the_sdk_sends_the_same_over_grpc_and_http() {
    let (grpc, _) = said_by("grpc", "http/protobuf");
    assert_eq!(grpc.len(), 3 * RECORDS + 1);
    let (http, _) = said_by("proto", "http/protobuf");
    assert_same(&grpc, &http);
}

/// Runs the program with exporters of this encoding and a destination of this protocol. Returns what arrived and its
/// media types.
fn said_by(encoding: &str, protocol: &str) -> (Said, Vec<String>) {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let endpoint = backend.endpoint();
    sandbox.profile(
        "mine",
        format!(
            "[signals]\ntraces = true\n[destination.own]\nendpoint = \"{endpoint}\"\nprotocol = \"{protocol}\"\n\
             [env]\nOTEL_EXPORTER_OTLP_COMPRESSION = \"gzip\"\n"
        ),
    );
    let node = std::env::var("TEST_NODE").expect("TEST_NODE is the path of node");
    let output = sandbox.run(["-p", "mine", &node, "-e", EMIT, encoding, &RECORDS.to_string()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    sandbox.wait_for_end();
    assert_eq!(sandbox.queue(), Vec::<serde_json::Value>::new());
    let received = backend.received();
    let media_types: BTreeSet<_> = received.iter().map(|request| request.header("content-type").to_owned()).collect();
    let mut said: Said = received.iter().flat_map(everything).collect();
    said.sort();
    (said, media_types.into_iter().collect())
}

#[track_caller]
fn assert_same(one: &Said, other: &Said) {
    for (one, other) in one.iter().zip(other) {
        assert_eq!(one, other);
    }
    assert_eq!(one.len(), other.len());
}

/// One line for each of the program's spans, records and data points, without ids and times.
fn everything(received: &Received) -> Said {
    match received.export.clone().expect("a valid request") {
        Export::Traces(request) => {
            let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            let spans = scopes.flat_map(|scope| scope.spans).map(|mut span| {
                assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
                assert_eq!(span.links[0].trace_id, span.trace_id);
                (span.trace_id, span.span_id, span.links[0].trace_id, span.links[0].span_id) = <_>::default();
                (span.start_time_unix_nano, span.end_time_unix_nano, span.events[0].time_unix_nano) = (0, 0, 0);
                format!("{span:?}")
            });
            spans.collect()
        }
        Export::Logs(request) => {
            let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
            let records = scopes.flat_map(|scope| scope.log_records).map(|mut record| {
                (record.time_unix_nano, record.observed_time_unix_nano) = (0, 0);
                format!("{record:?}")
            });
            records.collect()
        }
        Export::Metrics(request) => {
            let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
            // Without the collector's telemetry about itself.
            let programs = scopes.filter(|scope| scope.scope.as_ref().is_none_or(|scope| scope.name != "ccrun"));
            programs.flat_map(|scope| scope.metrics).flat_map(|metric| points(metric.data.unwrap())).collect()
        }
    }
}

fn points(data: Data) -> Said {
    match data {
        Data::Sum(sum) => {
            assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (1, true), "delta");
            let points = sum.data_points.into_iter().map(|mut point| {
                (point.start_time_unix_nano, point.time_unix_nano) = (0, 0);
                format!("{point:?}")
            });
            points.collect()
        }
        Data::Histogram(histogram) => {
            let points = histogram.data_points.into_iter().map(|mut point| {
                (point.start_time_unix_nano, point.time_unix_nano) = (0, 0);
                format!("{point:?}")
            });
            points.collect()
        }
        other => panic!("{other:?}"),
    }
}
