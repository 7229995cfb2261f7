//! OpenTelemetry's own Python SDK under `ccrun`, with nothing but the environment to go by; and gRPC's own Python server
//! as a destination, with OpenTelemetry's own messages.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::support::emitter::ids;
use crate::support::sandbox::{Sandbox, text};
use crate::support::sdk::assert_arrives_whole;
use crate::support::session::Session;

/// Emits so many records of each signal over the protocol that its first argument names, in several batches, and ends
/// as Python programs do.
pub const EMIT: &str = r#"
import logging, sys
from opentelemetry import metrics, trace
if sys.argv[1] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

records = int(sys.argv[2])
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

/// Says its port, and then what each call brings: the header `x-key`, and the bodies of log records. The first call is
/// told to come again.
const SERVE: &str = r#"
import grpc
from concurrent import futures
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc

class Logs(logs_service_pb2_grpc.LogsServiceServicer):
    calls = 0
    def Export(self, request, context):
        Logs.calls += 1
        if Logs.calls == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        key = dict(context.invocation_metadata())["x-key"]
        records = [r for logs in request.resource_logs for scope in logs.scope_logs for r in scope.log_records]
        print("\n".join(f"{key} {record.body.string_value}" for record in records), flush=True)
        return logs_service_pb2.ExportLogsServiceResponse()

server = grpc.server(futures.ThreadPoolExecutor(1))
logs_service_pb2_grpc.add_LogsServiceServicer_to_server(Logs(), server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
"#;

#[test]
#[ignore = "needs TEST_PYTHON; scripts/test.sh runs it"]
fn grpcs_own_server_takes_what_is_sent() {
    for compression in ["none", "gzip"] {
        let sandbox = Sandbox::new();
        let mut server = Command::new(python()).args(["-c", SERVE]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
        let port = lines.next().unwrap();
        sandbox.profile(
            "mine",
            format!(
                "[destination.own]\nendpoint = \"http://127.0.0.1:{port}\"\nprotocol = \"grpc\"\n\
                 compression = \"{compression}\"\n[destination.own.headers]\nx-key = \"4711\"\n"
            ),
        );
        let session = Session::start(&sandbox, &["-p", "mine"]);
        let sent = ids("record", 100);
        assert_eq!(session.client().export(&sent), 0);
        let received: Vec<_> = lines.by_ref().take(sent.len()).collect();
        server.kill().unwrap();
        server.wait().unwrap();
        assert_eq!(received, sent.iter().map(|id| format!("4711 {id}")).collect::<Vec<_>>());
        assert_eq!(lines.next(), None, "nothing came twice");
    }
}

#[test]
#[ignore = "needs TEST_PYTHON; scripts/test.sh runs it"]
fn over_http_without_compression() {
    assert_arrives_whole("", &[&python(), "-c", EMIT, "http/protobuf"]);
}

#[test]
#[ignore = "needs TEST_PYTHON; scripts/test.sh runs it"]
fn over_http_with_gzip() {
    assert_arrives_whole("export OTEL_EXPORTER_OTLP_COMPRESSION=gzip", &[&python(), "-c", EMIT, "http/protobuf"]);
}

#[test]
#[ignore = "needs TEST_PYTHON; scripts/test.sh runs it"]
fn over_grpc_without_compression() {
    assert_arrives_whole("", &[&python(), "-c", EMIT, "grpc"]);
}

#[test]
#[ignore = "needs TEST_PYTHON; scripts/test.sh runs it"]
fn over_grpc_with_gzip() {
    assert_arrives_whole("export OTEL_EXPORTER_OTLP_COMPRESSION=gzip", &[&python(), "-c", EMIT, "grpc"]);
}

#[test]
#[ignore = "needs TEST_PYTHON; scripts/test.sh runs it"]
fn by_the_programs_own_choice_of_grpc() {
    // As in `OTEL_EXPORTER_OTLP_PROTOCOL=grpc opentelemetry-instrument PROGRAM`: endpoint and token are the session's.
    let first = "export OTEL_EXPORTER_OTLP_PROTOCOL=grpc OTEL_EXPORTER_OTLP_TIMEOUT=10";
    assert_arrives_whole(first, &[&python(), "-c", EMIT, "grpc"]);
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
