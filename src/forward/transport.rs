//! One request to a destination and its answer, over OTLP/HTTP or OTLP/gRPC.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE, USER_AGENT,
};
use hyper::http::uri::{Authority, Scheme};
use hyper::{Method, Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{HttpConnector, capture_connection};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use thiserror::Error;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::answer::{ANSWER_LIMIT, Answer, Cut, Outcome};
use super::failure;
use super::tls::{self, TlsError};
use crate::otlp::{Signal, frame, gzip};
use crate::printable::printable;
use crate::profile::{Destination, Protocol};

/// The longest that reading an answer may take, from its headers on. It is a count and a message.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// The most that a destination's timeout counts for; beyond it a clock may overflow.
const LONGEST_TIMEOUT: Duration = Duration::from_hours(1);

/// How long a connection is kept open for the next request: several of the ten seconds between a session's metrics.
const IDLE_TIME: Duration = Duration::from_secs(45);

/// How many idle connections are kept: one serves the batches of a destination, a second what overlaps.
const IDLE_CONNECTIONS: usize = 2;

/// The window that a backend may fill before it is read, in bytes: HTTP/2's own default, which holds any answer.
const WINDOW: u32 = 65_535;

/// Exporter, language and version, the product in front (OTLP exporter specification, *User Agent*).
const AGENT: &str =
    concat!("ccrun/", env!("CARGO_PKG_VERSION"), " OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Carries requests to one destination, keeping its connections open in between.
///
/// To be used inside a Tokio runtime, whose timer closes idle connections.
#[derive(Debug)]
pub struct Transport {
    scheme: Scheme,
    authority: Authority,
    /// The endpoint's path, without slashes at its end.
    prefix: String,
    protocol: Protocol,
    gzip: bool,
    timeout: Duration,
    ca: Option<PathBuf>,
    /// Made with the first request, for the TLS roots take memory, and again after failures that it may be to blame for.
    client: Mutex<Option<HttpClient>>,
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
        let path = endpoint.path().trim_end_matches('/').to_owned();
        let parts = endpoint.into_parts();
        let scheme = parts.scheme.filter(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
        Ok(Self {
            scheme: scheme.ok_or_else(invalid)?,
            authority: parts.authority.ok_or_else(invalid)?,
            prefix: path,
            protocol: destination.protocol,
            gzip: destination.gzip,
            timeout: destination.timeout.min(LONGEST_TIMEOUT),
            ca: destination.tls.ca.clone(),
            client: Mutex::default(),
        })
    }

    /// Sends `body`, an `Export…ServiceRequest` in protobuf, with `headers` beside those of the protocol, and says
    /// what became of it. Takes at most the destination's timeout.
    ///
    /// Values in `headers` that are marked sensitive appear in no reason.
    pub async fn send(&self, signal: Signal, body: Bytes, headers: &HeaderMap) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        let request = match self.request(signal, body, headers) {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        match self.exchange(request, deadline).await {
            Ok(answer) if self.protocol == Protocol::Grpc => answer.over_grpc(headers, SystemTime::now()),
            Ok(answer) => answer.over_http(headers, SystemTime::now()),
            Err(reason) => Outcome::Held { reason, retry_after: None },
        }
    }

    /// The answer to `request`, or why there is none.
    async fn exchange(&self, mut request: Request<Full<Bytes>>, deadline: Instant) -> Result<Answer, String> {
        let client = self.client().await.map_err(|error| printable(&error.to_string()))?;
        let connection = capture_connection(&mut request);
        let Ok(response) = timeout_at(deadline, client.request(request)).await else {
            self.forget_connections();
            let is_connected = connection.connection_metadata().is_some();
            let words = if is_connected { failure::answer_timed_out } else { failure::connecting_timed_out };
            return Err(words(self.authority.as_str(), self.timeout));
        };
        let response = response.map_err(|error| self.failed(&error))?;
        let answer = read(response, deadline.min(Instant::now() + ANSWER_TIME)).await;
        if answer.cut == Some(Cut::TooLate) {
            self.forget_connections();
        }
        Ok(answer)
    }

    fn failed(&self, error: &ClientError) -> String {
        if failure::is_tls(error) {
            // Whoever adds an authority to the machine or to the file should not have to end the session for it.
            self.forget_connections();
        }
        failure::reason(error, self.authority.as_str(), self.timeout)
    }

    async fn client(&self) -> Result<HttpClient, TlsError> {
        if let Some(client) = self.lock_client().as_ref() {
            return Ok(client.clone());
        }
        let config = if self.scheme == Scheme::HTTPS {
            let ca = self.ca.clone();
            let read = spawn_blocking(move || tls::client_config(ca.as_deref())).await;
            read.map_err(|error| TlsError::Setup(rustls::Error::General(error.to_string())))??
        } else {
            tls::unused_config()?
        };
        let client = self.build_client(config);
        Ok(self.lock_client().insert(client).clone())
    }

    fn build_client(&self, config: rustls::ClientConfig) -> HttpClient {
        let is_grpc = self.protocol == Protocol::Grpc;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        // Shared out among a name's addresses, so that one which swallows everything does not hide the others.
        http.set_connect_timeout(Some(self.timeout));
        let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        let connector = if is_grpc { connector.enable_http2() } else { connector.enable_all_versions() };
        Client::builder(TokioExecutor::new())
            .http2_only(is_grpc)
            .http2_initial_stream_window_size(WINDOW)
            .http2_initial_connection_window_size(WINDOW)
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector.wrap_connector(http))
    }

    /// The next request connects anew. A machine that slept has connections that are dead and do not know it, and
    /// every request on one of HTTP/2's would go the way of the first.
    fn forget_connections(&self) {
        *self.lock_client() = None;
    }

    fn lock_client(&self) -> MutexGuard<'_, Option<HttpClient>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, signal: Signal, body: Bytes, headers: &HeaderMap) -> Result<Request<Full<Bytes>>, Outcome> {
        let is_grpc = self.protocol == Protocol::Grpc;
        let mut body = if self.gzip { gzip(&body).map(Bytes::from).map_err(|error| unsent(&error))? } else { body };
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
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
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
            Protocol::HttpProtobuf | Protocol::HttpJson if self.is_full(signal) => self.prefix.clone(),
            Protocol::HttpProtobuf | Protocol::HttpJson => format!("{}{}", self.prefix, signal.http_path()),
        }
    }

    /// Whether the endpoint is the signal's own, to be used as it is.
    fn is_full(&self, signal: Signal) -> bool {
        let own = |path: &(Signal, &str)| path.0 == signal && self.prefix.ends_with(path.1);
        self.prefix.ends_with(signal.http_path()) || FULL_PATHS.iter().any(own)
    }
}

/// Paths of a signal that do not end as the specification's do: Splunk's ("Send data to Splunk Observability Cloud").
const FULL_PATHS: [(Signal, &str); 2] = [(Signal::Metrics, "/v2/datapoint/otlp"), (Signal::Traces, "/v2/trace/otlp")];

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

/// Reads an answer until `deadline` and up to [`ANSWER_LIMIT`]. What is not read is dropped with its connection.
async fn read(response: Response<Incoming>, deadline: Instant) -> Answer {
    let (head, mut body) = response.into_parts();
    let mut answer = Answer { status: head.status, headers: head.headers, ..Answer::default() };
    let mut bytes = BytesMut::new();
    answer.cut = loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => break Some(Cut::BrokenOff),
            Ok(None) => break None,
            Err(_) => break Some(Cut::TooLate),
        };
        match frame.into_data() {
            Ok(data) => {
                let room = ANSWER_LIMIT - bytes.len();
                bytes.extend_from_slice(data.get(..room).unwrap_or(&data));
                if data.len() > room {
                    break Some(Cut::TooLong);
                }
            }
            Err(frame) => answer.trailers = frame.into_trailers().unwrap_or_default(),
        }
    };
    answer.body = bytes.freeze();
    answer
}

#[cfg(test)]
mod tests;
