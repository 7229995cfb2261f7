//! OpenTelemetry's Python SDK under `ccrun`, configured by the environment alone, and gRPC's Python server as a
//! destination, with OpenTelemetry's own messages.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::support::emitter::ids;
use crate::support::proxy::{Policy, Proxy};
use crate::support::sandbox::{Sandbox, text};
use crate::support::sdk::{assert_arrives_whole, assert_arrives_whole_in};
use crate::support::session::Session;

/// Emits the given number of records of each signal in several batches, over the protocol in its first argument, and
/// exits.
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

/// Prints its port, and then the header `x-key` and the log record bodies of each call. It asks the client to retry the
/// first call.
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
fn grpcs_own_server_accepts_the_requests() {
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
        assert_eq!(lines.next(), None, "no record arrives twice");
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

/// A proxy that cannot reach this machine's loopback must not see a record or the session's token.
#[test]
#[ignore = "needs TEST_PYTHON; scripts/test.sh runs it"]
fn proxies_are_bypassed() {
    let proxy = Proxy::start(Policy::No(502));
    let mut sandbox = Sandbox::new();
    sandbox.set("http_proxy", format!("http://127.0.0.1:{}", proxy.port())).set("NO_PROXY", "corp.test");
    assert_arrives_whole_in(&sandbox, "", &[&python(), "-c", EMIT, "http/protobuf"]);
    assert!(proxy.seen().is_empty(), "{:?}", proxy.seen());
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
fn a_program_can_choose_grpc_itself() {
    // As in `OTEL_EXPORTER_OTLP_PROTOCOL=grpc opentelemetry-instrument PROGRAM`. Endpoint and token come from the
    // session.
    let first = "export OTEL_EXPORTER_OTLP_PROTOCOL=grpc OTEL_EXPORTER_OTLP_TIMEOUT=10";
    assert_arrives_whole(first, &[&python(), "-c", EMIT, "grpc"]);
}

#[test]
#[ignore = "needs TEST_PYTHON; scripts/test.sh runs it"]
fn a_program_has_no_child_that_it_did_not_start() {
    let sandbox = Sandbox::new();
    for wait in ["os.wait()", "os.waitpid(-1, os.WNOHANG)"] {
        let script = format!("import os\ntry:\n  print({wait})\nexcept ChildProcessError:\n  print('no child')");
        let output = sandbox.run([&python(), "-c", &script]);
        assert_eq!((text(&output.stdout), text(&output.stderr)), ("no child\n".to_owned(), String::new()), "{wait}");
        assert!(!sandbox.collectors().is_empty(), "a collector is running");
    }
    sandbox.wait_for_end();
}

#[test]
#[ignore = "needs TEST_PYTHON; scripts/test.sh runs it"]
fn the_boards_are_what_their_script_writes() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/boards");
    let output = Command::new(python()).args([script, "--check"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn python() -> String {
    std::env::var("TEST_PYTHON").expect("TEST_PYTHON is the path of python")
}
