//! A real OpenTelemetry Collector as a destination and as a client, in every protocol, with and without compression.

use std::collections::BTreeMap;

use ccrun::otlp::Signal;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::doctor_destination::examine;
use crate::support::backend::{Backend, Export, Received};
use crate::support::call::Caller;
use crate::support::emitter::{Emitter, ids, ids_of};
use crate::support::otelcol::Otelcol;
use crate::support::sandbox::{DEADLINE, Sandbox};
use crate::support::session::Session;

/// The number of requests in each test, with [`RECORDS`] log records each.
const REQUESTS: usize = 100;

/// The number of log records in a request.
const RECORDS: usize = 7;

#[test]
#[ignore = "needs TEST_OTELCOL; scripts/test.sh runs it"]
fn over_grpc_with_gzip() {
    arrives_whole("grpc", "gzip");
}

#[test]
#[ignore = "needs TEST_OTELCOL; scripts/test.sh runs it"]
fn over_grpc_without_compression() {
    arrives_whole("grpc", "none");
}

#[test]
#[ignore = "needs TEST_OTELCOL; scripts/test.sh runs it"]
fn over_http_with_gzip() {
    arrives_whole("http/protobuf", "gzip");
}

#[test]
#[ignore = "needs TEST_OTELCOL; scripts/test.sh runs it"]
fn over_http_without_compression() {
    arrives_whole("http/protobuf", "none");
}

#[test]
#[ignore = "needs TEST_OTELCOL; scripts/test.sh runs it"]
fn over_http_in_json_with_gzip() {
    arrives_whole("http/json", "gzip");
}

#[test]
#[ignore = "needs TEST_OTELCOL; scripts/test.sh runs it"]
fn over_http_in_json_without_compression() {
    arrives_whole("http/json", "none");
}

/// Checks that every record arrives once through otelcol, with the profile's attributes.
fn arrives_whole(protocol: &str, compression: &str) {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let otelcol = Otelcol::start(&backend.endpoint());
    let endpoint = if protocol == "grpc" { &otelcol.grpc } else { &otelcol.http };
    sandbox.profile(
        "mine",
        format!(
            "team.id = \"platform\"\n[resource]\n\"deployment.environment\" = \"tests, and no more\"\n\
             [destination.otelcol]\nendpoint = \"{endpoint}\"\nprotocol = \"{protocol}\"\n\
             compression = \"{compression}\"\n"
        ),
    );
    let session = Session::start(&sandbox, &["-p", "mine", "-r", "cost_center=4711"]);
    let mut client = session.client();
    let mut sent = ids("record", REQUESTS * RECORDS);
    for records in sent.chunks(RECORDS) {
        assert_eq!(client.export(records), 0);
    }
    let received = backend.wait_for(|received| ids_of(received).len() >= sent.len(), DEADLINE);
    let id = session.id.clone();
    drop(client);
    session.end();
    sandbox.wait_for_end();
    sent.sort();
    assert_eq!(ids_of(&backend.received()), sent, "{}", otelcol.said());
    assert_eq!(sandbox.queue(), Vec::<serde_json::Value>::new());
    let expected = [
        ("ccrun.profile", "mine"),
        ("ccrun.session", &id),
        ("ccrun.version", env!("CARGO_PKG_VERSION")),
        ("cost_center", "4711"),
        ("deployment.environment", "tests, and no more"),
        ("service.instance.id", &id),
        ("service.name", "test-client"),
        ("team.id", "platform"),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let resources: Vec<_> = received.iter().flat_map(resources).collect();
    assert_eq!(resources.len(), REQUESTS);
    assert!(resources.iter().all(|found| *found == expected), "{:?}", resources[0]);
}

/// The attributes of each resource in a request. All of them are strings.
fn resources(received: &Received) -> Vec<BTreeMap<String, String>> {
    let Some(Export::Logs(request)) = &received.export else { panic!("{received:?}") };
    request.resource_logs.iter().map(|logs| attributes(logs.resource.as_ref().unwrap())).collect()
}

fn attributes(resource: &Resource) -> BTreeMap<String, String> {
    let pairs = resource.attributes.iter().map(|attribute| {
        let Some(Value::StringValue(value)) = attribute.value.as_ref().and_then(|value| value.value.clone()) else {
            panic!("{attribute:?}")
        };
        (attribute.key.clone(), value)
    });
    let attributes: BTreeMap<_, _> = pairs.collect();
    assert_eq!(attributes.len(), resource.attributes.len(), "no attribute is duplicated");
    attributes
}

#[test]
#[ignore = "needs TEST_OTELCOL; scripts/test.sh runs it"]
fn as_a_client_over_grpc() {
    for compression in ["none", "gzip", "snappy"] {
        sends_whole(compression, |host, token| {
            format!("otlp_grpc: {{endpoint: '{host}', tls: {{insecure: true}}, headers: {{x-ccrun-token: {token}}}")
        });
    }
}

#[test]
#[ignore = "needs TEST_OTELCOL; scripts/test.sh runs it"]
fn as_a_client_over_http() {
    for compression in ["none", "gzip", "zstd"] {
        sends_whole(compression, |host, token| format!("otlp_http: {{endpoint: 'http://{host}/{token}'"));
    }
}

#[test]
#[ignore = "needs TEST_OTELCOL; scripts/test.sh runs it"]
fn as_a_client_over_http_with_the_token_in_a_header() {
    sends_whole("gzip", |host, token| {
        format!("otlp_http: {{endpoint: 'http://{host}', headers: {{x-ccrun-token: {token}}}")
    });
}

#[test]
#[ignore = "needs TEST_OTELCOL; scripts/test.sh runs it"]
fn doctor_accepts_otelcol_and_reports_wrong_protocols() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let otelcol = Otelcol::start(&backend.endpoint());
    let found = |endpoint: &str, protocol: &str| {
        let profile = format!("[destination.d]\nendpoint = \"{endpoint}\"\nprotocol = \"{protocol}\"\n");
        sandbox.profile("p", profile);
        let found = examine(&sandbox, &["-p", "p", "--timeout", "1m"]);
        let of_groups = |one: &serde_json::Value| ["destination", "store"].iter().any(|group| one["group"] == *group);
        found.into_iter().filter(of_groups).collect::<Vec<_>>()
    };
    for (endpoint, protocol) in
        [(&otelcol.grpc, "grpc"), (&otelcol.http, "http/protobuf"), (&otelcol.http, "http/json")]
    {
        let found = found(endpoint, protocol);
        assert!(found.iter().all(|one| one["level"] == "ok"), "{found:#?}");
    }
    // Each port with the other port's protocol, and with TLS, which neither port uses.
    let secure = |endpoint: &str| endpoint.replacen("http://", "https://", 1);
    let wrong = [
        (otelcol.grpc.clone(), "http/protobuf", "set `protocol = \"grpc\"`: this endpoint answers".to_owned()),
        (otelcol.http.clone(), "grpc", "set `protocol = \"http/protobuf\"`: this endpoint answers".to_owned()),
        (
            secure(&otelcol.http),
            "http/protobuf",
            format!("set `endpoint = \"{}\"`: this endpoint answers", otelcol.http),
        ),
        (secure(&otelcol.grpc), "grpc", format!("set `endpoint = \"{}\"`: this endpoint answers", otelcol.grpc)),
        (
            format!("{}/otlp", otelcol.http),
            "http/protobuf",
            format!("set `endpoint = \"{}\"`: this endpoint answers", otelcol.http),
        ),
    ];
    for (endpoint, protocol, fix) in wrong {
        let found = found(&endpoint, protocol);
        assert!(
            found.iter().any(|one| one["level"] == "failed" && one["fix"] == fix),
            "{endpoint} {protocol} {found:#?}"
        );
    }
}

/// Checks that everything sent to otelcol arrives through the session once. With a compression that the session does
/// not support, checks that otelcol gets a permanent error.
fn sends_whole(compression: &str, exporter: impl Fn(&str, &str) -> String) {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let session = Session::to(&sandbox, &backend.endpoint());
    let (host, token) = session.endpoint.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let settings =
        format!("{}, compression: {compression}, sending_queue: {{enabled: false}}}}", exporter(host, token));
    let otelcol = Otelcol::start_with(&settings);
    let mut client = Emitter::new(&format!("{}/", otelcol.http));
    let is_taken = ["none", "gzip"].contains(&compression);
    let mut sent = ids("record", REQUESTS * RECORDS);
    for records in sent.chunks(RECORDS).take(if is_taken { REQUESTS } else { 1 }) {
        let status = client.send(records).unwrap().status;
        assert_eq!(status == 200, is_taken, "{compression} {status} {}", otelcol.said());
        // The status is not one that clients retry.
        assert!(![429, 502, 503, 504].contains(&status), "{compression} {status} {}", otelcol.said());
    }
    if !is_taken {
        return;
    }
    let caller = Caller::connect(&format!("{}/", otelcol.grpc));
    // A gauge with one point.
    let answer = caller.call(Signal::Metrics.grpc_path(), b"\n\x08\x12\x06\x12\x04*\x02\n\0");
    assert_eq!(answer.code(), 0, "{answer:?} {}", otelcol.said());
    let is_metric = |request: &Received| matches!(request.export, Some(Export::Metrics(_)));
    let is_whole = |received: &[Received]| ids_of(received).len() >= sent.len() && received.iter().any(is_metric);
    let received = backend.wait_for(is_whole, DEADLINE);
    sent.sort();
    assert_eq!(ids_of(&received), sent);
}
