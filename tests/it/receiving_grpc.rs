//! OTLP/gRPC from the client's side (OTLP specification, *OTLP/gRPC*; gRPC over HTTP2).

use bytes::Bytes;
use ccrun::otlp::{Signal, frame, gzip};
use prost::Message;

use crate::support::backend::{Backend, Export};
use crate::support::call::Caller;
use crate::support::emitter::{ids, ids_of, request};
use crate::support::sandbox::{DEADLINE, Sandbox};
use crate::support::session::Session;

const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

// gRPC status codes.
const OK: i32 = 0;
const INVALID_ARGUMENT: i32 = 3;
const DEADLINE_EXCEEDED: i32 = 4;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNIMPLEMENTED: i32 = 12;
const UNAUTHENTICATED: i32 = 16;

/// A session without a destination, and a connection to it.
fn connected(sandbox: &Sandbox) -> (Session, Caller) {
    let session = Session::start(sandbox, &["-p", "local"]);
    let caller = Caller::connect(&session.endpoint);
    (session, caller)
}

/// A request with one span, one data point or one log record.
fn one(signal: Signal) -> Vec<u8> {
    // A resource with a scope and one item. The item of a metric is a gauge with one point.
    match signal {
        Signal::Traces | Signal::Logs => b"\n\x04\x12\x02\x12\0".to_vec(),
        Signal::Metrics => b"\n\x08\x12\x06\x12\x04*\x02\n\0".to_vec(),
    }
}

#[test]
fn grpc_export_of_all_three_signals() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.profile(
        "mine",
        format!("[signals]\ntraces = true\n[destination.own]\nendpoint = \"{}\"\n", backend.endpoint()),
    );
    let session = Session::start(&sandbox, &["-p", "mine"]);
    let caller = Caller::connect(&session.endpoint);
    for signal in Signal::ALL {
        let answer = caller.call(signal.grpc_path(), &one(signal));
        assert_eq!((answer.code(), answer.status.as_u16()), (OK, 200), "{answer:?}");
        // A response without `partial_success` has no bytes. This is its frame.
        assert_eq!((answer.body.as_ref(), answer.header("content-type")), (&[0; 5][..], "application/grpc"));
    }
    let received = backend.wait_for(|received| received.len() == 3, DEADLINE);
    let kinds = received.iter().map(|request| request.export.clone().unwrap());
    let count = |wanted: fn(&Export) -> bool| kinds.clone().filter(wanted).count();
    assert_eq!(count(|export| matches!(export, Export::Traces(_))), 1);
    assert_eq!(count(|export| matches!(export, Export::Metrics(_))), 1);
    assert_eq!(count(|export| matches!(export, Export::Logs(_))), 1);
}

#[test]
fn grpc_none_and_gzip_accepted() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let session = Session::to(&sandbox, &backend.endpoint());
    let caller = Caller::connect(&session.endpoint);
    let all = ids("record", 4);
    let plain = |id: &String| request(std::slice::from_ref(id)).encode_to_vec();
    let is_gzip = ("grpc-encoding", "gzip");
    let cases: [(&[(&str, &str)], Bytes); 4] = [
        (&[], frame(&plain(&all[0]), false).unwrap()),
        (&[("grpc-encoding", "identity")], frame(&plain(&all[1]), false).unwrap()),
        (&[is_gzip], frame(&gzip(&plain(&all[2])).unwrap(), true).unwrap()),
        // Even if the call declares compression, a message may be uncompressed.
        (&[is_gzip, ("content-type", "application/grpc+proto")], frame(&plain(&all[3]), false).unwrap()),
    ];
    for (headers, body) in cases {
        assert_eq!(caller.call_raw(LOGS, headers, body).code(), OK, "{headers:?}");
    }
    let received = backend.wait_for(|received| ids_of(received).len() == 4, DEADLINE);
    assert_eq!(ids_of(&received), all);
}

#[test]
fn grpc_requires_the_token_as_metadata_or_in_the_path() {
    let sandbox = Sandbox::new();
    let (_session, mut caller) = connected(&sandbox);
    let token = std::mem::take(&mut caller.token);
    assert_eq!(caller.call(&format!("/{token}{LOGS}"), b"").code(), OK);
    let wrong = token.replace(|digit| digit != '0', "0");
    for (path, given) in [(LOGS.to_owned(), ""), (LOGS.to_owned(), &*wrong), (format!("/{wrong}{LOGS}"), "")] {
        given.clone_into(&mut caller.token);
        let answer = caller.call(&path, b"");
        assert_eq!((answer.code(), answer.is_headers_alone), (UNAUTHENTICATED, true), "{answer:?}");
        assert_eq!(answer.header("grpc-message"), "the session's token is missing or wrong");
    }
    // An unauthenticated client does not learn which methods exist.
    assert_eq!(caller.call("/profiles/Export", b"").code(), UNAUTHENTICATED);
    caller.token = token;
    assert_eq!(caller.call(LOGS, b"").code(), OK);
}

#[test]
fn grpc_methods_other_than_export_are_unimplemented() {
    let sandbox = Sandbox::new();
    let (_session, caller) = connected(&sandbox);
    for path in [
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
        "/opentelemetry.proto.collector.logs.v1.LogsService/Import",
        "/v1/logs",
        "/",
    ] {
        assert_eq!(caller.call(path, b"").code(), UNIMPLEMENTED, "{path}");
    }
    for encoding in ["deflate", "snappy", "zstd"] {
        let answer = caller.call_raw(LOGS, &[("grpc-encoding", encoding)], frame(b"", false).unwrap());
        assert_eq!((answer.code(), answer.is_headers_alone), (UNIMPLEMENTED, true));
        assert_eq!(answer.header("grpc-accept-encoding"), "identity,gzip");
    }
}

#[test]
fn grpc_an_empty_request_succeeds() {
    let sandbox = Sandbox::new();
    let (_session, caller) = connected(&sandbox);
    for signal in Signal::ALL {
        assert_eq!(caller.call(signal.grpc_path(), b"").code(), OK);
    }
}

#[test]
fn grpc_undecodable_is_invalid_argument() {
    let sandbox = Sandbox::new();
    let (_session, caller) = connected(&sandbox);
    let (none, is_gzip) = (("te", "trailers"), ("grpc-encoding", "gzip"));
    let cases: [(_, Bytes); 7] = [
        (none, frame(b"\xff\xff\xff", false).unwrap()),
        (none, Bytes::new()),
        (none, Bytes::from_static(&[0, 0, 0, 0, 9, 1])),
        (none, Bytes::from_static(&[0; 10])),
        (none, Bytes::from_static(&[7, 0, 0, 0, 0])),
        // Compressed, but without a declared encoding.
        (none, frame(&gzip(b"").unwrap(), true).unwrap()),
        (is_gzip, frame(b"no gzip", true).unwrap()),
    ];
    for (header, body) in cases {
        let answer = caller.call_raw(LOGS, &[header], body.clone());
        assert_eq!((answer.code(), answer.is_headers_alone), (INVALID_ARGUMENT, true), "{body:?} {answer:?}");
        let status = answer.details();
        assert_eq!((status.code, &*status.message), (INVALID_ARGUMENT, answer.header("grpc-message")));
    }
}

#[test]
fn grpc_a_message_too_large_after_decompression_leaves_the_connection_usable() {
    let sandbox = Sandbox::new();
    let (_session, caller) = connected(&sandbox);
    let large = vec![0; (64 << 20) + 1];
    let bomb = frame(&gzip(&large).unwrap(), true).unwrap();
    for (headers, body) in [(&[("grpc-encoding", "gzip")][..], bomb), (&[], frame(&large, false).unwrap())] {
        let answer = caller.call_raw(LOGS, headers, body);
        assert_eq!((answer.code(), answer.is_headers_alone), (RESOURCE_EXHAUSTED, true), "{answer:?}");
        assert_eq!(answer.details().retry_delay(), None, "the status tells the client not to retry");
        assert_eq!(caller.call(LOGS, b"").code(), OK);
    }
}

#[test]
fn grpc_many_calls_at_once_on_one_connection() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let session = Session::to(&sandbox, &backend.endpoint());
    let caller = Caller::connect(&session.endpoint);
    let mut all = ids("record", 100);
    let token = ("x-ccrun-token", &*caller.token);
    let headers = [("content-type", "application/grpc"), token];
    let calls = all.chunks(1).map(|id| (LOGS, &headers[..], frame(&request(id).encode_to_vec(), false).unwrap()));
    assert!(caller.posted(calls).iter().all(|answer| answer.code() == OK));
    let received = backend.wait_for(|received| ids_of(received).len() == 100, DEADLINE);
    all.sort();
    assert_eq!(ids_of(&received), all);
}

#[test]
fn http_over_http2_on_the_same_connection() {
    let sandbox = Sandbox::new();
    let (_session, caller) = connected(&sandbox);
    let path = format!("/{}/v1/logs", caller.token);
    let answer = caller.post(&path, &[("content-type", "application/x-protobuf")], one(Signal::Logs));
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/x-protobuf"));
    assert_eq!(caller.call(LOGS, b"").code(), OK);
    // A gRPC request that is not OTLP in protobuf gets an HTTP error.
    let answer = caller.post(&path, &[("content-type", "application/grpc+json")], Bytes::new());
    assert_eq!(answer.status.as_u16(), 415);
}

#[test]
fn grpc_a_request_is_stored_even_if_its_client_disconnects() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    // Nothing is stored until the key is available.
    let gate = sandbox.home().join("gate");
    let key = format!("while [ ! -e {} ]; do sleep 0.01; done; echo key", gate.display());
    let profile = format!(
        "[redact]\nhash = [\"user.id\"]\nkey = {{ command = [\"sh\", \"-c\", \"{key}\"] }}\n\
         [destination.own]\nendpoint = \"{}\"\nbatch = \"1ms\"\n",
        backend.endpoint()
    );
    sandbox.profile("gated", profile);
    let session = Session::start(&sandbox, &["-p", "gated"]);
    let caller = Caller::connect(&session.endpoint);
    let all = ids("record", 1);
    let message = frame(&request(&all).encode_to_vec(), false).unwrap();
    assert_eq!(caller.call_raw(LOGS, &[("grpc-timeout", "50m")], message).code(), DEADLINE_EXCEEDED);
    drop(caller);
    std::fs::write(gate, "").unwrap();
    let received = backend.wait_for(|received| !received.is_empty(), DEADLINE);
    assert_eq!(ids_of(&received), all);
}
