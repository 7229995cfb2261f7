//! Requests without an answer, and the messages for the person who must fix the cause.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::path::PathBuf;

use ccrun::client::Tls;
use ccrun::forward::Transport;
use ccrun::profile::{Destination, Protocol};
use hyper::{HeaderMap, Version};

use crate::support::backend::{Backend, Identity, Reply};
use crate::transport::{BOTH, IMPATIENT, accepted, block_on, destination, held, pem_file, reason_of, send, send_with};

#[test]
fn a_backend_without_http2_accepts_http_but_not_grpc() {
    let identity = Identity::of("localhost").without_http2();
    let ca = pem_file(identity.authority());
    let backend = Backend::start_tls(identity);
    let over = |protocol| {
        let ca = Some(ca.path().to_owned());
        send(&Destination { tls: Tls { ca, ..Tls::default() }, ..destination(&backend.endpoint(), protocol) })
    };
    assert_eq!(over(Protocol::HttpProtobuf), accepted());
    assert_eq!(backend.received()[0].version, Version::HTTP_11);
    let host = format!("localhost:{}", backend.port());
    let expected = format!("{host} does not offer http/2, which grpc needs: should the protocol be `http/protobuf`?");
    assert_eq!(over(Protocol::Grpc), held(&expected));
}

#[test]
fn rejected_certificates_are_distinguished() {
    let other = Identity::of("localhost");
    let cases = [
        (Identity::of("elsewhere.example"), None, "is for another name, `elsewhere.example`"),
        (Identity::expired("localhost"), None, "has expired, on 2021-01-01"),
        (
            Identity::of("localhost"),
            Some(other.authority()),
            "is from an authority that is not trusted here: a company's own goes among the system's, or for a destination into `tls.ca`",
        ),
    ];
    for (identity, authority, expected) in cases {
        let ca = pem_file(authority.unwrap_or(identity.authority()));
        let backend = Backend::start_tls(identity);
        let ca = Some(ca.path().to_owned());
        let outcome = send(&Destination {
            tls: Tls { ca, ..Tls::default() },
            ..destination(&backend.endpoint(), Protocol::HttpProtobuf)
        });
        assert_eq!(outcome, held(&format!("the certificate of localhost:{} {expected}", backend.port())));
    }
}

#[test]
fn the_systems_authorities_reject_test_certificates() {
    let backend = Backend::start_tls(Identity::of("localhost"));
    let reason = reason_of(send(&destination(&backend.endpoint(), Protocol::Grpc)));
    // A machine without any authorities reports that instead.
    let expected = ["that is not trusted here", "cannot set up tls"];
    assert!(expected.iter().any(|words| reason.contains(words)), "{reason}");
}

#[test]
fn corrected_authorities_are_read_again() {
    let identity = Identity::of("localhost");
    let ca = pem_file("");
    let path = ca.path().to_owned();
    let authority = identity.authority().to_owned();
    let backend = Backend::start_tls(identity);
    let destination = Destination {
        tls: Tls { ca: Some(path.clone()), ..Tls::default() },
        ..destination(&backend.endpoint(), Protocol::HttpProtobuf)
    };
    let transport = Transport::new(&destination).unwrap();
    block_on(async {
        let expected = format!("there is no certificate authority in `{}`: it is empty", path.display());
        assert_eq!(send_with(&transport, &HeaderMap::new()).await, held(&expected));
        std::fs::write(&path, Identity::of("localhost").authority()).unwrap();
        let reason = reason_of(send_with(&transport, &HeaderMap::new()).await);
        assert!(reason.contains("not trusted here"), "{reason}");
        std::fs::write(&path, authority).unwrap();
        assert_eq!(send_with(&transport, &HeaderMap::new()).await, accepted());
    });
    let ca = Some(PathBuf::from("/nonexistent/ca.pem"));
    let reason = reason_of(send(&Destination { tls: Tls { ca, ..Tls::default() }, ..destination }));
    assert!(reason.starts_with("cannot read the certificate authority in `/nonexistent/ca.pem`"), "{reason}");
}

#[test]
fn an_unreachable_server_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap();
    drop(listener);
    for protocol in BOTH {
        let outcome = send(&destination(&format!("http://{host}"), protocol));
        assert_eq!(outcome, held(&format!("{host} refused the connection: does anything listen there?")));
        let reason = reason_of(send(&destination("http://nowhere.invalid:4318", protocol)));
        assert!(reason.starts_with("cannot find the address of nowhere.invalid:4318"), "{reason}");
    }
}

#[test]
fn a_wrong_scheme_or_protocol_is_reported() {
    let plain = Backend::start();
    let host = format!("127.0.0.1:{}", plain.port());
    let outcome = send(&destination(&format!("https://{host}"), Protocol::HttpProtobuf));
    let expected = format!("{host} does not speak tls: should the endpoint begin with `http://`?");
    // A machine without any authorities reports that instead.
    let reason = reason_of(outcome);
    assert!(reason == expected || reason.starts_with("cannot set up tls"), "{reason}");
}

#[test]
fn no_answer_is_held() {
    for protocol in BOTH {
        let backend = Backend::start();
        let host = format!("127.0.0.1:{}", backend.port());
        backend.reply(Reply::close());
        let outcome = send(&destination(&backend.endpoint(), protocol));
        assert_eq!(outcome, held(&format!("{host} closed the connection without an answer")));
        backend.reply(Reply::hang());
        let impatient = Destination { timeout: IMPATIENT, ..destination(&backend.endpoint(), protocol) };
        assert_eq!(send(&impatient), held(&format!("{host} did not answer within 1s")));
    }
}

#[test]
fn a_hung_connection_is_not_used_again() {
    for protocol in BOTH {
        let backend = Backend::start();
        backend.reply(Reply::hang());
        let impatient = Destination { timeout: IMPATIENT, ..destination(&backend.endpoint(), protocol) };
        let transport = Transport::new(&impatient).unwrap();
        block_on(async {
            reason_of(send_with(&transport, &HeaderMap::new()).await);
            assert_eq!(send_with(&transport, &HeaderMap::new()).await, accepted());
        });
        assert_eq!(backend.received()[1].connection, 2);
    }
}

#[test]
fn a_port_for_the_other_protocol_is_reported() {
    // The first bytes of a gRPC server: HTTP/2 settings and GOAWAY.
    let host = stubborn(b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01");
    let outcome = send(&destination(&format!("http://{host}"), Protocol::HttpProtobuf));
    let expected = "answered with something other than http/1.1: should the protocol be `grpc`, or the endpoint begin \
                    with `https://`?";
    assert_eq!(outcome, held(&format!("{host} {expected}")));
    let host = stubborn(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let outcome = send(&destination(&format!("http://{host}"), Protocol::Grpc));
    let expected = "answered with something other than http/2, which grpc needs: should the protocol be `http/protobuf`, \
                    or the endpoint begin with `https://`?";
    assert_eq!(outcome, held(&format!("{host} {expected}")));
}

/// A server that answers the first connection with `bytes`, and then reads until the client closes it.
pub(crate) fn stubborn(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // The copy ends when the client closes the connection. How it ends does not matter.
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    host
}
