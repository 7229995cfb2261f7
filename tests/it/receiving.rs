//! OTLP/HTTP as a sender meets it (OTLP specification, *OTLP/HTTP*).

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::support::backend::Backend;
use crate::support::emitter::{ids, ids_of};
use crate::support::sandbox::{DEADLINE, Sandbox};
use crate::support::session::Session;

const PROTOBUF: &str = "content-type: application/x-protobuf\r\n";

/// Sends bytes and gives whatever comes back until the connection ends.
fn exchange(session: &Session, request: &[u8]) -> String {
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
fn request(session: &Session, method: &str, path: &str, headers: &str, body: &[u8]) -> String {
    let token = session.endpoint.rsplit('/').next().unwrap();
    let head = format!(
        "{method} /{token}{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    exchange(session, &[head.as_bytes(), body].concat())
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

#[test]
fn whatever_is_no_export_is_told_why() {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    let cases: [(&str, &str, &str, &[u8], &str); 7] = [
        ("POST", "/v1/profiles", PROTOBUF, b"", "404"),
        ("POST", "/", PROTOBUF, b"", "404"),
        ("GET", "/v1/logs", "", b"", "405"),
        ("POST", "/v1/logs", "content-type: text/plain\r\n", b"", "415"),
        ("POST", "/v1/logs", &format!("{PROTOBUF}content-encoding: br\r\n"), b"", "415"),
        ("POST", "/v1/logs", &format!("{PROTOBUF}content-encoding: gzip\r\n"), b"no gzip", "400"),
        ("POST", "/v1/logs", PROTOBUF, b"\xff\xff\xff", "400"),
    ];
    for (method, path, headers, body, expected) in cases {
        let answer = request(&session, method, path, headers, body);
        assert_eq!(status(&answer), expected, "{method} {path} {headers}: {answer}");
        // An error's body is a google.rpc.Status in the request's encoding.
        assert!(answer.contains("content-type: application/x-protobuf"), "{answer}");
    }
}

#[test]
fn an_empty_request_succeeds_and_a_charset_does_no_harm() {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    for signal in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
        let headers = "content-type: application/x-protobuf; charset=utf-8\r\n";
        let answer = request(&session, "POST", signal, headers, b"");
        assert!(status(&answer) == "200" && answer.contains("content-length: 0"), "{answer}");
    }
}

#[test]
fn without_the_token_nobody_gets_in() {
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
fn a_request_that_breaks_off_is_not_taken_and_holds_up_nobody() {
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
fn a_bomb_of_zeros_is_refused() {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    let bomb = ccrun::otlp::gzip(&vec![0; 65 << 20]).unwrap();
    let answer = request(&session, "POST", "/v1/logs", &format!("{PROTOBUF}content-encoding: gzip\r\n"), &bomb);
    assert_eq!(status(&answer), "413", "{answer}");
    assert_eq!(session.client().export(&ids("record", 1)), 0);
}

#[test]
fn what_a_client_did_not_wait_for_is_kept() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let session = Session::to(&sandbox, &backend.endpoint());
    let all = ids("record", 1);
    session.client().send_and_leave(&all);
    let received = backend.wait_for(|received| !received.is_empty(), DEADLINE);
    assert_eq!(ids_of(&received), all);
}
