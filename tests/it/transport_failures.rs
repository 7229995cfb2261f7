//! Why a request got no answer: what a person is told who has to mend it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::path::PathBuf;

use ccrun::forward::Transport;
use ccrun::profile::{Destination, Protocol, Tls};
use hyper::{HeaderMap, Version};

use crate::support::backend::{Backend, Identity, Reply};
use crate::transport::{BOTH, IMPATIENT, accepted, block_on, destination, held, pem_file, reason_of, send, send_with};

#[test]
fn a_backend_without_http2_takes_http_but_no_grpc() {
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
fn certificates_that_are_not_accepted_are_told_apart() {
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
fn the_systems_authorities_do_not_know_a_test() {
    let backend = Backend::start_tls(Identity::of("localhost"));
    let reason = reason_of(send(&destination(&backend.endpoint(), Protocol::Grpc)));
    // A machine without any authorities says that instead.
    let expected = ["that is not trusted here", "cannot set up tls"];
    assert!(expected.iter().any(|words| reason.contains(words)), "{reason}");
}

#[test]
fn authorities_are_read_again_once_they_are_mended() {
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
fn nobody_there_is_said_so() {
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
fn the_wrong_scheme_or_protocol_is_said_so() {
    let plain = Backend::start();
    let host = format!("127.0.0.1:{}", plain.port());
    let outcome = send(&destination(&format!("https://{host}"), Protocol::HttpProtobuf));
    let expected = format!("{host} does not speak tls: should the endpoint begin with `http://`?");
    // Without any authorities on this machine, that is what is said.
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
fn a_port_for_the_other_protocol_is_said_so() {
    // What a gRPC server says first: HTTP/2's settings, and that it goes away.
    let host = stubborn(b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01");
    let outcome = send(&destination(&format!("http://{host}"), Protocol::HttpProtobuf));
    let expected = "answered with something that is no http/1.1: should the protocol be `grpc`, or the endpoint begin \
                    with `https://`?";
    assert_eq!(outcome, held(&format!("{host} {expected}")));
    let host = stubborn(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let outcome = send(&destination(&format!("http://{host}"), Protocol::Grpc));
    let expected = "answered with something that is no http/2, which grpc needs: should the protocol be `http/protobuf`, \
                    or the endpoint begin with `https://`?";
    assert_eq!(outcome, held(&format!("{host} {expected}")));
}

/// A server that answers the first connection with `bytes` whatever comes, and reads on until it is closed.
pub(crate) fn stubborn(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // It ends when the client does, and how that looks from here is of no interest.
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    host
}
