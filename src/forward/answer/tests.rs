//! The table: every kind of answer and its meaning.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsPartialSuccess, ExportMetricsServiceResponse};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::client::{ANSWER_LIMIT, Cut};
use crate::otlp::{RpcStatus, frame, gzip};

const PROTOBUF: &str = "application/x-protobuf";

fn answer(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: header_map(headers),
        body: Bytes::copy_from_slice(body.as_ref()),
        ..Answer::default()
    }
}

fn header_map(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |&(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    pairs.iter().map(pair).collect()
}

/// A call's answer that carries its status in the trailers.
fn call(body: &[u8], trailers: &[(&str, &str)]) -> Answer {
    let headers = [("content-type", "application/grpc")];
    Answer { trailers: header_map(trailers), ..answer(200, &headers, body) }
}

fn over_http(answer: &Answer) -> Outcome {
    answer.over_http(&HeaderMap::new(), SystemTime::UNIX_EPOCH)
}

fn over_grpc(answer: &Answer) -> Outcome {
    answer.over_grpc(&HeaderMap::new(), SystemTime::UNIX_EPOCH)
}

fn partial_success(rejected: i64, message: &str) -> Vec<u8> {
    let partial = ExportMetricsPartialSuccess { rejected_data_points: rejected, error_message: message.to_owned() };
    ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
}

fn rpc_status(message: &str) -> RpcStatus {
    RpcStatus { code: 3, message: message.to_owned(), details: Vec::new() }
}

fn delivered(rejected: u64, message: &str) -> Outcome {
    Outcome::Delivered { rejected, message: (!message.is_empty()).then(|| message.to_owned()) }
}

fn held(reason: &str, seconds: Option<u64>) -> Outcome {
    Outcome::Held { reason: reason.to_owned(), retry_after: seconds.map(Duration::from_secs) }
}

fn refused(reason: &str) -> Outcome {
    Outcome::Refused { reason: reason.to_owned() }
}

fn too_large(reason: &str) -> Outcome {
    Outcome::TooLarge { reason: reason.to_owned() }
}

fn unauthorized(reason: &str) -> Outcome {
    Outcome::Unauthorized { reason: reason.to_owned() }
}

#[test]
fn successes_over_http() {
    let json = [("content-type", "application/json; charset=utf-8")];
    let protobuf = [("content-type", PROTOBUF)];
    let html = [("content-type", "text/html")];
    let page = "<!DOCTYPE html><html><head><TITLE>Sign in</TITLE></head></html>";
    let foreign = "200 ok, but what came with it is no answer to otlp";
    let cases = [
        (answer(200, &protobuf, ""), delivered(0, "")),
        (answer(200, &[], ""), delivered(0, "")),
        (answer(200, &html, ""), delivered(0, "")),
        (answer(204, &[], ""), delivered(0, "")),
        (answer(200, &protobuf, partial_success(3, "too old")), delivered(3, "too old")),
        (answer(200, &[("content-type", "text/plain")], partial_success(3, "too old")), delivered(3, "too old")),
        (answer(200, &protobuf, partial_success(0, "a warning")), delivered(0, "a warning")),
        (answer(200, &protobuf, partial_success(-1, "")), delivered(0, "")),
        (answer(200, &json, "{}"), delivered(0, "")),
        (answer(200, &json, r#"{"partialSuccess":{}}"#), delivered(0, "")),
        (answer(200, &json, r#"{"partialSuccess":{"rejectedSpans":"7","errorMessage":"no"}}"#), delivered(7, "no")),
        (answer(200, &json, r#"{"partialSuccess":{"rejectedLogRecords":7}}"#), delivered(7, "")),
        (answer(200, &json, r#"{"partialSuccess":null}"#), delivered(0, "")),
        (answer(200, &json, r#"{"code":200,"status":[],"error":null}"#), delivered(0, "")),
        (answer(200, &json, r#"{"error":"bad key"}"#), held(&format!("{foreign}: bad key"), None)),
        (answer(200, &json, r#"{"code":16,"message":"bad key"}"#), held(&format!("{foreign}: bad key"), None)),
        (answer(200, &json, r#"{"code":"16"}"#), held(&format!("{foreign}: {{\"code\":\"16\"}}"), None)),
        (answer(200, &json, r#"{"code":"ok"}"#), delivered(0, "")),
        (answer(200, &json, "[]"), delivered(0, "")),
        (answer(200, &json, r#""OK""#), delivered(0, "")),
        (answer(200, &json, "OK"), delivered(0, "")),
        (answer(200, &protobuf, "OK"), delivered(0, "")),
        (answer(200, &[("content-type", "text/plain")], "ok\n"), delivered(0, "")),
        (answer(202, &[("content-type", "text/plain")], "202 Accepted"), delivered(0, "")),
        (
            answer(200, &html, page),
            held("200 ok, but with a page where an answer to otlp belongs: a page of html titled `Sign in`", None),
        ),
        (
            answer(200, &[], "<html>"),
            held("200 ok, but with a page where an answer to otlp belongs: a page of html", None),
        ),
        (answer(200, &[("content-encoding", "br")], "?"), delivered(0, "")),
    ];
    for (answer, expected) in cases {
        assert_eq!(over_http(&answer), expected, "{answer:?}");
    }
}

#[test]
fn failures_over_http() {
    let json = [("content-type", "application/json")];
    let protobuf = [("content-type", PROTOBUF)];
    let temporality = "invalid temporality and type combination for metric \"x\"\n";
    let cases = [
        (answer(400, &protobuf, rpc_status("no name").encode_to_vec()), refused("400 bad request: no name")),
        (answer(400, &json, r#"{"code":3,"message":"no name"}"#), refused("400 bad request: no name")),
        (answer(400, &json, r#"{"error":{"message":"no name"}}"#), refused("400 bad request: no name")),
        (answer(400, &json, r#"{"errors":["no name"]}"#), refused("400 bad request: no name")),
        (answer(400, &[], "no\x1b[1m name\r\n"), refused("400 bad request: no\\u{1b}[1m name")),
        (answer(400, &[], ""), refused("400 bad request")),
        (
            answer(400, &[], "Client sent an HTTP request to an HTTPS server.\n"),
            held("400 bad request: Client sent an HTTP request to an HTTPS server.", None),
        ),
        (
            answer(400, &[("content-type", "text/html")], "<html><title>400 Bad Request</title>"),
            held("400 bad request: a page of html titled `400 Bad Request`", None),
        ),
        (answer(413, &[], ""), too_large("413 payload too large")),
        (answer(401, &[], "who?"), unauthorized("401 unauthorized: who?")),
        (answer(403, &[], ""), unauthorized("403 forbidden")),
        (answer(402, &[], ""), held("402 payment required", None)),
        (answer(404, &[], "404 page not found\n"), held("404 not found: 404 page not found", None)),
        (answer(405, &[], ""), held("405 method not allowed", None)),
        (answer(407, &[], ""), held("407 proxy authentication required", None)),
        (answer(415, &[], ""), held("415 unsupported media type", None)),
        (answer(421, &[], ""), held("421 misdirected request", None)),
        (answer(429, &[("retry-after", "7")], ""), held("429 too many requests", Some(7))),
        (answer(503, &[("retry-after", "86400")], ""), held("503 service unavailable", Some(900))),
        (answer(503, &[("retry-after", "soon")], ""), held("503 service unavailable", None)),
        (
            answer(503, &[("retry-after", "Thu, 01 Jan 1970 00:01:00 GMT")], ""),
            held("503 service unavailable", Some(60)),
        ),
        (answer(599, &[], ""), held("599", None)),
        (answer(500, &[], temporality), refused(&format!("500 internal server error: {}", temporality.trim()))),
        (answer(500, &[], "disk full"), held("500 internal server error: disk full", None)),
        (
            answer(302, &[("location", "https://login.example/?ticket=1")], "moved"),
            held("302 found, and redirects are not followed: to https://login.example/", None),
        ),
        (answer(304, &[], ""), held("304 not modified, and redirects are not followed", None)),
    ];
    for (answer, expected) in cases {
        assert_eq!(over_http(&answer), expected, "{answer:?}");
    }
}

#[test]
fn a_date_in_the_past_means_now() {
    let answer = answer(503, &[("retry-after", "Thu, 01 Jan 1970 00:01:00 GMT")], "");
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(61);
    assert_eq!(answer.over_http(&HeaderMap::new(), now), held("503 service unavailable", Some(0)));
}

#[test]
fn compressed_answers_are_read_within_the_limit() {
    let gzipped = [("content-type", PROTOBUF), ("content-encoding", "gzip")];
    let small = gzip(&partial_success(1, "old")).unwrap();
    assert_eq!(over_http(&answer(200, &gzipped, small)), delivered(1, "old"));
    let bomb = gzip(&vec![b' '; ANSWER_LIMIT + 1]).unwrap();
    assert_eq!(over_http(&answer(400, &gzipped, bomb)), refused("400 bad request"));
}

#[test]
fn a_cut_off_answer_counts_by_its_status() {
    for cut in [Cut::TooLong, Cut::TooLate, Cut::BrokenOff] {
        let success = Answer { cut: Some(cut), ..answer(200, &[], "") };
        assert_eq!(over_http(&success), delivered(0, ""), "a repeated request would be counted twice");
        let words = cut.words();
        assert_eq!(over_grpc(&success), held(&format!("the answer {words}"), None), "there is no gRPC status");
        let failure = Answer { cut: Some(cut), ..answer(400, &[], "no name") };
        assert_eq!(over_http(&failure), refused("400 bad request: no name"));
        let page = Answer { cut: Some(cut), ..answer(200, &[("content-type", "text/html")], "") };
        assert!(matches!(over_http(&page), Outcome::Held { .. }));
    }
}

#[test]
fn an_overlong_partial_success_counts_as_one() {
    let cut = |content_type: &str, body: &[u8]| Answer {
        cut: Some(Cut::TooLong),
        ..answer(200, &[("content-type", content_type)], &body[..ANSWER_LIMIT])
    };
    let message = format!("too old{}", ", too old".repeat(ANSWER_LIMIT));
    let counts = |outcome: Outcome, rejected: u64, said: &str| match outcome {
        Outcome::Delivered { rejected: found, message } => {
            assert_eq!(found, rejected);
            assert!(message.unwrap_or_default().starts_with(said));
        }
        other => panic!("{other:?}"),
    };
    let protobuf = partial_success(3, &message);
    counts(over_http(&cut(PROTOBUF, &protobuf)), 3, "too old, too old");
    counts(over_http(&cut(PROTOBUF, &partial_success(0, &message))), 0, "too old, too old");
    counts(over_grpc(&cut("application/grpc", &frame(&protobuf, false).unwrap())), 3, "too old, too old");
    let json = format!(r#"{{"partialSuccess":{{"rejectedDataPoints":"3","errorMessage":"{message}"}}}}"#);
    counts(over_http(&cut("application/json", json.as_bytes())), 3, "");
}

#[test]
fn answers_over_grpc() {
    let framed = |message: &[u8]| frame(message, false).unwrap();
    let ok = [("grpc-status", "0")];
    let cases = [
        (call(&framed(b""), &ok), delivered(0, "")),
        (call(b"", &ok), delivered(0, "")),
        (call(&framed(&partial_success(2, "late")), &ok), delivered(2, "late")),
        (call(&framed(b"OK"), &ok), delivered(0, "")),
        (call(&[0, 0, 0, 0, 9], &ok), delivered(0, "")),
        (call(&frame(b"x", true).unwrap(), &ok), delivered(0, "")),
        (
            call(b"", &[("grpc-status", "3"), ("grpc-message", "no%20name")]),
            refused("grpc status INVALID_ARGUMENT: no name"),
        ),
        (call(b"", &[("grpc-status", "7")]), unauthorized("grpc status PERMISSION_DENIED")),
        (
            call(b"", &[("grpc-status", "16"), ("grpc-message", "100%")]),
            unauthorized("grpc status UNAUTHENTICATED: 100%"),
        ),
        (call(b"", &[("grpc-status", "8")]), too_large("grpc status RESOURCE_EXHAUSTED")),
        (call(b"", &[("grpc-status", "14")]), held("grpc status UNAVAILABLE", None)),
        (call(b"", &[("grpc-status", "12")]), held("grpc status UNIMPLEMENTED", None)),
        (call(b"", &[("grpc-status", "99")]), held("grpc status of an unknown number", None)),
        (call(b"", &[("grpc-status", "?")]), held("grpc status of an unknown number", None)),
        (call(b"", &[]), held("the answer has no grpc status", None)),
        (
            answer(200, &[("grpc-status", "3"), ("grpc-message", "trailers only")], ""),
            refused("grpc status INVALID_ARGUMENT: trailers only"),
        ),
        (
            answer(200, &[("content-type", "text/html")], "<html>"),
            held("200 ok, but with a page where a grpc answer belongs: a page of html", None),
        ),
        (
            answer(503, &[("retry-after", "5")], "busy"),
            held("503 service unavailable where a grpc answer belongs: busy", Some(5)),
        ),
        (answer(401, &[], ""), unauthorized("401 unauthorized where a grpc answer belongs")),
        (answer(413, &[], ""), too_large("413 payload too large where a grpc answer belongs")),
        (answer(400, &[], ""), held("400 bad request where a grpc answer belongs", None)),
        (answer(302, &[], ""), held("302 found where a grpc answer belongs", None)),
        (answer(502, &[("grpc-status", "0")], ""), held("502 bad gateway where a grpc answer belongs", None)),
        (answer(503, &[("grpc-status", "3")], ""), refused("grpc status INVALID_ARGUMENT")),
    ];
    for (answer, expected) in cases {
        assert_eq!(over_grpc(&answer), expected, "{answer:?}");
    }
}

#[test]
fn a_compressed_grpc_answer_is_read() {
    let mut answer = call(&frame(&gzip(&partial_success(2, "late")).unwrap(), true).unwrap(), &[("grpc-status", "0")]);
    answer.headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
    assert_eq!(over_grpc(&answer), delivered(2, "late"));
}

#[test]
fn retry_info_means_retry_instead_of_split() {
    for (seconds, expected) in [(30, 30), (86_400, 900)] {
        let status = rpc_status("slow down").with_retry_delay(Duration::from_secs(seconds)).encode_to_vec();
        for details in [STANDARD.encode(&status), STANDARD_NO_PAD.encode(&status)] {
            let with = |code: &str| call(b"", &[("grpc-status", code), ("grpc-status-details-bin", &details)]);
            assert_eq!(over_grpc(&with("8")), held("grpc status RESOURCE_EXHAUSTED: slow down", Some(expected)));
            assert_eq!(over_grpc(&with("14")), held("grpc status UNAVAILABLE: slow down", Some(expected)));
        }
    }
    let garbled = call(b"", &[("grpc-status", "8"), ("grpc-status-details-bin", "!!!")]);
    assert_eq!(over_grpc(&garbled), too_large("grpc status RESOURCE_EXHAUSTED"));
}

#[test]
fn retryable_http_and_grpc_statuses_are_retried() {
    for status in [429, 502, 503, 504] {
        assert!(matches!(over_http(&answer(status, &[], "")), Outcome::Held { .. }), "{status}");
    }
    // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS.
    for code in ["1", "4", "10", "11", "14", "15"] {
        assert!(matches!(over_grpc(&call(b"", &[("grpc-status", code)])), Outcome::Held { .. }), "{code}");
    }
}

#[test]
fn only_400_and_invalid_argument_are_permanent() {
    // A request that is too large is split, an unauthorized one gets other credentials, and all others are held.
    let given_up = |outcome| matches!(outcome, Outcome::Refused { .. });
    let statuses: Vec<u16> = (300..600).filter(|status| given_up(over_http(&answer(*status, &[], "")))).collect();
    assert_eq!(statuses, [400]);
    let is_code = |code: &u8| given_up(over_grpc(&call(b"", &[("grpc-status", &code.to_string())])));
    assert_eq!((1..=16).filter(is_code).collect::<Vec<_>>(), [3]);
}

#[test]
fn echoed_secrets_are_removed() {
    let mut sent = header_map(&[("authorization", "Bearer s3cr3t-token"), ("x-scope-orgid", "platform")]);
    sent.get_mut("authorization").unwrap().set_sensitive(true);
    let said = "`Bearer s3cr3t-token` (s3cr3t-token) of platform is not valid";
    let outcome = answer(401, &[], said).over_http(&sent, SystemTime::UNIX_EPOCH);
    assert_eq!(outcome, unauthorized("401 unauthorized: `Bearer <secret>` (<secret>) of platform is not valid"));
    let outcome = answer(200, &[], partial_success(1, said)).over_http(&sent, SystemTime::UNIX_EPOCH);
    assert_eq!(outcome, delivered(1, "`Bearer <secret>` (<secret>) of platform is not valid"));
}

proptest! {
    #[test]
    fn no_answer_panics(
        status in 100..1000_u16,
        body: Vec<u8>,
        value in "[ -~]{0,40}",
        name in prop::sample::select(vec!["content-type", "content-encoding", "retry-after", "grpc-status", "grpc-message",
            "grpc-status-details-bin", "grpc-encoding", "location"]),
    ) {
        let mut answer = answer(status, &[(name, &value)], body);
        let _ = (over_http(&answer), over_grpc(&answer));
        answer.trailers = answer.headers.clone();
        answer.status = StatusCode::OK;
        let _ = (over_http(&answer), over_grpc(&answer));
    }
}
