//! OpenTelemetry's Go SDK under `ccrun`, configured by the environment alone.

use crate::support::sdk::assert_arrives_whole;

/// Over gRPC, a Go program makes the endpoint's path part of the address that it dials. Without the path, the token is
/// still in `OTEL_EXPORTER_OTLP_HEADERS`.
const WITHOUT_A_PATH: &str = "export OTEL_EXPORTER_OTLP_ENDPOINT=${OTEL_EXPORTER_OTLP_ENDPOINT%/*}";

/// Switches compression on.
const GZIP: &str = "export OTEL_EXPORTER_OTLP_COMPRESSION=gzip";

#[test]
#[ignore = "needs TEST_GO_SDK; scripts/test.sh runs it"]
fn over_http_without_compression() {
    assert_arrives_whole("", &[&program(), "http/protobuf"]);
}

#[test]
#[ignore = "needs TEST_GO_SDK; scripts/test.sh runs it"]
fn over_http_with_gzip() {
    assert_arrives_whole(GZIP, &[&program(), "http/protobuf"]);
}

#[test]
#[ignore = "needs TEST_GO_SDK; scripts/test.sh runs it"]
fn over_grpc_without_compression() {
    assert_arrives_whole(WITHOUT_A_PATH, &[&program(), "grpc"]);
}

#[test]
#[ignore = "needs TEST_GO_SDK; scripts/test.sh runs it"]
fn over_grpc_with_gzip() {
    assert_arrives_whole(&format!("{WITHOUT_A_PATH}; {GZIP}"), &[&program(), "grpc"]);
}

fn program() -> String {
    std::env::var("TEST_GO_SDK").expect("TEST_GO_SDK is the path of the program")
}
