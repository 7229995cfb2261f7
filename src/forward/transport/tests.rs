//! Tests that need no backend: paths, headers, invalid endpoints.

use std::collections::BTreeMap;

use super::*;

fn destination(endpoint: &str, protocol: Protocol) -> Destination {
    Destination {
        name: "backend".to_owned(),
        endpoint: endpoint.to_owned(),
        protocol,
        signals: Signal::ALL.into(),
        temporality: crate::profile::Temporality::Delta,
        series_ttl: Duration::from_hours(1),
        gzip: false,
        timeout: Duration::from_secs(10),
        headers: BTreeMap::new(),
        headers_helper: None,
        batch: Duration::from_secs(5),
        tls: crate::client::Tls::default(),
        verify: None,
    }
}

#[test]
fn paths_are_joined() {
    use Protocol::{Grpc, HttpProtobuf};
    use Signal::{Logs, Metrics};
    let export = Metrics.grpc_path();
    let cases = [
        ("http://host:4318", HttpProtobuf, Metrics, "http://host:4318/v1/metrics".to_owned()),
        ("http://host:4318/", HttpProtobuf, Metrics, "http://host:4318/v1/metrics".to_owned()),
        ("https://host/otlp", HttpProtobuf, Logs, "https://host/otlp/v1/logs".to_owned()),
        ("https://host/otlp//", HttpProtobuf, Logs, "https://host/otlp/v1/logs".to_owned()),
        ("https://host/v1/logs", HttpProtobuf, Logs, "https://host/v1/logs".to_owned()),
        ("https://host/v1/logs", HttpProtobuf, Metrics, "https://host/v1/logs/v1/metrics".to_owned()),
        ("https://host/my-v1/logs", HttpProtobuf, Logs, "https://host/my-v1/logs/v1/logs".to_owned()),
        ("https://host/v2/datapoint/otlp", HttpProtobuf, Metrics, "https://host/v2/datapoint/otlp".to_owned()),
        ("https://host/v2/datapoint/otlp", HttpProtobuf, Logs, "https://host/v2/datapoint/otlp/v1/logs".to_owned()),
        ("https://[::1]:4318/a%20b", HttpProtobuf, Logs, "https://[::1]:4318/a%20b/v1/logs".to_owned()),
        ("https://host:443", Grpc, Metrics, format!("https://host:443{export}")),
        ("https://host/prefix/", Grpc, Metrics, format!("https://host/prefix{export}")),
        ("https://host/v1/metrics", Grpc, Metrics, format!("https://host/v1/metrics{export}")),
    ];
    for (endpoint, protocol, signal, expected) in cases {
        let transport = Transport::new(&destination(endpoint, protocol)).unwrap();
        let request = transport.request(signal, Bytes::new(), &HeaderMap::new()).unwrap();
        assert_eq!(request.uri().to_string(), expected, "{endpoint}");
    }
}

#[test]
fn an_invalid_endpoint_is_an_error() {
    for endpoint in ["", "host:4318", "/v1/logs", "ftp://host", "http://", "http://a b", "unix:/run/otlp"] {
        let error = Transport::new(&destination(endpoint, Protocol::HttpProtobuf)).unwrap_err();
        assert!(error.to_string().contains("destination `backend`"), "{endpoint}: {error}");
    }
}

#[test]
fn protocol_headers_cannot_be_replaced_except_the_user_agent() {
    let transport = Transport::new(&destination("http://host", Protocol::Grpc)).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("999"));
    headers.insert(USER_AGENT, HeaderValue::from_static("someone/1"));
    let request = transport.request(Signal::Logs, Bytes::from_static(b"abc"), &headers).unwrap();
    let header = |name: HeaderName| request.headers().get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(header(CONTENT_TYPE), "application/grpc");
    assert_eq!(header(CONTENT_LENGTH), "8");
    assert_eq!(header(USER_AGENT), "someone/1");
    assert_eq!(header(GRPC_TIMEOUT), "10000m");
}

#[test]
fn a_grpc_timeout_has_at_most_eight_digits() {
    let value = |timeout| grpc_timeout(timeout).unwrap().to_str().unwrap().to_owned();
    assert_eq!(value(Duration::from_millis(1500)), "1500m");
    assert_eq!(value(Duration::from_secs(99_999)), "99999000m");
    assert_eq!(value(Duration::from_secs(100_000)), "100000S");
    assert_eq!(value(Duration::MAX), "99999999S");
}

#[test]
fn sending_is_a_send_future() {
    fn is_send(_: &impl Send) {}
    let transport = Transport::new(&destination("http://host", Protocol::Grpc)).unwrap();
    is_send(&transport.send(Signal::Logs, Bytes::new(), &HeaderMap::new()));
}
