//! Hostile, malformed and excessive input: the collector survives it with little memory and still serves other clients.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;

use ccrun::otlp::gzip;
use prost::Message;

use crate::support::backend::Backend;
use crate::support::emitter::{Emitter, ids, ids_of, read_answer, request};
use crate::support::sandbox::{DEADLINE, Sandbox};
use crate::support::session::Session;

const MIB: u64 = 1 << 20;

/// The largest memory of a collector that received little, in bytes.
const LITTLE: u64 = 32 * MIB;

/// The largest memory of a collector that received as much as it accepts at once, in bytes.
const MUCH: u64 = 256 * MIB;

/// Opens a raw connection.
fn connect(session: &Session) -> TcpStream {
    let host = session.endpoint.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// The head of a request for logs, with these additional headers.
fn head(session: &Session, headers: &str) -> String {
    let token = session.endpoint.rsplit('/').next().unwrap();
    format!("POST /{token}/v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n{headers}\r\n")
}

/// Checks the peak of the worker's anonymous memory. Pages of files are not counted: how much of a debug binary is
/// resident depends on the rest of the machine, and the kernel reclaims it at will.
#[track_caller]
fn assert_needed(session: &mut Session, at_most: u64) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", session.worker().pid)).unwrap();
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    };
    // The peak of both minus the current file pages, which have hardly grown since the peak. At least the current
    // value.
    let most = bytes("VmHWM:").saturating_sub(bytes("RssFile:")).max(bytes("RssAnon:"));
    assert!(most <= at_most, "{} MiB", most / MIB);
}

/// Reads the status of the next answer on a connection.
fn answer(stream: &mut BufReader<TcpStream>) -> u16 {
    read_answer(stream).unwrap().status
}

/// Sends a request with a body and reads the answer only after sending everything. Then sends another request on the
/// same connection.
#[track_caller]
fn assert_refused_and_goes_on(session: &Session, headers: &str, body: &[u8], expected: u16) {
    let mut stream = BufReader::new(connect(session));
    stream.get_mut().write_all(&[head(session, headers).as_bytes(), body].concat()).unwrap();
    assert_eq!(answer(&mut stream), expected);
    stream.get_mut().write_all(head(session, "content-length: 0\r\n").as_bytes()).unwrap();
    assert_eq!(answer(&mut stream), 200, "the connection stays usable");
}

#[test]
fn a_body_over_the_size_limit_is_rejected_and_the_connection_stays_usable() {
    let sandbox = Sandbox::new();
    let mut session = Session::start(&sandbox, &["-p", "local"]);
    let large = vec![b'\n'; (64 << 20) + 1];
    assert_refused_and_goes_on(&session, &format!("content-length: {}\r\n", large.len()), &large, 413);
    let chunked = [format!("{:x}\r\n", large.len()).as_bytes(), &large, b"\r\n0\r\n\r\n"].concat();
    assert_refused_and_goes_on(&session, "transfer-encoding: chunked\r\n", &chunked, 413);
    assert_needed(&mut session, MUCH);
}

#[test]
fn the_size_limit_also_applies_after_decompression() {
    let sandbox = Sandbox::new();
    let mut session = Session::start(&sandbox, &["-p", "local"]);
    let bomb = gzip(&vec![0; (64 << 20) + 1]).unwrap();
    let headers = format!("content-encoding: gzip\r\ncontent-length: {}\r\n", bomb.len());
    assert_refused_and_goes_on(&session, &headers, &bomb, 413);
    assert_needed(&mut session, MUCH);
}

#[test]
fn a_client_that_expects_100_continue_gets_the_answer_before_it_sends() {
    let sandbox = Sandbox::new();
    let mut session = Session::start(&sandbox, &["-p", "local"]);
    let mut stream = BufReader::new(connect(&session));
    let asking = head(&session, "expect: 100-continue\r\ncontent-length: 100000000\r\n");
    stream.get_mut().write_all(asking.as_bytes()).unwrap();
    assert_eq!(answer(&mut stream), 413);
    let mut stream = BufReader::new(connect(&session));
    stream.get_mut().write_all(head(&session, "expect: 100-continue\r\ncontent-length: 2\r\n").as_bytes()).unwrap();
    assert_eq!(answer(&mut stream), 100);
    stream.get_mut().write_all(b"\n\0").unwrap();
    assert_eq!(answer(&mut stream), 200);
    assert_needed(&mut session, LITTLE);
}

#[test]
fn the_answer_to_a_rejected_body_can_always_be_read() {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    let body = vec![0; 8 << 20];
    let headers = format!("content-encoding: br\r\ncontent-length: {}\r\n", body.len());
    assert_refused_and_goes_on(&session, &headers, &body, 415);
}

#[test]
fn a_bomb_of_empty_records_takes_little_memory() {
    let sandbox = Sandbox::new();
    let mut session = Session::start(&sandbox, &["-p", "local"]);
    // Decoded all at once, each record would take at least a hundred bytes.
    let records = [0x12, 0].repeat(1 << 20);
    let mut scope = Vec::new();
    ccrun::otlp::put_message(&mut scope, 2, &records);
    let mut bomb = Vec::new();
    ccrun::otlp::put_message(&mut bomb, 1, &scope);
    // Each of these resources would get the session's attributes.
    let resources = [0x0a, 0].repeat(1 << 20);
    for (bomb, expected) in [(bomb, 200), (resources, 413)] {
        let bomb = gzip(&bomb).unwrap();
        let mut stream = BufReader::new(connect(&session));
        let headers = format!("content-encoding: gzip\r\ncontent-length: {}\r\n", bomb.len());
        stream.get_mut().write_all(&[head(&session, &headers).as_bytes(), &bomb].concat()).unwrap();
        assert_eq!(answer(&mut stream), expected);
    }
    assert_needed(&mut session, LITTLE);
}

#[test]
fn a_request_of_the_maximum_size_is_accepted_and_delivered() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let mut session = Session::to(&sandbox, &backend.endpoint());
    let body = request(&["x".repeat((64 << 20) - 1000)]).encode_to_vec();
    let mut stream = BufReader::new(connect(&session));
    let headers = format!("content-length: {}\r\n", body.len());
    stream.get_mut().write_all(&[head(&session, &headers).as_bytes(), &body].concat()).unwrap();
    assert_eq!(answer(&mut stream), 200);
    backend.wait_for(|received| !received.is_empty(), DEADLINE);
    // The memory for a request as received, as stored and as sent.
    assert_needed(&mut session, MUCH);
}

#[test]
fn too_large_or_too_many_headers_are_rejected() {
    let sandbox = Sandbox::new();
    let mut session = Session::start(&sandbox, &["-p", "local"]);
    for headers in [format!("x: {}\r\n", "x".repeat(100_000)), "x: y\r\n".repeat(200)] {
        let mut stream = BufReader::new(connect(&session));
        stream.get_mut().write_all(head(&session, &headers).as_bytes()).unwrap();
        assert_eq!(answer(&mut stream), 431);
    }
    assert_needed(&mut session, LITTLE);
}

#[test]
fn a_connection_flood_and_slow_headers_do_not_lock_out_authenticated_clients() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let mut session = Session::to(&sandbox, &backend.endpoint());
    let all = ids("record", 30);
    let (mut first, mut unauthenticated) = (session.client(), Vec::new());
    first.export(&all[..10]);
    let slow = head(&session, &format!("x: {}", "x".repeat(40_000)));
    for some in all[10..].chunks(1) {
        for _ in 0..20 {
            let mut stream = connect(&session);
            stream.write_all(slow.as_bytes()).unwrap();
            unauthenticated.push(stream);
        }
        assert_eq!(session.client().export(some), 0, "an authenticated connection is never closed");
    }
    assert_eq!(first.export(&ids("last", 1)), 0);
    assert_needed(&mut session, LITTLE);
    backend.wait_for(|received| ids_of(received).len() == 31, DEADLINE);
    // The oldest unauthenticated connection was closed.
    assert_eq!(unauthenticated[0].read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn stalled_bodies_take_little_memory_and_delay_no_one() {
    let sandbox = Sandbox::new();
    let mut session = Session::start(&sandbox, &["-p", "local"]);
    let beginning = head(&session, "content-length: 1000000\r\n");
    let mut stalled: Vec<_> = (0..200).map(|_| connect(&session)).collect();
    for stream in &mut stalled {
        stream.write_all(&[beginning.as_bytes(), &vec![0; 60_000]].concat()).unwrap();
    }
    assert_eq!(session.client().export(&ids("record", 1)), 0);
    assert_needed(&mut session, LITTLE);
}

#[test]
fn several_large_bodies_take_no_more_memory_than_one() {
    let sandbox = Sandbox::new();
    let mut session = Session::start(&sandbox, &["-p", "local"]);
    // A field that is in no version of OTLP yet.
    let mut body = Vec::new();
    ccrun::otlp::put_message(&mut body, 15, &vec![0; 40 << 20]);
    let bytes = [head(&session, &format!("content-length: {}\r\n", body.len())).as_bytes(), &body].concat();
    let clients = (0..6).map(|_| connect(&session)).map(|mut stream| {
        let bytes = bytes.clone();
        std::thread::spawn(move || {
            stream.write_all(&bytes).unwrap();
            answer(&mut BufReader::new(stream))
        })
    });
    let clients: Vec<_> = clients.collect();
    for client in clients {
        // A request that waits too long for memory gets 503.
        assert!([200, 503].contains(&client.join().unwrap()));
    }
    assert_needed(&mut session, MUCH);
}

/// The start of an HTTP/2 connection.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[test]
fn rapid_resets_close_the_connection() {
    let sandbox = Sandbox::new();
    let mut session = Session::start(&sandbox, &["-p", "local"]);
    // An authenticated connection, which would not be closed for any other reason. The head has `POST` and `http` from
    // the static table, and a path (RFC 7541).
    let path = format!("/{}/", session.endpoint.rsplit('/').next().unwrap());
    let fields = [&[0x83, 0x86, 4, u8::try_from(path.len()).unwrap()], path.as_bytes()].concat();
    let length = u8::try_from(fields.len()).unwrap();
    let begin = |stream: u32| [&[0, 0, length, 1, 5][..], &stream.to_be_bytes(), &fields].concat();
    let mut stream = connect(&session);
    stream.write_all(&[PREFACE, &begin(1)].concat()).unwrap();
    let take_back = |stream: u32| [&[0, 0, 4, 3, 0][..], &stream.to_be_bytes(), &[0, 0, 0, 8]].concat();
    let flood: Vec<u8> =
        (1..20_000).flat_map(|number| [begin(2 * number + 1), take_back(2 * number + 1)].concat()).collect();
    // The collector closes the connection during the flood, and its last answer may be lost.
    drop(stream.write_all(&flood));
    let mut said = Vec::new();
    let ended = stream.read_to_end(&mut said);
    assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    assert_eq!(session.client().export(&ids("record", 1)), 0);
    assert_needed(&mut session, LITTLE);
}

/// Floods an HTTP/2 connection with repetitions of one frame (RFC 9113).
#[test]
fn a_flood_of_frames_takes_little_memory() {
    let continuation = [&[0, 0x40, 0, 9, 0, 0, 0, 0, 1][..], &[0; 0x4000]].concat();
    let floods: [(&str, &[u8], &[u8]); 4] = [
        ("pings", &[], &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ("settings", &[], &[0, 0, 0, 4, 0, 0, 0, 0, 0]),
        ("window updates", &[], &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        // Header blocks that never end.
        ("continuations", &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x83], &continuation),
    ];
    for (what, first, frame) in floods {
        let sandbox = Sandbox::new();
        let mut session = Session::start(&sandbox, &["-p", "local"]);
        let mut stream = connect(&session);
        // The client reads nothing, so the collector must stop writing at some point.
        stream.set_nonblocking(true).unwrap();
        let flood = [PREFACE, first, &frame.repeat(4_000_000 / frame.len())].concat();
        let (mut sent, mut client) = (0, session.client());
        for _ in 0..50 {
            while let Ok(written) = stream.write(&flood[sent..]) {
                sent += written;
                if written == 0 {
                    break;
                }
            }
            assert_eq!(client.export(&ids("record", 1)), 0, "{what}");
        }
        assert!(sent > PREFACE.len(), "{what}");
        assert_needed(&mut session, LITTLE);
    }
}

#[test]
fn many_idle_authenticated_connections_are_allowed() {
    let sandbox = Sandbox::new();
    let mut session = Session::start(&sandbox, &["-p", "local"]);
    let mut clients: Vec<Emitter> = (0..250).map(|_| session.client()).collect();
    for client in &mut clients {
        assert_eq!(client.export(&ids("record", 1)), 0);
    }
    assert_needed(&mut session, LITTLE);
    for client in &mut clients {
        assert_eq!(client.export(&ids("record", 1)), 0);
    }
}
