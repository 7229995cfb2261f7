//! OTLP/HTTP from the client's side (OTLP specification, *OTLP/HTTP*).

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use ccrun::otlp::{RpcStatus, Signal, gzip};
use prost::Message;

use crate::support::backend::Backend;
use crate::support::emitter::{self, ids, ids_of};
use crate::support::sandbox::{DEADLINE, Sandbox};
use crate::support::session::Session;

const PROTOBUF: &str = "content-type: application/x-protobuf\r\n";

/// Sends bytes and returns everything received until the connection ends.
pub(crate) fn exchange(session: &Session, request: &[u8]) -> String {
    let host = session.endpoint.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a request with this method, path below the token, headers and body.
pub(crate) fn request(session: &Session, method: &str, path: &str, headers: &str, body: &[u8]) -> String {
    let token = session.endpoint.rsplit('/').next().unwrap();
    let head = format!(
        "{method} /{token}{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    exchange(session, &[head.as_bytes(), body].concat())
}

pub(crate) fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

/// The body of an answer.
fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn http_post_of_all_three_signals() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.profile(
        "mine",
        format!("[signals]\ntraces = true\n[destination.own]\nendpoint = \"{}\"\n", backend.endpoint()),
    );
    let session = Session::start(&sandbox, &["-p", "mine"]);
    // A span or a log record, and a gauge with one point.
    let (item, gauge) = (b"\n\x04\x12\x02\x12\0", b"\n\x08\x12\x06\x12\x04*\x02\n\0");
    for (path, message) in [("/v1/traces", &item[..]), ("/v1/metrics", gauge), ("/v1/logs", item)] {
        let answer = request(&session, "POST", path, PROTOBUF, message);
        assert_eq!(status(&answer), "200", "{answer}");
    }
    let received = backend.wait_for(|received| received.len() == 3, DEADLINE);
    let mut signals: Vec<_> = received.iter().map(|request| request.signal.unwrap()).collect();
    signals.sort();
    assert_eq!(signals, Signal::ALL);
}

#[test]
fn profiles_are_404() {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    for path in ["/v1development/profiles", "/v1/profiles", "/", "/v1/logs/"] {
        assert_eq!(status(&request(&session, "POST", path, PROTOBUF, b"")), "404", "{path}");
    }
    assert_eq!(status(&request(&session, "GET", "/v1/logs", "", b"")), "405");
}

#[test]
fn a_protobuf_content_type_with_parameters_is_accepted() {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    for content_type in
        ["application/x-protobuf", "application/x-protobuf; charset=utf-8", "Application/X-Protobuf ;charset=x"]
    {
        let answer = request(&session, "POST", "/v1/logs", &format!("content-type: {content_type}\r\n"), b"");
        assert_eq!(status(&answer), "200", "{content_type}: {answer}");
    }
}

#[test]
fn chunked_and_gzip_bodies_are_accepted() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let session = Session::to(&sandbox, &backend.endpoint());
    let all = ids("record", 4);
    let client = || session.client();
    let clients = [client(), client().chunked(), client().gzip(), client().gzip().chunked()];
    for (mut client, id) in clients.into_iter().zip(all.chunks(1)) {
        assert_eq!(client.export(id), 0);
    }
    for encoding in ["identity", "none", "GZIP"] {
        let empty = if encoding == "GZIP" { gzip(b"").unwrap() } else { Vec::new() };
        let headers = format!("{PROTOBUF}content-encoding: {encoding}\r\n");
        assert_eq!(status(&request(&session, "POST", "/v1/logs", &headers, &empty)), "200", "{encoding}");
    }
    let received = backend.wait_for(|received| ids_of(received).len() == 4, DEADLINE);
    assert_eq!(ids_of(&received), all);
}

#[test]
fn success_is_200_in_the_requests_content_type() {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    let some = emitter::request(&ids("record", 1)).encode_to_vec();
    for (path, message) in [("/v1/traces", &b""[..]), ("/v1/metrics", b""), ("/v1/logs", b""), ("/v1/logs", &some)] {
        let answer = request(&session, "POST", path, PROTOBUF, message);
        assert_eq!(status(&answer), "200", "{answer}");
        assert!(answer.contains("content-type: application/x-protobuf\r\n"), "{answer}");
        // A message without any field set has no bytes.
        assert_eq!(body(&answer), "");
    }
}

#[test]
fn the_body_of_an_error_is_a_status_in_the_requests_encoding() {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    let cases: [(&str, &str, &[u8], &str, i32); 5] = [
        ("/v1/logs", "content-encoding: br\r\n", b"", "415", 12),
        ("/v1/logs", "content-encoding: gzip\r\n", b"no gzip", "400", 3),
        // An undecodable body gets 400.
        ("/v1/logs", "", b"\xff\xff\xff", "400", 3),
        ("/v1/metrics", "", b"\n\x05", "400", 3),
        ("/v1/profiles", "", b"", "404", 12),
    ];
    for (path, headers, message, expected, code) in cases {
        let answer = request(&session, "POST", path, &format!("{PROTOBUF}{headers}"), message);
        assert_eq!(status(&answer), expected, "{path} {headers}: {answer}");
        assert!(answer.contains("content-type: application/x-protobuf\r\n"), "{answer}");
        let said = RpcStatus::decode(body(&answer).as_bytes()).unwrap();
        assert!(said.code == code && !said.message.is_empty(), "{said:?}");
    }
}

#[test]
fn any_other_content_type_is_415() {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    for content_type in ["", "text/plain", "application/octet-stream", "application/x-protobuffer", "application/grpc"]
    {
        let headers = format!("content-type: {content_type}\r\n");
        assert_eq!(status(&request(&session, "POST", "/v1/logs", &headers, b"")), "415", "{content_type}");
    }
    assert_eq!(status(&request(&session, "POST", "/v1/logs", "", b"")), "415");
}

#[test]
fn the_token_can_be_in_a_header() {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    let token = session.endpoint.rsplit('/').next().unwrap();
    let wrong = token.replace(|digit| digit != '0', "0");
    for (token, expected) in [(token, "200"), (&wrong, "401")] {
        let request = format!(
            "POST /v1/logs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{PROTOBUF}x-ccrun-token: {token}\r\n\
             content-length: 0\r\n\r\n"
        );
        assert_eq!(status(&exchange(&session, request.as_bytes())), expected);
    }
}

#[test]
fn requests_without_the_token_are_rejected() {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    let token = session.endpoint.rsplit('/').next().unwrap();
    let wrong = token.replace(|digit| digit != '0', "0");
    for path in ["/v1/logs", "/", &format!("/{wrong}/v1/logs"), &format!("/{token}x/v1/logs"), &format!("/{token}")] {
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{PROTOBUF}content-length: 0\r\n\r\n");
        let answer = exchange(&session, head.as_bytes());
        assert_eq!(status(&answer), "401", "{path}: {answer}");
    }
}

#[test]
fn an_incomplete_request_is_discarded_and_delays_no_one() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let session = Session::to(&sandbox, &backend.endpoint());
    let token = session.endpoint.rsplit('/').next().unwrap();
    let head = format!("POST /{token}/v1/logs HTTP/1.1\r\nhost: x\r\n{PROTOBUF}content-length: 1000\r\n\r\npart");
    exchange(&session, head.as_bytes());
    let all = ids("record", 2);
    session.client().export(&all);
    let received = backend.wait_for(|received| !received.is_empty(), DEADLINE);
    assert_eq!(ids_of(&received), all);
}

#[test]
fn a_request_is_stored_even_if_its_client_disconnects() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let session = Session::to(&sandbox, &backend.endpoint());
    let all = ids("record", 2);
    // The kernel must know the owner of the connection. One that closes earlier could belong to another user.
    let mut client = session.client();
    client.export(&all[..1]);
    client.send_and_leave(&all[1..]);
    let received = backend.wait_for(|received| ids_of(received).len() == all.len(), DEADLINE);
    assert_eq!(ids_of(&received), all);
}
