//! OpenTelemetry's own Go SDK under `ccrun`, with nothing but the environment to go by.

use crate::support::sdk::assert_arrives_whole;

/// A Go program takes the path of an endpoint into the address that it dials over gRPC. Without the path the token is
/// in `OTEL_EXPORTER_OTLP_HEADERS` still.
const WITHOUT_A_PATH: &str = "export OTEL_EXPORTER_OTLP_ENDPOINT=${OTEL_EXPORTER_OTLP_ENDPOINT%/*}";

/// See [`WITHOUT_A_PATH`].
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
    std::env::var("TEST_GO_SDK").expect("TEST_GO_SDK names no program")
}
