//! What an answer comes from: a cause that a person can do something about. Pure, so that a table can test it.

use crate::client::{Answer, FailureKind};
use crate::forward::Outcome;

/// What an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::doctor) enum Cause {
    /// All is well, as far as it says.
    Accepted,
    /// It has taken it, and has something to say.
    Remarked,
    /// It said yes, and took nothing.
    Rejected,
    /// There was no answer.
    Failed(FailureKind),
    /// It does not accept the credentials, or wants some.
    Credentials,
    /// There is nothing at that path.
    Path,
    /// What is at that path takes no requests like ours.
    Method,
    /// It does not take how the request is encoded.
    Encoding,
    /// It finds one record too large.
    Size,
    /// It sends us elsewhere.
    Redirect,
    /// It answers people, with a page.
    Page,
    /// It is spoken to in plain text, and wants TLS.
    WantsTls,
    /// It takes no deltas.
    Temporality,
    /// It does not take this signal.
    Signal,
    /// It asks for less.
    Throttled,
    /// It cannot at the moment.
    Fault,
    /// It refuses the record for a reason of its own.
    Refused,
    /// Anything else.
    Other,
}

/// Words by which a refusal is one of deltas: Prometheus' and Mimir's are `invalid temporality and type combination`,
/// Grafana's and others' name the one or the other.
const OF_TEMPORALITY: [&str; 3] = ["temporality", "delta metric", "cumulative"];

/// Words by which a 400 is one of plain text on a port for TLS: Go's and nginx's.
const OF_PLAIN_TEXT: [&str; 2] = ["HTTP request to an HTTPS server", "plain HTTP request was sent to HTTPS port"];

/// What an answer comes from, and what it means for the data.
pub(super) fn cause(answer: &Answer, outcome: &Outcome) -> Cause {
    let reason = match outcome {
        Outcome::Delivered { rejected: 0, message: None } => return Cause::Accepted,
        Outcome::Delivered { rejected: 0, .. } => return Cause::Remarked,
        Outcome::Delivered { message, .. } if is_of_temporality(message.as_deref().unwrap_or_default()) => {
            return Cause::Temporality;
        }
        Outcome::Delivered { .. } => return Cause::Rejected,
        Outcome::Unauthorized { .. } => return Cause::Credentials,
        Outcome::TooLarge { .. } => return Cause::Size,
        Outcome::Refused { reason } | Outcome::Held { reason, .. } => reason,
    };
    if let Some(status) = reason.strip_prefix("grpc status ").filter(|status| !status.starts_with("OK")) {
        return of_grpc(status, reason);
    }
    if OF_PLAIN_TEXT.iter().any(|words| reason.contains(words)) {
        return Cause::WantsTls;
    }
    match answer.status.as_u16() {
        300..=399 => Cause::Redirect,
        404 | 410 => Cause::Path,
        405 => Cause::Method,
        415 => Cause::Encoding,
        429 => Cause::Throttled,
        _ if is_of_temporality(reason) => Cause::Temporality,
        400 if matches!(outcome, Outcome::Refused { .. }) => Cause::Refused,
        500..=599 => Cause::Fault,
        _ if answer.is_html() => Cause::Page,
        _ => Cause::Other,
    }
}

/// By the status's name, which begins `status` (gRPC, *Status codes and their use in gRPC*).
fn of_grpc(status: &str, reason: &str) -> Cause {
    let name = status.split(':').next().unwrap_or_default();
    match name {
        _ if is_of_temporality(reason) => Cause::Temporality,
        "UNIMPLEMENTED" | "NOT_FOUND" => Cause::Signal,
        "INVALID_ARGUMENT" => Cause::Refused,
        "RESOURCE_EXHAUSTED" => Cause::Throttled,
        "UNAVAILABLE" | "INTERNAL" | "DEADLINE_EXCEEDED" | "UNKNOWN" | "ABORTED" | "CANCELLED" => Cause::Fault,
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
    fn every_answer_comes_from_something() {
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
    fn every_status_of_grpc_comes_from_something() {
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
