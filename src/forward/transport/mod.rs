//! One request to a destination and its answer, over OTLP/HTTP or OTLP/gRPC.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, TE, USER_AGENT,
};
use hyper::http::uri::{Authority, Scheme};
use hyper::{Method, Request, Uri};
use thiserror::Error;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::answer::Outcome;
use crate::client::{Answer, CertificateLifetime, Client, Failure, Proxies};
use crate::otlp::{JsonError, Signal, frame, gzip, protobuf_to_json};
use crate::profile::{Destination, Protocol};
use crate::state::clock::Ages;
use crate::terminal::printable::printable;

/// The longest timeout of a destination that is honoured; beyond it a clock may overflow.
const LONGEST_TIMEOUT: Duration = Duration::from_hours(1);

/// Exporter, language and version, with the product in front (OTLP exporter specification, *User Agent*).
const AGENT: &str =
    concat!("ccrun/", env!("CARGO_PKG_VERSION"), " OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));

/// The size limit of a request in JSON, in bytes. Receivers take no more, and a body that exceeds the limit in protobuf
/// is several times as large in JSON.
const LONGEST_JSON: usize = 64 << 20;

/// Requests up to this size, in bytes, are converted to JSON or compressed in place, which takes a millisecond. Larger
/// ones get a thread, because exporters would otherwise have to wait.
const SMALL: usize = 128 << 10;

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Carries requests to one destination, keeping its connections open in between.
#[derive(Debug)]
pub struct Transport {
    scheme: Scheme,
    authority: Authority,
    /// The endpoint's path, without trailing slashes.
    prefix: String,
    protocol: Protocol,
    gzip: bool,
    timeout: Duration,
    client: Client,
    /// Receives the time that the destination's clock shows.
    ages: Option<Ages>,
}

/// The body of a request as it goes over the wire.
#[derive(Clone, Debug)]
pub struct Encoded {
    signal: Signal,
    body: Bytes,
}

impl Encoded {
    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.body.len()
    }
}

/// The result of a request: an answer and its meaning, or the reason why there is no answer.
#[derive(Clone, Debug)]
pub struct Heard(pub Result<(Answer, Outcome), Failure>);

impl Heard {
    /// The outcome of the request.
    pub fn outcome(self) -> Outcome {
        match self.0 {
            Ok((_, outcome)) => outcome,
            Err(failure) => Outcome::Held { reason: failure.to_string(), retry_after: None },
        }
    }
}

/// Why no requests can be carried to a destination.
#[derive(Debug, Error)]
pub enum TransportError {
    /// The endpoint is not an `http` or `https` URL with a host.
    #[error("destination `{name}`: the endpoint `{endpoint}` is not a URL with `http` or `https` and a host")]
    Endpoint {
        /// The destination's name.
        name: String,
        /// The endpoint, printable on a terminal.
        endpoint: String,
    },
}

impl Transport {
    /// Creates a transport to `destination`; nothing is read or connected yet.
    pub fn new(destination: &Destination) -> Result<Self, TransportError> {
        let invalid =
            || TransportError::Endpoint { name: destination.name.clone(), endpoint: printable(&destination.endpoint) };
        let endpoint: Uri = destination.endpoint.parse().map_err(|_| invalid())?;
        let prefix = endpoint.path().trim_end_matches('/').to_owned();
        let parts = endpoint.clone().into_parts();
        let scheme = parts.scheme.filter(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
        let timeout = destination.timeout.min(LONGEST_TIMEOUT);
        let client = Client::new(endpoint, destination.tls.clone(), timeout);
        Ok(Self {
            scheme: scheme.ok_or_else(invalid)?,
            authority: parts.authority.ok_or_else(invalid)?,
            prefix,
            protocol: destination.protocol,
            gzip: destination.gzip,
            timeout,
            client: if destination.protocol == Protocol::Grpc { client.http2() } else { client },
            ages: None,
        })
    }

    /// Uses the proxy for the destination, if one of these applies.
    #[must_use]
    pub fn through(self, proxies: &Proxies) -> Self {
        Self { client: self.client.through(proxies), ..self }
    }

    /// Records in `lifetime` when the destination's certificate is valid.
    #[must_use]
    pub fn noting(self, lifetime: CertificateLifetime) -> Self {
        Self { client: self.client.noting(lifetime), ..self }
    }

    /// Uses the dates of the answers as one more clock.
    #[must_use]
    pub fn hearing(self, ages: &Ages) -> Self {
        Self { ages: Some(ages.clone()), ..self }
    }

    /// The destination's host and port, and the proxy in front of it.
    pub fn way(&self) -> String {
        self.client.way()
    }

    /// Sends `body`, an `Export…ServiceRequest` in protobuf, with `headers` beside those of the protocol, and returns
    /// the outcome. Takes at most the destination's timeout.
    ///
    /// Values in `headers` that are marked sensitive do not appear in any reason.
    pub async fn send(&self, signal: Signal, body: Bytes, headers: &HeaderMap) -> Outcome {
        match self.encode(signal, body).await {
            Ok(encoded) => self.send_encoded(&encoded, headers).await,
            Err(outcome) => outcome,
        }
    }

    /// The same for an encoded body.
    pub async fn send_encoded(&self, encoded: &Encoded, headers: &HeaderMap) -> Outcome {
        match self.ask_encoded(encoded, headers).await {
            Ok(heard) => heard.outcome(),
            Err(outcome) => outcome,
        }
    }

    /// Like [`Self::send`], but returns the answer with its outcome; only the outcome if the request could not be made.
    pub async fn ask(&self, signal: Signal, body: Bytes, headers: &HeaderMap) -> Result<Heard, Outcome> {
        self.ask_encoded(&self.encode(signal, body).await?, headers).await
    }

    async fn ask_encoded(&self, encoded: &Encoded, headers: &HeaderMap) -> Result<Heard, Outcome> {
        let Encoded { signal, body } = encoded.clone();
        let deadline = Instant::now() + self.timeout;
        let request = self.request(signal, body, headers)?;
        let answer = self.client.exchange(request, deadline).await.map(|answer| {
            #[expect(clippy::disallowed_methods, reason = "the moment at which the answer came")]
            let now = SystemTime::now();
            let date = answer.headers.get(DATE).and_then(|date| date.to_str().ok());
            if let Some((ages, date)) =
                self.ages.as_ref().zip(date.and_then(|date| httpdate::parse_http_date(date).ok()))
            {
                ages.hear(date);
            }
            let is_grpc = self.protocol == Protocol::Grpc;
            let outcome = if is_grpc { answer.over_grpc(headers, now) } else { answer.over_http(headers, now) };
            (answer, outcome)
        });
        Ok(Heard(answer))
    }

    /// Encodes `body`, an `Export…ServiceRequest` in protobuf, for the destination, and compresses it if the
    /// destination takes that.
    pub async fn encode(&self, signal: Signal, body: Bytes) -> Result<Encoded, Outcome> {
        let body = if self.protocol == Protocol::HttpJson {
            let written = aside(body.len(), move || protobuf_to_json(signal, &body, LONGEST_JSON)).await?;
            written.map(Bytes::from).map_err(|error| not_json(&error))?
        } else {
            body
        };
        if !self.gzip {
            return Ok(Encoded { signal, body });
        }
        let compressed = aside(body.len(), move || gzip(&body)).await?;
        let body = compressed.map(Bytes::from).map_err(|error| unsent(&error))?;
        Ok(Encoded { signal, body })
    }

    /// The request that carries the encoded `body`.
    fn request(&self, signal: Signal, mut body: Bytes, headers: &HeaderMap) -> Result<Request<Full<Bytes>>, Outcome> {
        let is_grpc = self.protocol == Protocol::Grpc;
        if is_grpc {
            body = frame(&body, self.gzip).map_err(|error| Outcome::TooLarge { reason: error.to_string() })?;
        }
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone());
        let uri = uri.path_and_query(self.path(signal)).build().map_err(|error| unsent(&error))?;
        let length = body.len();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        // The protocol's headers go last: nothing in a profile can change the meaning of the bytes.
        let all = request.headers_mut();
        all.clone_from(headers);
        all.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        all.insert(CONTENT_LENGTH, HeaderValue::from(length));
        if is_grpc {
            self.add_grpc_headers(all);
        } else {
            self.add_http_headers(all);
        }
        Ok(request)
    }

    fn add_http_headers(&self, headers: &mut HeaderMap) {
        let is_json = self.protocol == Protocol::HttpJson;
        let media_type = if is_json { "application/json" } else { "application/x-protobuf" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        if self.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
    }

    fn add_grpc_headers(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("identity,gzip"));
        headers.extend(grpc_timeout(self.timeout).map(|value| (GRPC_TIMEOUT, value)));
        if self.gzip {
            headers.insert(GRPC_ENCODING, HeaderValue::from_static("gzip"));
        }
    }

    /// The path of a signal's requests: a general endpoint's path followed by the signal's, a full endpoint's path as
    /// it is (OTLP exporter specification, *Endpoint URLs for OTLP/HTTP*).
    fn path(&self, signal: Signal) -> String {
        match self.protocol {
            Protocol::Grpc => format!("{}{}", self.prefix, signal.grpc_path()),
            Protocol::HttpProtobuf | Protocol::HttpJson if signal.is_path_of(&self.prefix) => self.prefix.clone(),
            Protocol::HttpProtobuf | Protocol::HttpJson => format!("{}{}", self.prefix, signal.http_path()),
        }
    }
}

/// Does work on this many bytes, on another thread if others would have to wait for it.
async fn aside<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Outcome> {
    if bytes <= SMALL { Ok(work()) } else { spawn_blocking(work).await.map_err(|error| unsent(&error)) }
}

fn not_json(error: &JsonError) -> Outcome {
    let reason = format!("the request cannot be made json: {error}");
    match error {
        JsonError::TooLarge(_) => Outcome::TooLarge { reason },
        _ => Outcome::Refused { reason },
    }
}

fn unsent(error: &dyn std::error::Error) -> Outcome {
    Outcome::Held { reason: format!("the request could not be made: {error}"), retry_after: None }
}

/// At most eight digits and a unit (gRPC over HTTP2, *Timeout*).
fn grpc_timeout(timeout: Duration) -> Option<HeaderValue> {
    let milliseconds = timeout.as_millis();
    let value = if milliseconds < 100_000_000 {
        format!("{milliseconds}m")
    } else {
        format!("{}S", timeout.as_secs().min(99_999_999))
    };
    HeaderValue::try_from(value).ok()
}

#[cfg(test)]
mod tests;
