//! The transport against a backend: what arrives, and how each answer is interpreted.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ccrun::client::Tls;
use ccrun::forward::{Outcome, Transport};
use ccrun::otlp::{RpcStatus, Signal};
use ccrun::profile::{Destination, Protocol, Temporality};
use ccrun::state::clock::Ages;
use hyper::header::HeaderValue;
use hyper::{HeaderMap, Version};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use prost::Message;
use tempfile::NamedTempFile;

use crate::support::backend::{Backend, Export, Identity, Reply};
use crate::transport_failures::stubborn;

pub(crate) const BOTH: [Protocol; 2] = [Protocol::HttpProtobuf, Protocol::Grpc];

const ALL: [Protocol; 3] = [Protocol::HttpProtobuf, Protocol::HttpJson, Protocol::Grpc];

/// A timeout that never expires, even on the slowest machine.
pub(crate) const PATIENT: Duration = Duration::from_mins(1);

/// A timeout that is long enough to connect on loopback and short enough to wait for.
pub(crate) const IMPATIENT: Duration = Duration::from_secs(1);

pub(crate) fn destination(endpoint: &str, protocol: Protocol) -> Destination {
    Destination {
        name: "backend".to_owned(),
        endpoint: endpoint.to_owned(),
        protocol,
        signals: Signal::ALL.into(),
        temporality: Temporality::Delta,
        series_ttl: PATIENT,
        gzip: true,
        timeout: PATIENT,
        headers: BTreeMap::new(),
        headers_helper: None,
        batch: Duration::from_secs(5),
        tls: Tls::default(),
        verify: None,
    }
}

fn export() -> ExportLogsServiceRequest {
    let resource_logs = ResourceLogs { schema_url: "a schema ".repeat(20), ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![resource_logs] }
}

/// Sends one request of logs on a runtime like the collector's.
pub(crate) fn send(destination: &Destination) -> Outcome {
    let transport = Transport::new(destination).unwrap();
    block_on(send_with(&transport, &HeaderMap::new()))
}

pub(crate) async fn send_with(transport: &Transport, headers: &HeaderMap) -> Outcome {
    transport.send(Signal::Logs, export().encode_to_vec().into(), headers).await
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(crate) fn accepted() -> Outcome {
    Outcome::Delivered { rejected: 0, message: None }
}

pub(crate) fn held(reason: &str) -> Outcome {
    Outcome::Held { reason: reason.to_owned(), retry_after: None }
}

#[track_caller]
pub(crate) fn reason_of(outcome: Outcome) -> String {
    match outcome {
        Outcome::Held { reason, .. } => reason,
        other => panic!("expected to be held: {other:?}"),
    }
}

pub(crate) fn pem_file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn every_protocol_carries_a_request_compressed_or_not() {
    for protocol in ALL {
        for gzip in [false, true] {
            let backend = Backend::start();
            assert_eq!(send(&Destination { gzip, ..destination(&backend.endpoint(), protocol) }), accepted());
            let [received] = &backend.received()[..] else { panic!("one request") };
            assert_eq!(received.export, Some(Export::Logs(export())));
            assert_eq!((received.protocol, received.method.as_str()), (protocol, "POST"));
            assert_eq!(received.header("content-length"), received.raw.len().to_string());
            assert!(received.header("user-agent").starts_with("ccrun/"));
            let encoding =
                received.header(if protocol == Protocol::Grpc { "grpc-encoding" } else { "content-encoding" });
            assert_eq!(encoding, if gzip { "gzip" } else { "" });
            assert_eq!(received.raw.len() < received.body.len(), gzip);
        }
    }
}

#[test]
fn each_protocol_has_its_required_headers() {
    let backend = Backend::start();
    assert_eq!(send(&destination(&format!("{}/otlp/", backend.endpoint()), Protocol::HttpProtobuf)), accepted());
    assert_eq!(send(&destination(&format!("{}/otlp/", backend.endpoint()), Protocol::Grpc)), accepted());
    assert_eq!(send(&destination(&format!("{}/otlp/", backend.endpoint()), Protocol::HttpJson)), accepted());
    let [http, grpc, json] = &backend.received()[..] else { panic!("three requests") };
    for (request, media_type) in [(http, "application/x-protobuf"), (json, "application/json")] {
        assert_eq!((request.path.as_str(), request.version), ("/otlp/v1/logs", Version::HTTP_11));
        assert_eq!(request.header("content-type"), media_type);
    }
    assert_eq!(grpc.path, format!("/otlp{}", Signal::Logs.grpc_path()));
    assert_eq!((grpc.version, grpc.header("te")), (Version::HTTP_2, "trailers"));
    assert_eq!((grpc.header("content-type"), grpc.header("grpc-timeout")), ("application/grpc", "60000m"));
}

#[test]
fn headers_arrive_and_connections_are_kept() {
    for protocol in BOTH {
        let backend = Backend::start();
        let transport = Transport::new(&destination(&backend.endpoint(), protocol)).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-scope-orgid", HeaderValue::from_static("platform"));
        block_on(async {
            for _ in 0..3 {
                assert_eq!(send_with(&transport, &headers).await, accepted());
            }
        });
        assert!(backend.received().iter().all(|received| received.header("x-scope-orgid") == "platform"));
        assert_eq!((backend.received().len(), backend.connections()), (3, 1));
    }
}

#[test]
fn a_connection_closed_while_idle_loses_nothing() {
    for protocol in BOTH {
        let mut backend = Backend::start();
        let transport = Transport::new(&destination(&backend.endpoint(), protocol)).unwrap();
        block_on(async {
            assert_eq!(send_with(&transport, &HeaderMap::new()).await, accepted());
            backend.restart();
            // The runtime checks its connections between tasks, so this one yields.
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            assert_eq!(send_with(&transport, &HeaderMap::new()).await, accepted());
        });
        assert_eq!((backend.received().len(), backend.connections()), (2, 2));
    }
}

#[test]
fn tls_with_a_private_authority() {
    for (protocol, version) in [(Protocol::HttpProtobuf, Version::HTTP_2), (Protocol::Grpc, Version::HTTP_2)] {
        let identity = Identity::of("localhost");
        let ca = pem_file(identity.authority());
        let backend = Backend::start_tls(identity);
        let ca = Some(ca.path().to_owned());
        assert_eq!(
            send(&Destination { tls: Tls { ca, ..Tls::default() }, ..destination(&backend.endpoint(), protocol) }),
            accepted()
        );
        assert_eq!(backend.received()[0].version, version);
    }
}

#[test]
fn endless_answers_are_cut_off() {
    let cases = [
        (Reply::http(200, "").endless(), accepted()),
        (Reply::http(200, "x").stalled(), accepted()),
        (Reply::http(400, "no name").endless(), Outcome::Refused { reason: "400 bad request: no name".to_owned() }),
        (Reply::http(400, "no name").stalled(), Outcome::Refused { reason: "400 bad request: no name".to_owned() }),
    ];
    for (reply, expected) in cases {
        let backend = Backend::start();
        backend.reply(reply);
        let impatient = Destination { timeout: IMPATIENT, ..destination(&backend.endpoint(), Protocol::HttpProtobuf) };
        assert_eq!(send(&impatient), expected);
    }
    let backend = Backend::start();
    backend.reply(Reply::accept().endless());
    assert_eq!(send(&destination(&backend.endpoint(), Protocol::Grpc)), accepted());
}

#[test]
fn answers_over_http() {
    let refused = |reason: &str| Outcome::Refused { reason: reason.to_owned() };
    let cases = [
        (Reply::partial(2, "too old"), Outcome::Delivered { rejected: 2, message: Some("too old".to_owned()) }),
        (
            Reply::http(200, "<!doctype html><title>Sign in</title>").header("content-type", "text/html"),
            held("200 ok, but with a page where an answer to otlp belongs: a page of html titled `Sign in`"),
        ),
        (Reply::http(400, "no name"), refused("400 bad request: no name")),
        (Reply::http(413, ""), Outcome::TooLarge { reason: "413 payload too large".to_owned() }),
        (Reply::http(401, ""), Outcome::Unauthorized { reason: "401 unauthorized".to_owned() }),
        (
            Reply::http(503, "busy").header("retry-after", "7"),
            Outcome::Held {
                reason: "503 service unavailable: busy".to_owned(),
                retry_after: Some(Duration::from_secs(7)),
            },
        ),
    ];
    let backend = Backend::start();
    for (reply, expected) in cases {
        backend.reply(reply);
        assert_eq!(send(&destination(&backend.endpoint(), Protocol::HttpProtobuf)), expected);
    }
}

#[test]
fn answers_over_http_in_json() {
    let refused = |reason: &str| Outcome::Refused { reason: reason.to_owned() };
    let json = |status, body: &str| Reply::http(status, body).header("content-type", "application/json");
    let cases = [
        (Reply::partial(2, "too old"), Outcome::Delivered { rejected: 2, message: Some("too old".to_owned()) }),
        (
            json(200, r#"{"partialSuccess":{"rejectedLogRecords":3}}"#),
            Outcome::Delivered { rejected: 3, message: None },
        ),
        (json(200, ""), accepted()),
        // A success without the right media type.
        (Reply::http(200, "{}"), accepted()),
        (json(400, r#"{"code":3,"message":"no name"}"#), refused("400 bad request: no name")),
        (Reply::http(400, r#"{"code":3,"message":"no name"}"#), refused("400 bad request: no name")),
    ];
    let backend = Backend::start();
    for (reply, expected) in cases {
        backend.reply(reply);
        assert_eq!(send(&destination(&backend.endpoint(), Protocol::HttpJson)), expected);
    }
}

#[test]
fn what_json_cannot_express_is_not_sent() {
    let backend = Backend::start();
    let transport = Transport::new(&destination(&backend.endpoint(), Protocol::HttpJson)).unwrap();
    let send = |body: Vec<u8>| block_on(transport.send(Signal::Logs, body.into(), &HeaderMap::new()));
    // A field with the wrong wire type, and a request with so many scopes of four bytes that its JSON is too long.
    let reason =
        "the request cannot be made json: not a protobuf message: field 1 has another wire type than OTLP gives it";
    assert_eq!(send(vec![0x08, 1]), Outcome::Refused { reason: reason.to_owned() });
    let reason = "the request cannot be made json: larger than 67108864 bytes in the other encoding";
    assert_eq!(send([0x0a, 2, 0x12, 0].repeat(4 << 20)), Outcome::TooLarge { reason: reason.to_owned() });
    assert_eq!(backend.connections(), 0);
}

#[test]
fn a_redirect_is_not_followed() {
    let target = Backend::start();
    let backend = Backend::start();
    for status in [301, 302, 303, 307, 308] {
        backend.reply(Reply::http(status, "").header("location", &format!("{}/v1/logs", target.endpoint())));
        let reason = reason_of(send(&destination(&backend.endpoint(), Protocol::HttpProtobuf)));
        assert!(reason.starts_with(&status.to_string()) && reason.contains("redirects are not followed"), "{reason}");
    }
    assert_eq!((backend.received().len(), target.connections()), (5, 0));
}

#[test]
fn answers_over_grpc() {
    let delay = Duration::from_secs(30);
    let details = RpcStatus { code: 8, ..RpcStatus::default() }.with_retry_delay(delay).encode_to_vec();
    let cases = [
        (Reply::partial(2, "too old"), Outcome::Delivered { rejected: 2, message: Some("too old".to_owned()) }),
        (Reply::grpc(3, "größer\n"), Outcome::Refused { reason: "grpc status INVALID_ARGUMENT: größer".to_owned() }),
        (
            Reply::grpc_trailers_only(16, "no key"),
            Outcome::Unauthorized { reason: "grpc status UNAUTHENTICATED: no key".to_owned() },
        ),
        (Reply::grpc(8, ""), Outcome::TooLarge { reason: "grpc status RESOURCE_EXHAUSTED".to_owned() }),
        (
            Reply::grpc(8, "").trailer("grpc-status-details-bin", &STANDARD.encode(details)),
            Outcome::Held { reason: "grpc status RESOURCE_EXHAUSTED".to_owned(), retry_after: Some(delay) },
        ),
        (Reply::http(502, ""), held("502 bad gateway where a grpc answer belongs")),
    ];
    let backend = Backend::start();
    for (reply, expected) in cases {
        backend.reply(reply);
        assert_eq!(send(&destination(&backend.endpoint(), Protocol::Grpc)), expected);
    }
}

#[test]
fn a_rejection_in_the_middle_of_a_large_request_is_read() {
    let host = stubborn(b"HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhuge!");
    let destination = Destination { gzip: false, ..destination(&format!("http://{host}"), Protocol::HttpProtobuf) };
    let transport = Transport::new(&destination).unwrap();
    let outcome = block_on(transport.send(Signal::Logs, vec![b'x'; 32 << 20].into(), &HeaderMap::new()));
    assert_eq!(outcome, Outcome::TooLarge { reason: "413 payload too large: huge!".to_owned() });
}

#[test]
fn a_large_request_arrives_whole() {
    for protocol in BOTH {
        let backend = Backend::start();
        let plain = Destination { gzip: false, ..destination(&backend.endpoint(), protocol) };
        let transport = Transport::new(&plain).unwrap();
        let body = Bytes::from(vec![b'x'; 8 << 20]);
        assert_eq!(block_on(transport.send(Signal::Metrics, body.clone(), &HeaderMap::new())), accepted());
        assert_eq!(backend.received()[0].body, body);
    }
    let backend = Backend::start();
    let json = Destination { gzip: false, ..destination(&backend.endpoint(), Protocol::HttpJson) };
    let transport = Transport::new(&json).unwrap();
    let mut large = export();
    large.resource_logs.extend((0..5_000).map(|_| export().resource_logs[0].clone()));
    let body = large.encode_to_vec().into();
    assert_eq!(block_on(transport.send(Signal::Logs, body, &HeaderMap::new())), accepted());
    assert_eq!(backend.received()[0].export, Some(Export::Logs(large)));
}

#[test]
fn held_replies_wait_for_their_release() {
    let backend = Backend::start();
    backend.reply_always(Reply::accept().held());
    let destination = destination(&backend.endpoint(), Protocol::Grpc);
    let client = std::thread::spawn(move || send(&destination));
    backend.wait_for(|received| received.len() == 1, PATIENT);
    assert!(!client.is_finished(), "no reply has been released yet");
    backend.release(1);
    assert_eq!(client.join().unwrap(), accepted());
}

#[test]
fn the_date_of_an_answer_shows_a_wrong_clock() {
    let backend = Backend::start();
    backend.reply_always(Reply::accept().header("date", "Thu, 01 Jan 2026 00:00:00 GMT"));
    let ages = Ages::default();
    let transport = Transport::new(&destination(&backend.endpoint(), Protocol::HttpProtobuf)).unwrap().hearing(&ages);
    assert_eq!(block_on(send_with(&transport, &HeaderMap::new())), accepted());
    let dated = SystemTime::UNIX_EPOCH + Duration::from_hours(20_454 * 24);
    let day = Duration::from_hours(24);
    let judged = ages.now(dated + 40 * day);
    assert!(judged >= dated && judged < dated + day, "the local clock is ahead");
    assert_eq!(ages.now(dated - day), dated - day, "theirs is");
}
