//! A real Jaeger has Claude Code's spans.

use serde_json::Value;

use crate::support::claude::{Client, USAGE};
use crate::support::sandbox::wait_until;
use crate::support::server::Server;
use ccrun::doctor::live::model::Script;

/// Starts the Jaeger in `TEST_JAEGER`. Its addresses are those of its API, of the same over gRPC, and of its receiver.
fn start() -> Server {
    Server::start("TEST_JAEGER", "/api/services", 3, |directory, addresses| {
        let configuration = directory.join("jaeger.yaml");
        std::fs::write(&configuration, configure(addresses)).unwrap();
        vec!["--config".to_owned(), configuration.display().to_string()]
    })
}

fn configure(addresses: &[String]) -> String {
    format!(
        "extensions:
  jaeger_storage: {{backends: {{spans: {{memory: {{max_traces: 1000}}}}}}}}
  jaeger_query:
    storage: {{traces: spans}}
    http: {{endpoint: '{}'}}
    grpc: {{endpoint: '{}'}}
receivers:
  otlp: {{protocols: {{http: {{endpoint: '{}'}}}}}}
exporters:
  jaeger_storage_exporter: {{trace_storage: spans}}
service:
  extensions: [jaeger_storage, jaeger_query]
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [jaeger_storage_exporter]}}
",
        addresses[0], addresses[1], addresses[2]
    )
}

#[test]
#[ignore = "needs TEST_JAEGER and the real Claude Code; scripts/test.sh runs it"]
fn a_session_is_one_trace_with_its_requests_and_tools() {
    let jaeger = start();
    let client = Client::new(Script::text("the answer").usage(USAGE).bash("true"));
    client.profile(
        "team",
        format!(
            "extends = \"jaeger\"\n[vars]\njaeger_url = \"http://{}\"\n[team]\nid = \"platform\"\n\
             [destination.jaeger]\nbatch = \"1ms\"\n",
            jaeger.addresses[2]
        ),
    );
    let output = client.claude(&["-p", "team"], ["-p", "a question", "--allowedTools", "Bash"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    client.wait_for_end();
    assert!(client.queue().is_empty(), "{:?}", client.queue());
    let mut found = Value::Null;
    let expected = ["claude_code.interaction", "claude_code.llm_request", "claude_code.tool"];
    wait_until("the spans to be visible", || {
        found = serde_json::from_str(&jaeger.get("/api/traces?service=claude-code&limit=10")).unwrap();
        let names = names(&found);
        expected.iter().all(|name| names.contains(&(*name).to_owned()))
    });
    let traces = found["data"].as_array().unwrap();
    let trace = traces.iter().find(|trace| names_of(trace).any(|name| name == expected[0])).unwrap();
    assert!(expected.iter().all(|name| names_of(trace).any(|found| found == *name)), "{trace:#}");
    let tags = trace["processes"].as_object().unwrap().values().next().unwrap()["tags"].to_string();
    assert!(tags.contains("platform") && tags.contains("ccrun.session"), "{tags}");
}

/// The names of all spans.
fn names(found: &Value) -> Vec<String> {
    found["data"].as_array().into_iter().flatten().flat_map(names_of).map(str::to_owned).collect()
}

fn names_of(trace: &Value) -> impl Iterator<Item = &str> {
    trace["spans"].as_array().into_iter().flatten().filter_map(|span| span["operationName"].as_str())
}
