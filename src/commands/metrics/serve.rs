//! The HTTP server.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::header::{HeaderName, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use subtle::ConstantTimeEq;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

use super::connections::{Connection, Connections};
use super::exporter::Exporter;
use crate::report::metrics::Format;
use crate::secret::Secret;

/// The pause after a failed accept, for example without free descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// The buffer for a request's headers, in bytes. Larger ones are refused.
const BUFFER: usize = 16 << 10;

/// How long a scrape waits for the ledger. Prometheus waits ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who may scrape.
pub(super) enum Admission {
    /// Programs of this machine. A browser that was led here by a name that now means this machine is not one.
    Local,
    /// Those who send this token.
    Token(Secret),
}

/// Answers scrapes.
pub(super) struct Server {
    exporter: Arc<Exporter>,
    admission: Admission,
    /// Lets one look at the ledger run at a time, so that a disk that hangs blocks one thread only.
    turn: Arc<Semaphore>,
}

/// Serves connections until dropped.
pub(super) async fn accept(listener: TcpListener, server: Arc<Server>) {
    let connections = Connections::default();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, Arc::clone(&server), connections.enter()));
        } else {
            connections.shed();
            sleep(AFTER_FAILURE).await;
        }
    }
}

async fn converse(stream: TcpStream, server: Arc<Server>, connection: Connection) {
    let connection = Arc::new(connection);
    let service = service_fn({
        let connection = Arc::clone(&connection);
        move |request: Request<Incoming>| {
            let (server, connection) = (Arc::clone(&server), Arc::clone(&connection));
            // A body is not read.
            let (head, _) = request.into_parts();
            async move { Ok::<_, Infallible>(server.answer(&head, &connection).await) }
        }
    });
    let mut http = http1::Builder::new();
    http.half_close(true).max_buf_size(BUFFER);
    tokio::select! {
        _ = http.serve_connection(TokioIo::new(stream), service) => {}
        () = connection.over() => {}
    }
}

type Answer = Response<Full<Bytes>>;

impl Server {
    pub(super) fn new(exporter: Arc<Exporter>, admission: Admission) -> Self {
        Self { exporter, admission, turn: Arc::new(Semaphore::new(1)) }
    }

    async fn answer(&self, head: &Parts, connection: &Connection) -> Answer {
        connection.used();
        if let Some(refusal) = self.refusal(&head.headers) {
            return refusal;
        }
        let is_read = [Method::GET, Method::HEAD].contains(&head.method);
        match head.uri.path() {
            "/metrics" | "/" if !is_read => {
                let answer = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
                with(answer, ALLOW, "GET, HEAD")
            }
            "/metrics" => self.scrape(&head.headers, connection).await,
            "/" => plain(StatusCode::OK, "the metrics are at /metrics\n"),
            _ => plain(StatusCode::NOT_FOUND, "not found: the metrics are at /metrics\n"),
        }
    }

    fn refusal(&self, headers: &HeaderMap) -> Option<Answer> {
        match &self.admission {
            Admission::Local if headers.get(HOST).is_none_or(is_local) => None,
            Admission::Local => {
                Some(plain(StatusCode::FORBIDDEN, "without --token-file, the host is localhost or an address\n"))
            }
            Admission::Token(token) if has_token(headers, token) => None,
            Admission::Token(_) => {
                let answer = plain(StatusCode::UNAUTHORIZED, "the bearer token is missing or wrong\n");
                Some(with(with(answer, WWW_AUTHENTICATE, "Bearer"), CONNECTION, "close"))
            }
        }
    }

    async fn scrape(&self, headers: &HeaderMap, connection: &Connection) -> Answer {
        self.look().await;
        let accept: Vec<_> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let format = Format::accepted(&accept.join(","));
        let (show, text) = self.exporter.show(connection.last(), format);
        connection.saw(show);
        let mut answer = Response::new(Full::from(text));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        answer
    }

    /// Looks at the ledger, and goes on with the last known values if that takes too long.
    async fn look(&self) {
        let end = Instant::now() + PATIENCE;
        let looking = async {
            // Never closed, so acquiring cannot fail.
            let permit = Arc::clone(&self.turn).acquire_owned().await;
            let exporter = Arc::clone(&self.exporter);
            let look = move || {
                exporter.look();
                drop(permit);
            };
            drop(spawn_blocking(look).await);
        };
        if timeout_at(end, looking).await.is_err() {
            self.exporter.late();
        }
    }
}

/// Whether a host is this machine by its own name, or an address.
fn is_local(host: &HeaderValue) -> bool {
    let host = host.to_str().unwrap_or("?");
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

/// Whether a request has the token (RFC 6750, 2.1). Compared in constant time.
fn has_token(headers: &HeaderMap, token: &Secret) -> bool {
    let Some((scheme, given)) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '))
    else {
        return false;
    };
    scheme.eq_ignore_ascii_case("bearer") && bool::from(given.trim().as_bytes().ct_eq(token.expose().as_bytes()))
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    with(answer, CONTENT_TYPE, "text/plain; charset=utf-8")
}

fn with(mut answer: Answer, name: HeaderName, value: &'static str) -> Answer {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_local_by_name_or_address() {
        let is_local = |host: &'static str| is_local(&HeaderValue::from_static(host));
        for host in ["localhost", "LOCALHOST:9464", "127.0.0.1:9464", "[::1]:9464", "[::1]", "192.0.2.1"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["example.org", "example.org:9464", "localhost.example.org", "", "127.0.0.1.example.org:9464"] {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn a_token_is_a_bearer_token() {
        let has = |value: &'static str| {
            has_token(&HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]), &"abc".into())
        };
        assert!(has("Bearer abc") && has("bearer  abc"));
        assert!(!has("Bearer abcd") && !has("Bearer ab") && !has("Basic abc") && !has("abc") && !has("Bearer "));
        assert!(!has_token(&HeaderMap::new(), &"abc".into()));
    }
}
