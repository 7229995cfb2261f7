//! Answers over OTLP/HTTP (OTLP specification, *OTLP/HTTP Response*).

use std::time::SystemTime;

use hyper::header::{HeaderMap, LOCATION};

use super::Outcome;
use super::message::{Accepted, accepted, said, with_reason};
use crate::client::{Answer, status_words};

/// Words by which a 5xx is a refusal. Prometheus 3 answers a delta sum with 500 and these; trying again cannot help.
const REFUSALS: [&str; 1] = ["invalid temporality and type combination"];

/// Words by which a 400 is no refusal of the data: what Go's servers and nginx say to plain text on a port for TLS.
const WRONG_SCHEME: [&str; 2] = ["HTTP request to an HTTPS server", "plain HTTP request was sent to HTTPS port"];

/// A 400 gives the data up, so it has to be the backend's own: a proxy's page about it is held as every page is.
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
        400 if !answer.is_html() && !WRONG_SCHEME.iter().any(|words| said.contains(words)) => {
            Outcome::Refused { reason }
        }
        413 => Outcome::TooLarge { reason },
        401 | 403 => Outcome::Unauthorized { reason },
        500..=599 if REFUSALS.iter().any(|words| said.contains(words)) => Outcome::Refused { reason },
        _ => Outcome::Held { reason, retry_after: answer.retry_after(now) },
    }
}

/// A success is one only if its body is an answer to OTLP: login pages and captive portals come with 200, too.
fn success(answer: &Answer, sent: &HeaderMap, now: SystemTime) -> Outcome {
    let held = |what: &str, said: &str| Outcome::Held {
        reason: with_reason(&format!("{}, but {what}", status_words(answer.status)), said, sent),
        retry_after: answer.retry_after(now),
    };
    if let Some(cut) = answer.cut {
        return held(&format!("the answer {}", cut.words()), "");
    }
    match accepted(answer, sent) {
        Accepted::Answer { rejected, message } => Outcome::Delivered { rejected, message },
        Accepted::Foreign if answer.is_html() => held("with a page where an answer to otlp belongs", &said(answer)),
        Accepted::Foreign => held("what came with it is no answer to otlp", &said(answer)),
    }
}

/// A redirect is never followed: it would take the credentials with it.
fn redirect(answer: &Answer, sent: &HeaderMap, now: SystemTime) -> Outcome {
    let head = format!("{}, and redirects are not followed", status_words(answer.status));
    let target = answer.headers.get(LOCATION).map(|target| String::from_utf8_lossy(target.as_bytes()).into_owned());
    // A query may carry a ticket.
    let target = target.and_then(|target| target.split(['?', '#']).next().map(|target| format!("to {target}")));
    Outcome::Held {
        reason: with_reason(&head, &target.unwrap_or_default(), sent),
        retry_after: answer.retry_after(now),
    }
}
