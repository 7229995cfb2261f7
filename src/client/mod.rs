//! A client of one server. It keeps connections open, with the certificates and the proxy they need, and returns an
//! answer or the reason why there is none.

mod answer;
mod connect;
mod failure;
mod lifetime;
mod proxy;
mod repeated;
mod stream;
mod tls;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::PROXY_AUTHORIZATION;
use hyper::http::uri::Scheme;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::{HttpConnector, capture_connection};
use hyper_util::client::legacy::{Client as Pool, Error as PoolError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use connect::{Connector, Listening};
use proxy::{Proxy, UnusableProxy};
use stream::LastAlert;
use tls::{Stamp, TlsError};

pub use answer::{ANSWER_LIMIT, Answer, Cut};
pub(crate) use answer::{html_words, status_words};
pub use failure::{Failure, FailureKind};
pub use lifetime::{CertificateLifetime, ValidityPeriod};
pub use proxy::{Proxies, is_this_machine};
pub(crate) use repeated::without;
pub use tls::Tls;

use crate::terminal::printable::printable;

/// The maximum time to read an answer, counted from its headers. It is a count and a message.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// How long a connection stays open for the next request: several of the ten-second intervals between a session's
/// metrics.
const IDLE_TIME: Duration = Duration::from_secs(45);

/// The number of idle connections to keep: one for the batches of a destination, and one for overlapping requests.
const IDLE_CONNECTIONS: usize = 2;

/// The window that a backend may fill before it is read, in bytes. It is HTTP/2's default, and holds any answer.
const WINDOW: u32 = 65_535;

type Connections = Pool<Listening, Full<Bytes>>;

/// A client of one server. Nothing is read or connected before the first request.
///
/// Must be used inside a Tokio runtime, whose timer closes idle connections.
#[derive(Debug)]
pub struct Client {
    server: Uri,
    tls: Tls,
    timeout: Duration,
    is_http2: bool,
    proxy: Result<Option<Proxy>, UnusableProxy>,
    lifetime: Option<CertificateLifetime>,
    /// Created with the first request, because the TLS roots take memory. It is created again if files have changed,
    /// and after failures that it may have caused.
    made: Mutex<Option<PoolState>>,
}

/// Connections, and the stamp of the files that they were created with.
#[derive(Clone, Debug)]
struct PoolState {
    connections: Connections,
    heard: LastAlert,
    files: Stamp,
}

impl Client {
    /// A client for the server of a URL, which has a scheme and a host. `timeout` limits connecting to all addresses of
    /// a name together.
    pub fn new(server: Uri, tls: Tls, timeout: Duration) -> Self {
        Self { server, tls, timeout, is_http2: false, proxy: Ok(None), lifetime: None, made: Mutex::default() }
    }

    /// Uses HTTP/2 from the first byte, even without TLS, as gRPC does.
    #[must_use]
    pub fn http2(self) -> Self {
        Self { is_http2: true, ..self }
    }

    /// Uses the proxy for the server, if there is one.
    #[must_use]
    pub fn through(self, proxies: &Proxies) -> Self {
        Self { proxy: proxies.before(&self.server), ..self }
    }

    /// Records the validity period of the server's certificate in `lifetime`.
    #[must_use]
    pub fn noting(self, lifetime: CertificateLifetime) -> Self {
        Self { lifetime: Some(lifetime), ..self }
    }

    /// Sends `request`, which must be for this server, and returns the answer. If there is none by `deadline`, the
    /// failure explains why, in words for a person who can fix it, and without any content of the request.
    pub async fn exchange(&self, request: Request<Full<Bytes>>, deadline: Instant) -> Result<Answer, Failure> {
        let response = self.send(request, deadline, self.timeout).await?;
        let answer = read(response, deadline.min(Instant::now() + ANSWER_TIME)).await;
        if answer.cut == Some(Cut::TooLate) {
            self.forget_connections();
        }
        Ok(answer)
    }

    /// Sends `request` like [`Client::exchange`], and returns the answer with its body unread, for an answer of any
    /// length. Dropping it closes the connection, which tells a server to stop.
    pub async fn open(&self, request: Request<Full<Bytes>>, patience: Duration) -> Result<Response<Incoming>, Failure> {
        self.send(request, Instant::now() + patience, patience).await
    }

    /// Sends a request and waits for the beginning of its answer. `patience` is what a failure says of the deadline.
    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        deadline: Instant,
        patience: Duration,
    ) -> Result<Response<Incoming>, Failure> {
        let unusable = |error: &UnusableProxy| Failure::new(FailureKind::Proxy, error.to_string());
        let proxy = self.proxy.as_ref().map_err(unusable)?.as_ref().filter(|_| !self.is_tunnel());
        if let Some(credentials) = proxy.and_then(|proxy| proxy.credentials.clone()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, credentials);
        }
        let unready = |error: TlsError| Failure::new(FailureKind::Identity, printable(&error.to_string()));
        let PoolState { connections, heard, .. } = self.connections().await.map_err(unready)?;
        // Discards the alert of a connection that ended long ago.
        heard.take();
        let connection = capture_connection(&mut request);
        let Ok(response) = timeout_at(deadline, connections.request(request)).await else {
            self.forget_connections();
            let is_connected = connection.connection_metadata().is_some();
            let words = if is_connected { failure::answer_timed_out } else { failure::connecting_timed_out };
            return Err(words(&self.way(), patience));
        };
        let response = response.map_err(|error| self.failed(&error, heard.take()))?;
        if let Some(proxy) = proxy.filter(|_| response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED) {
            return Err(failure::proxy_unauthorized(&proxy.to_string(), proxy.credentials.is_some()));
        }
        Ok(response)
    }

    fn failed(&self, error: &PoolError, alert: Option<AlertDescription>) -> Failure {
        if alert.is_some() || failure::is_tls(error) {
            // A new authority on the machine or in the file should take effect without a new session.
            self.forget_connections();
        }
        match alert {
            Some(alert) => failure::alert_reason(alert, self.host()),
            None => failure::reason(error, self.host(), self.timeout),
        }
    }

    /// The server's host and port.
    fn host(&self) -> &str {
        self.server.authority().map_or("", |authority| authority.as_str())
    }

    /// The server, and the proxy if there is one.
    pub fn way(&self) -> String {
        match &self.proxy {
            Ok(Some(proxy)) => format!("{} through {proxy}", self.host()),
            _ => self.host().to_owned(),
        }
    }

    /// Whether a proxy only passes bytes on. A proxy receives plain HTTP/1.1 requests itself.
    fn is_tunnel(&self) -> bool {
        self.is_http2 || self.server.scheme() == Some(&Scheme::HTTPS)
    }

    /// The existing connections, unless the files have changed. The next request after a rotation uses the new
    /// certificate.
    async fn connections(&self) -> Result<PoolState, TlsError> {
        let made = self.lock().clone();
        let files = self.files().await?;
        if let Some(made) = made.filter(|made| made.files == files) {
            return Ok(made);
        }
        let (config, for_proxy) = self.configs().await?;
        let made = self.build(config, for_proxy, files);
        Ok(self.lock().insert(made).clone())
    }

    async fn files(&self) -> Result<Stamp, TlsError> {
        let tls = self.tls.clone();
        let has_files = tls.ca.is_some() || tls.cert.is_some() || tls.key.is_some();
        if has_files { Ok(spawn_blocking(move || Stamp::of(&tls)).await?) } else { Ok(Stamp::default()) }
    }

    /// The TLS configurations for the server and for an `https` proxy. A proxy does not receive our client certificate.
    async fn configs(&self) -> Result<(ClientConfig, ClientConfig), TlsError> {
        let is_https = |url: &Uri| url.scheme() == Some(&Scheme::HTTPS);
        let with_server = is_https(&self.server).then(|| self.tls.clone());
        let with_proxy = matches!(&self.proxy, Ok(Some(proxy)) if is_https(&proxy.url))
            .then(|| Tls { ca: self.tls.ca.clone(), ..Tls::default() });
        if with_server.is_none() && with_proxy.is_none() {
            return Ok((tls::unused_config()?, tls::unused_config()?));
        }
        let lifetime = self.lifetime.clone();
        let config = |tls: Option<Tls>, lifetime: Option<&CertificateLifetime>| match tls {
            Some(tls) => tls::client_config(&tls, lifetime),
            None => tls::unused_config(),
        };
        spawn_blocking(move || Ok((config(with_server, lifetime.as_ref())?, config(with_proxy, None)?))).await?
    }

    fn build(&self, config: ClientConfig, for_proxy: ClientConfig, files: Stamp) -> PoolState {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Divided among the addresses of a name, so that an unresponsive one does not block the others.
        tcp.set_connect_timeout(Some(self.timeout));
        let connector = match &self.proxy {
            Ok(Some(proxy)) => Connector::by(proxy.clone(), tcp, for_proxy, self.is_tunnel()),
            _ => Connector::straight(tcp),
        };
        let mut tls = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        if let Some(name) = &self.tls.server_name {
            let name = name.clone();
            tls = tls.with_server_name_resolver(move |_: &Uri| ServerName::try_from(name.clone()));
        }
        let tls = if self.is_http2 { tls.enable_http2() } else { tls.enable_all_versions() };
        let heard = LastAlert::default();
        let connector = Listening { connector: tls.wrap_connector(connector), heard: heard.clone() };
        let connections = Pool::builder(TokioExecutor::new())
            .http2_only(self.is_http2)
            .http2_initial_stream_window_size(WINDOW)
            .http2_initial_connection_window_size(WINDOW)
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        PoolState { connections, heard, files }
    }

    /// Makes the next request open a new connection. After the machine slept, connections are dead without notice, and
    /// every request on an HTTP/2 connection would fail like the first.
    fn forget_connections(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<PoolState>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads an answer until `deadline` and up to [`ANSWER_LIMIT`]. The rest is dropped with its connection.
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
