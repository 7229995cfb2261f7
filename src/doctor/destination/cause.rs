//! Maps an answer to a cause that a person can act on. Pure, so that a table can test it.

use crate::client::{Answer, FailureKind};
use crate::forward::Outcome;
use crate::otlp::GrpcCode;

/// The cause of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::doctor) enum Cause {
    /// It accepted the data, as far as it says.
    Accepted,
    /// It accepted the data with a remark.
    Remarked,
    /// It answered success but took nothing.
    Rejected,
    /// It did not answer.
    Failed(FailureKind),
    /// It rejects the credentials, or requires some.
    Credentials,
    /// There is nothing at that path.
    Path,
    /// The path does not accept such requests.
    Method,
    /// It does not support the encoding.
    Encoding,
    /// It rejects a single record as too large.
    Size,
    /// It redirects.
    Redirect,
    /// It answers with a web page.
    Page,
    /// It requires TLS and was sent plain text.
    WantsTls,
    /// It rejects delta temporality.
    Temporality,
    /// It does not support this signal.
    Signal,
    /// It throttles.
    Throttled,
    /// It is temporarily failing.
    Fault,
    /// It rejects the record for a reason of its own.
    Refused,
    /// Any other cause.
    Other,
}

/// Words that identify a rejection of delta temporality. Prometheus and Mimir answer `invalid temporality and type
/// combination`; Grafana and others name one temporality or the other.
const OF_TEMPORALITY: [&str; 3] = ["temporality", "delta metric", "cumulative"];

/// The cause of an answer, given what it means for the data.
pub(super) fn cause(answer: &Answer, outcome: &Outcome) -> Cause {
    match outcome {
        Outcome::Delivered { rejected: 0, message: None } => return Cause::Accepted,
        Outcome::Delivered { rejected: 0, .. } => return Cause::Remarked,
        Outcome::Delivered { message, .. } if is_of_temporality(message.as_deref().unwrap_or_default()) => {
            return Cause::Temporality;
        }
        Outcome::Delivered { .. } => return Cause::Rejected,
        Outcome::Unauthorized { .. } => return Cause::Credentials,
        Outcome::TooLarge { .. } => return Cause::Size,
        Outcome::Refused { .. } | Outcome::Held { .. } => {}
    }
    let words = answer.words();
    if let Some(code) = answer.grpc_failure() {
        return if is_of_temporality(&words) { Cause::Temporality } else { of_grpc(code) };
    }
    match answer.status.as_u16() {
        _ if answer.wants_tls() => Cause::WantsTls,
        300..=399 => Cause::Redirect,
        404 | 410 => Cause::Path,
        405 => Cause::Method,
        415 => Cause::Encoding,
        429 => Cause::Throttled,
        _ if is_of_temporality(&words) => Cause::Temporality,
        400 if matches!(outcome, Outcome::Refused { .. }) => Cause::Refused,
        500..=599 => Cause::Fault,
        _ if answer.is_html() => Cause::Page,
        _ => Cause::Other,
    }
}

fn of_grpc(code: GrpcCode) -> Cause {
    match code {
        GrpcCode::Unimplemented | GrpcCode::NotFound => Cause::Signal,
        GrpcCode::InvalidArgument => Cause::Refused,
        GrpcCode::ResourceExhausted => Cause::Throttled,
        GrpcCode::Unavailable
        | GrpcCode::Internal
        | GrpcCode::DeadlineExceeded
        | GrpcCode::Unknown
        | GrpcCode::Aborted
        | GrpcCode::Cancelled => Cause::Fault,
        _ => Cause::Other,
    }
}

fn is_of_temporality(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    OF_TEMPORALITY.iter().any(|of| words.contains(of))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use hyper::header::HeaderMap;
    use hyper::{StatusCode, body::Bytes};

    use super::*;

    fn over_http(status: u16, content_type: &str, body: &str) -> Cause {
        let mut answer = Answer { status: StatusCode::from_u16(status).unwrap(), ..Answer::default() };
        answer.body = Bytes::copy_from_slice(body.as_bytes());
        answer.headers.insert("content-type", content_type.parse().unwrap());
        let outcome = answer.over_http(&HeaderMap::new(), SystemTime::UNIX_EPOCH);
        cause(&answer, &outcome)
    }

    fn over_grpc(code: u16, message: &str) -> Cause {
        let mut answer = Answer::default();
        answer.headers.insert("content-type", "application/grpc".parse().unwrap());
        answer.trailers.insert("grpc-status", u64::from(code).into());
        answer.trailers.insert("grpc-message", message.parse().unwrap());
        let outcome = answer.over_grpc(&HeaderMap::new(), SystemTime::UNIX_EPOCH);
        cause(&answer, &outcome)
    }

    #[test]
    fn every_http_answer_has_a_cause() {
        let json = "application/json";
        let prometheus = "invalid temporality and type combination for metric \"ccrun.doctor\"";
        let grafana = "otlp parse error: invalid temporality and type combination for metric \"ccrun.doctor\"";
        let cases = [
            (200, json, "{}", Cause::Accepted),
            (200, json, r#"{"partialSuccess":{"errorMessage":"soon over quota"}}"#, Cause::Remarked),
            (200, json, r#"{"partialSuccess":{"rejectedLogRecords":"1"}}"#, Cause::Rejected),
            (
                200,
                json,
                r#"{"partialSuccess":{"rejectedDataPoints":"1","errorMessage":"delta metrics"}}"#,
                Cause::Temporality,
            ),
            (200, "text/html", "<html><title>Sign in</title>", Cause::Page),
            (302, "text/html", "", Cause::Redirect),
            (400, json, r#"{"message":"no"}"#, Cause::Refused),
            (400, json, &format!(r#"{{"message":{grafana:?}}}"#), Cause::Temporality),
            (400, "text/plain", "Client sent an HTTP request to an HTTPS server.", Cause::WantsTls),
            (400, "text/html", "<html><title>Bad request</title>", Cause::Page),
            (401, "text/plain", "who are you?", Cause::Credentials),
            (403, "text/html", "<html>", Cause::Credentials),
            (404, "text/plain", "404 page not found", Cause::Path),
            (405, "text/plain", "", Cause::Method),
            (413, "text/plain", "", Cause::Size),
            (415, "text/plain", "", Cause::Encoding),
            (429, "text/plain", "", Cause::Throttled),
            (500, "text/plain", prometheus, Cause::Temporality),
            (503, "text/plain", "", Cause::Fault),
            (421, "text/plain", "", Cause::Other),
        ];
        for (status, content_type, body, expected) in cases {
            assert_eq!(over_http(status, content_type, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn every_grpc_status_has_a_cause() {
        let cases = [
            (0, Cause::Accepted),
            (3, Cause::Refused),
            (7, Cause::Credentials),
            (8, Cause::Size),
            (12, Cause::Signal),
            (13, Cause::Fault),
            (14, Cause::Fault),
            (16, Cause::Credentials),
        ];
        for (code, expected) in cases {
            assert_eq!(over_grpc(code, "no"), expected, "{code}");
        }
        assert_eq!(over_grpc(3, "cumulative sums alone"), Cause::Temporality);
    }
}
