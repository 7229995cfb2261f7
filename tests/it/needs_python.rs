//! OpenTelemetry's own Python SDK under `ccrun`, with nothing but the environment to go by.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};

use crate::support::backend::{Backend, Export, Received};
use crate::support::emitter::ids_of;
use crate::support::sandbox::{Sandbox, text};

/// How many records of each signal the program emits.
const RECORDS: usize = 1500;

/// Emits them in several batches and ends as Python programs do.
const EMIT: &str = r#"
import logging, sys
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

records = int(sys.argv[1])
traces = TracerProvider()
traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=2 * records))
logs = LoggerProvider()
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(), max_queue_size=2 * records))
reader = PeriodicExportingMetricReader(OTLPMetricExporter())
meters = MeterProvider(metric_readers=[reader])

logger = logging.getLogger("test")
logger.propagate = False
logger.setLevel(logging.INFO)
logger.addHandler(LoggingHandler(logger_provider=logs))
tracer = traces.get_tracer("test")
counter = meters.get_meter("test").create_counter("test.count")
for number in range(records):
    tracer.start_span(f"span-{number}").end()
    logger.info(f"record-{number}")
    counter.add(1, {"number": number})
for provider in (traces, logs, meters):
    provider.shutdown()
"#;

#[test]
#[ignore = "needs TEST_PYTHON; scripts/test.sh runs it"]
fn every_record_of_the_sdk_arrives() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.profile(
        "mine",
        format!(
            "team.id = \"platform\"\n[signals]\ntraces = true\n[destination.own]\nendpoint = \"{}\"\n",
            backend.endpoint()
        ),
    );
    let output = sandbox.run(["-p", "mine", &python(), "-c", EMIT, &RECORDS.to_string()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    sandbox.wait_for_end();
    let received = backend.received();
    let numbered = |prefix: &str| -> BTreeSet<_> { (0..RECORDS).map(|number| format!("{prefix}-{number}")).collect() };
    assert_once(ids_of(&received), &numbered("record"));
    assert_once(spans(&received), &numbered("span"));
    let counted = counted(&received);
    assert_eq!(counted.len(), RECORDS);
    assert!(counted.values().all(|count| *count == 1), "{counted:?}");
    assert_eq!(sandbox.queue(), Vec::<serde_json::Value>::new());
    let teams = received.iter().filter(|request| String::from_utf8_lossy(&request.body).contains("platform")).count();
    assert_eq!(teams, received.len(), "every request says whose it is");
}

#[test]
#[ignore = "needs TEST_PYTHON; scripts/test.sh runs it"]
fn a_program_finds_no_child_that_it_did_not_start() {
    let sandbox = Sandbox::new();
    for wait in ["os.wait()", "os.waitpid(-1, os.WNOHANG)"] {
        let script = format!("import os\ntry:\n  print({wait})\nexcept ChildProcessError:\n  print('no child')");
        let output = sandbox.run([&python(), "-c", &script]);
        assert_eq!((text(&output.stdout), text(&output.stderr)), ("no child\n".to_owned(), String::new()), "{wait}");
        assert!(!sandbox.collectors().is_empty(), "there is a collector that could have been a child");
    }
    sandbox.wait_for_end();
}

fn python() -> String {
    std::env::var("TEST_PYTHON").expect("TEST_PYTHON names no python")
}

/// All of these, none twice.
#[track_caller]
fn assert_once(found: Vec<String>, expected: &BTreeSet<String>) {
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), *expected);
}

fn spans(received: &[Received]) -> Vec<String> {
    let requests = received.iter().filter_map(|request| match &request.export {
        Some(Export::Traces(request)) => Some(request),
        _ => None,
    });
    let scopes = requests.flat_map(|request| &request.resource_spans).flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans).map(|span| span.name.clone()).collect()
}

/// What the counter counted in the end, by its attributes: deltas, as the environment asks for.
fn counted(received: &[Received]) -> BTreeMap<String, i64> {
    let requests = received.iter().filter_map(|request| match &request.export {
        Some(Export::Metrics(request)) => Some(request),
        _ => None,
    });
    let scopes = requests.flat_map(|request| &request.resource_metrics).flat_map(|resource| &resource.scope_metrics);
    let mut counted = BTreeMap::new();
    for metric in scopes.flat_map(|scope| &scope.metrics).filter(|metric| metric.name == "test.count") {
        for (attributes, count) in points(metric) {
            *counted.entry(attributes).or_default() += count;
        }
    }
    counted
}

fn points(metric: &Metric) -> Vec<(String, i64)> {
    let Some(metric::Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
    assert_eq!(sum.aggregation_temporality, 1, "delta");
    let point = |point: &opentelemetry_proto::tonic::metrics::v1::NumberDataPoint| {
        let Some(number_data_point::Value::AsInt(count)) = point.value else { panic!("{point:?}") };
        (format!("{:?}", point.attributes), count)
    };
    sum.data_points.iter().map(point).collect()
}
