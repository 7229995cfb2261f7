//! One request to a destination and its answer, over OTLP/HTTP or OTLP/gRPC.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE, USER_AGENT,
};
use hyper::http::uri::{Authority, Scheme};
use hyper::{Method, Request, Uri};
use thiserror::Error;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::answer::Outcome;
use crate::client::{Answer, Client, Failure, Lifetime, Proxies};
use crate::otlp::{JsonError, Signal, frame, gzip, protobuf_to_json};
use crate::printable::printable;
use crate::profile::{Destination, Protocol};

/// The most that a destination's timeout counts for; beyond it a clock may overflow.
const LONGEST_TIMEOUT: Duration = Duration::from_hours(1);

/// Exporter, language and version, the product in front (OTLP exporter specification, *User Agent*).
const AGENT: &str =
    concat!("ccrun/", env!("CARGO_PKG_VERSION"), " OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));

/// The most that a request may be in JSON, in bytes. Receivers take no more, and from what is larger in protobuf alone
/// JSON makes several times as much.
const LONGEST_JSON: usize = 64 << 20;

/// Requests up to this, in bytes, become JSON or are compressed where they are, which takes a millisecond; others on a
/// thread of their own, or whoever exports would wait for it.
const SMALL: usize = 128 << 10;

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Carries requests to one destination, keeping its connections open in between.
#[derive(Debug)]
pub struct Transport {
    scheme: Scheme,
    authority: Authority,
    /// The endpoint's path, without slashes at its end.
    prefix: String,
    protocol: Protocol,
    gzip: bool,
    timeout: Duration,
    client: Client,
}

/// What was heard of a request: an answer and what it means, or why there is none.
#[derive(Clone, Debug)]
pub struct Heard(pub Result<(Answer, Outcome), Failure>);

impl Heard {
    /// What became of the request.
    pub fn outcome(self) -> Outcome {
        match self.0 {
            Ok((_, outcome)) => outcome,
            Err(failure) => Outcome::Held { reason: failure.to_string(), retry_after: None },
        }
    }
}

/// Why there is no carrying requests to a destination at all.
#[derive(Debug, Error)]
pub enum TransportError {
    /// The endpoint is no `http` or `https` URL with a host.
    #[error("destination `{name}`: the endpoint `{endpoint}` is not a URL with `http` or `https` and a host")]
    Endpoint {
        /// The destination's name.
        name: String,
        /// The endpoint, fit for a terminal.
        endpoint: String,
    },
}

impl Transport {
    /// Prepares for `destination`; nothing is read or connected yet.
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
        })
    }

    /// Uses the proxy that stands before the destination, if one of these does.
    #[must_use]
    pub fn through(self, proxies: &Proxies) -> Self {
        Self { client: self.client.through(proxies), ..self }
    }

    /// Notes in `lifetime` when the destination's certificate is good.
    #[must_use]
    pub fn noting(self, lifetime: Lifetime) -> Self {
        Self { client: self.client.noting(lifetime), ..self }
    }

    /// The destination's host and port, and the proxy before it.
    pub fn way(&self) -> String {
        self.client.way()
    }

    /// Sends `body`, an `Export…ServiceRequest` in protobuf, with `headers` beside those of the protocol, and says
    /// what became of it. Takes at most the destination's timeout.
    ///
    /// Values in `headers` that are marked sensitive appear in no reason.
    pub async fn send(&self, signal: Signal, body: Bytes, headers: &HeaderMap) -> Outcome {
        match self.ask(signal, body, headers).await {
            Ok(heard) => heard.outcome(),
            Err(outcome) => outcome,
        }
    }

    /// The same with what the outcome is read from; the outcome alone if the request could not be made.
    pub async fn ask(&self, signal: Signal, body: Bytes, headers: &HeaderMap) -> Result<Heard, Outcome> {
        let body = self.encode(signal, body).await?;
        let deadline = Instant::now() + self.timeout;
        let request = self.request(signal, body, headers)?;
        let answer = self.client.exchange(request, deadline).await.map(|answer| {
            let now = SystemTime::now();
            let is_grpc = self.protocol == Protocol::Grpc;
            let outcome = if is_grpc { answer.over_grpc(headers, now) } else { answer.over_http(headers, now) };
            (answer, outcome)
        });
        Ok(Heard(answer))
    }

    /// The body in the encoding of the destination, and compressed for one that takes that.
    async fn encode(&self, signal: Signal, body: Bytes) -> Result<Bytes, Outcome> {
        let body = if self.protocol == Protocol::HttpJson {
            let written = aside(body.len(), move || protobuf_to_json(signal, &body, LONGEST_JSON)).await?;
            written.map(Bytes::from).map_err(|error| not_json(&error))?
        } else {
            body
        };
        if !self.gzip {
            return Ok(body);
        }
        let compressed = aside(body.len(), move || gzip(&body)).await?;
        compressed.map(Bytes::from).map_err(|error| unsent(&error))
    }

    /// The request that carries `body`, which is encoded.
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
        // Those of the protocol go last: nothing in a profile can change what the bytes are.
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

    /// The path of a signal's requests: a general endpoint's with the signal's behind it, a full one as it is
    /// (OTLP exporter specification, *Endpoint URLs for OTLP/HTTP*).
    fn path(&self, signal: Signal) -> String {
        match self.protocol {
            Protocol::Grpc => format!("{}{}", self.prefix, signal.grpc_path()),
            Protocol::HttpProtobuf | Protocol::HttpJson if signal.is_path_of(&self.prefix) => self.prefix.clone(),
            Protocol::HttpProtobuf | Protocol::HttpJson => format!("{}{}", self.prefix, signal.http_path()),
        }
    }
}

/// Does work on so many bytes, on another thread if others would have to wait for it.
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
