//! Why a request got no answer, in actionable words.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use hyper::StatusCode;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, InvalidMessage};

use super::answer::status_words;
use super::connect::{ProxyFailure, ProxyFault};
use crate::terminal::printable::printable;

/// Why a request got no answer, in actionable words. They contain nothing from the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The part of the connection that failed.
    pub kind: FailureKind,
    words: String,
}

/// The part of the connection to a server that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Its name has no address.
    Name,
    /// Nothing accepts connections there.
    Unreached,
    /// It accepted the connection and does not answer.
    Silent,
    /// It closed the connection without an answer.
    Closed,
    /// It speaks another protocol, or only one side speaks TLS.
    Language,
    /// Its certificate has expired.
    Expired,
    /// Its certificate is for another name.
    OtherName,
    /// Its certificate is from an authority that is not trusted here.
    UnknownAuthority,
    /// Its certificate is not accepted for another reason.
    Certificate,
    /// It requires another client certificate, or ours is unusable.
    Identity,
    /// The proxy before it failed, or refused.
    Proxy,
    /// Anything else.
    Other,
}

impl Failure {
    pub(super) fn new(kind: FailureKind, words: impl Into<String>) -> Self {
        Self { kind, words: words.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words)
    }
}

/// The reason for `error` in a request to `host` (with its port) with a `timeout`. It contains nothing from the
/// request.
pub(super) fn reason(error: &(dyn Error + 'static), host: &str, timeout: Duration) -> Failure {
    for cause in causes(error) {
        if let Some(failure) = cause.downcast_ref::<ProxyFailure>() {
            return proxy_reason(failure, host, timeout);
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return tls_reason(tls, host);
        }
        if let Some(failure) = reason_by_words(&cause.to_string(), host) {
            return failure;
        }
        if let Some(failure) = cause.downcast_ref::<hyper::Error>().and_then(|error| http_reason(error, host)) {
            return failure;
        }
        if let Some(failure) = cause.downcast_ref::<io::Error>().and_then(|error| io_reason(error, host, timeout)) {
            return failure;
        }
    }
    let last = causes(error).last().map(ToString::to_string).unwrap_or_default();
    Failure::new(FailureKind::Other, format!("the request to {host} failed: {}", printable(&last)))
}

/// Recognises errors by their text, because hyper, hyper-util and h2 keep these types private. Tests guard the texts.
fn reason_by_words(error: &str, host: &str) -> Option<Failure> {
    if error == "dns error" {
        let words = format!("cannot find the address of {host}: is the name right, and the network up?");
        return Some(Failure::new(FailureKind::Name, words));
    }
    if error.starts_with("received unexpected message from connection") {
        // A gRPC server speaks first.
        return Some(no_http1(host));
    }
    error.ends_with("frame with invalid size").then(|| {
        let words = format!(
            "{host} answered with something other than http/2, which grpc needs: should the protocol be \
             `http/protobuf`, or the endpoint begin with `https://`?"
        );
        Failure::new(FailureKind::Language, words)
    })
}

/// Whether `error` concerns certificates or the handshake, so that other roots could help.
pub(super) fn is_tls(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(<dyn Error + 'static>::is::<rustls::Error>)
}

/// The time limit passed before there was a connection.
pub(super) fn connecting_timed_out(host: &str, timeout: Duration) -> Failure {
    Failure::new(FailureKind::Unreached, format!("cannot connect to {host} within {timeout:?}"))
}

/// The time limit passed before there was an answer.
pub(super) fn answer_timed_out(host: &str, timeout: Duration) -> Failure {
    Failure::new(FailureKind::Silent, format!("{host} did not answer within {timeout:?}"))
}

/// A proxy requires credentials, or rejects the ones that it `were_given`.
pub(super) fn proxy_unauthorized(proxy: &str, were_given: bool) -> Failure {
    let words = if were_given {
        format!("{proxy} did not accept the credentials in its URL: 407 proxy authentication required")
    } else {
        format!("{proxy} wants credentials: its URL takes them, as http://USER:PASSWORD@HOST:PORT")
    };
    Failure::new(FailureKind::Proxy, words)
}

fn proxy_reason(failure: &ProxyFailure, host: &str, timeout: Duration) -> Failure {
    let ProxyFailure { proxy, what } = failure;
    let words = match what {
        ProxyFault::Failed(error) => reason(error.as_ref(), proxy, timeout).words,
        ProxyFault::Garbled => format!("{proxy} answered with something other than http/1.1: is it a proxy of http?"),
        ProxyFault::Unauthorized { were_given } => return proxy_unauthorized(proxy, *were_given),
        ProxyFault::Refused(StatusCode::FORBIDDEN) => {
            format!("{proxy} does not allow connections to {host}: 403 forbidden")
        }
        ProxyFault::Refused(status) => format!("{proxy} did not connect to {host}: {}", status_words(*status)),
    };
    Failure::new(FailureKind::Proxy, words)
}

/// An error and its causes. An `io::Error` does not report the error that it wraps as its source, so it is handled
/// separately.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(wrapper) => wrapper.get_ref().map(|inner| -> &'a (dyn Error + 'static) { inner }),
        None => error.source(),
    })
}

fn io_reason(error: &io::Error, host: &str, timeout: Duration) -> Option<Failure> {
    use io::ErrorKind;
    let unreached = |words: String| Failure::new(FailureKind::Unreached, words);
    Some(match error.kind() {
        ErrorKind::ConnectionRefused => {
            unreached(format!("{host} refused the connection: does anything listen there?"))
        }
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::NetworkDown => {
            unreached(format!("no network reaches {host}"))
        }
        ErrorKind::TimedOut => connecting_timed_out(host, timeout),
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => closed(host),
        _ => return None,
    })
}

fn http_reason(error: &hyper::Error, host: &str) -> Option<Failure> {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Some(closed(host));
    }
    error.is_parse().then(|| no_http1(host))
}

fn no_http1(host: &str) -> Failure {
    let words = format!(
        "{host} answered with something other than http/1.1: should the protocol be `grpc`, or the endpoint begin with \
         `https://`?"
    );
    Failure::new(FailureKind::Language, words)
}

fn closed(host: &str) -> Failure {
    Failure::new(FailureKind::Closed, format!("{host} closed the connection without an answer"))
}

fn tls_reason(error: &rustls::Error, host: &str) -> Failure {
    match error {
        rustls::Error::InvalidCertificate(error) => {
            Failure::new(certificate_kind(error), certificate_words(error, host))
        }
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            let words = format!("{host} does not speak tls: should the endpoint begin with `http://`?");
            Failure::new(FailureKind::Language, words)
        }
        rustls::Error::AlertReceived(alert) => alert_reason(*alert, host),
        other => Failure::new(FailureKind::Other, format!("tls with {host} failed: {}", printable(&other.to_string()))),
    }
}

/// The reason in a TLS alert that the server sent before it closed the connection (RFC 8446, 6.2).
pub(super) fn alert_reason(alert: AlertDescription, host: &str) -> Failure {
    use AlertDescription as Alert;
    let kind = match alert {
        Alert::NoApplicationProtocol => FailureKind::Language,
        Alert::CertificateRequired
        | Alert::CertificateExpired
        | Alert::CertificateRevoked
        | Alert::UnknownCA
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateUnknown
        | Alert::DecryptError
        | Alert::AccessDenied
        | Alert::HandshakeFailure => FailureKind::Identity,
        _ => FailureKind::Other,
    };
    Failure::new(kind, alert_words(alert, host))
}

fn alert_words(alert: AlertDescription, host: &str) -> String {
    use AlertDescription as Alert;
    match alert {
        Alert::NoApplicationProtocol => {
            format!("{host} does not offer http/2, which grpc needs: should the protocol be `http/protobuf`?")
        }
        Alert::CertificateRequired => format!("{host} wants a client certificate: `tls.cert` and `tls.key` name one"),
        Alert::CertificateExpired => format!("{host} says that our client certificate, `tls.cert`, has expired"),
        Alert::CertificateRevoked => format!("{host} says that our client certificate, `tls.cert`, has been revoked"),
        // Some TLS 1.2 servers send the same alert if there is no client certificate.
        Alert::UnknownCA
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateUnknown
        | Alert::DecryptError
        | Alert::AccessDenied => {
            format!("{host} wants a client certificate, and another than `tls.cert` gives, if it does ({alert:?})")
        }
        Alert::HandshakeFailure => {
            format!("{host} broke off the tls handshake: does it want a client certificate, `tls.cert`? ({alert:?})")
        }
        alert => format!("{host} broke off the tls handshake with {alert:?}"),
    }
}

fn certificate_kind(error: &CertificateError) -> FailureKind {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => FailureKind::Expired,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => FailureKind::OtherName,
        CertificateError::UnknownIssuer => FailureKind::UnknownAuthority,
        _ => FailureKind::Certificate,
    }
}

fn certificate_words(error: &CertificateError, host: &str) -> String {
    match error {
        CertificateError::Expired => format!("the certificate of {host} has expired"),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the certificate of {host} has expired, on {}", day(*not_after))
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {host} is not valid yet: is this machine's clock right?")
        }
        CertificateError::NotValidForName => format!("the certificate of {host} is for another name"),
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<_> = presented.iter().map(|name| format!("`{}`", printable(plain_name(name)))).collect();
            format!("the certificate of {host} is for another name, {}", names.join(", "))
        }
        CertificateError::UnknownIssuer => format!(
            "the certificate of {host} is from an authority that is not trusted here: a company's own goes among the \
             system's, or for a destination into `tls.ca`"
        ),
        CertificateError::Revoked => format!("the certificate of {host} has been revoked"),
        other => format!("the certificate of {host} is not accepted: {}", printable(&other.to_string())),
    }
}

/// The date of a time, in UTC.
fn day(moment: UnixTime) -> String {
    let second = i64::try_from(moment.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(second).unwrap_or_default().strftime("%Y-%m-%d").to_string()
}

/// webpki reports names in their debug form, `DnsName("example.com")`.
fn plain_name(name: &str) -> &str {
    name.strip_prefix("DnsName(\"").and_then(|name| name.strip_suffix("\")")).unwrap_or(name)
}
