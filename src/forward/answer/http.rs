//! Answers over OTLP/HTTP (OTLP specification, *OTLP/HTTP Response*).

use std::time::SystemTime;

use hyper::header::{HeaderMap, LOCATION};

use super::Outcome;
use super::message::{Accepted, accepted, said, with_reason};
use crate::client::{Answer, status_words};

/// Phrases that make a 5xx a refusal. Prometheus 3 answers a delta sum with 500 and this phrase; a retry cannot help.
const REFUSALS: [&str; 1] = ["invalid temporality and type combination"];

/// Phrases that show that a 400 does not refuse the data: Go's servers and nginx answer so to plain text on a TLS port.
const WRONG_SCHEME: [&str; 2] = ["HTTP request to an HTTPS server", "plain HTTP request was sent to HTTPS port"];

/// Whether the backend says that it received plain text on a TLS port.
pub(super) fn wants_tls(said: &str) -> bool {
    WRONG_SCHEME.iter().any(|words| said.contains(words))
}

/// A 400 gives the data up, so it has to come from the backend itself. A proxy's page holds the data, as any page does.
pub(super) fn outcome(answer: &Answer, sent: &HeaderMap, now: SystemTime) -> Outcome {
    if answer.status.is_success() {
        return success(answer, sent, now);
    }
    if answer.status.is_redirection() {
        return redirect(answer, sent, now);
    }
    let said = said(answer);
    let reason = with_reason(&status_words(answer.status), &said, sent);
    match answer.status.as_u16() {
        400 if !answer.is_html() && !wants_tls(&said) => Outcome::Refused { reason },
        413 => Outcome::TooLarge { reason },
        401 | 403 => Outcome::Unauthorized { reason },
        500..=599 if REFUSALS.iter().any(|words| said.contains(words)) => Outcome::Refused { reason },
        _ => Outcome::Held { reason, retry_after: answer.retry_after(now) },
    }
}

/// A success counts even if its body is too long or broken, because sending again would count the data twice. But
/// login pages and captive portals also answer 200, and some backends report in the body that they took nothing.
fn success(answer: &Answer, sent: &HeaderMap, now: SystemTime) -> Outcome {
    let held = |what: &str| Outcome::Held {
        reason: with_reason(&format!("{}, but {what}", status_words(answer.status)), &said(answer), sent),
        retry_after: answer.retry_after(now),
    };
    match accepted(answer, sent) {
        Accepted::Answer { rejected, message } => Outcome::Delivered { rejected, message },
        Accepted::Page => held("with a page where an answer to otlp belongs"),
        Accepted::Failure => held("what came with it is no answer to otlp"),
    }
}

/// A redirect is never followed: it would take the credentials with it.
fn redirect(answer: &Answer, sent: &HeaderMap, now: SystemTime) -> Outcome {
    let head = format!("{}, and redirects are not followed", status_words(answer.status));
    let target = answer.headers.get(LOCATION).map(|target| String::from_utf8_lossy(target.as_bytes()).into_owned());
    // A query may carry an access token.
    let target = target.and_then(|target| target.split(['?', '#']).next().map(|target| format!("to {target}")));
    Outcome::Held {
        reason: with_reason(&head, &target.unwrap_or_default(), sent),
        retry_after: answer.retry_after(now),
    }
}
