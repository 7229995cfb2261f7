//! Asks a team's store over HTTP: with time limits, and with bounded memory for every answer.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout_at;

use super::SourceError;
use crate::client::{Answer, Client, Proxies, Tls, html_words, status_words};
use crate::profile::StoreAddress;
use crate::terminal::printable::printable;

/// The longest answer that is read, in bytes. A hundred thousand rows take a tenth of it.
const LONGEST: usize = 256 << 20;

/// How much of an answer is read that is no answer to a query, in bytes: a page, or the words of an error.
const REFUSAL: usize = 64 << 10;

/// How long connecting may take, name look-up and TLS included.
const CONNECTING: Duration = Duration::from_secs(10);

/// The user agent of every request.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("ccrun/", env!("CARGO_PKG_VERSION")));

/// The type of a body that is a form.
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// A team's store as a server. Nothing is connected before the first request.
#[derive(Debug)]
pub struct Server {
    client: Client,
    base: String,
    headers: HeaderMap,
    timeout: Duration,
    runtime: Runtime,
}

/// What a request asks for.
#[derive(Debug)]
pub struct Ask<'a> {
    /// The method.
    pub method: Method,
    /// The path below the server's, and the query.
    pub path: &'a str,
    /// The body.
    pub body: Bytes,
    /// Whether the body is a form.
    pub form: bool,
    /// The name of what should answer, for messages.
    pub engine: &'static str,
}

/// An answer that is no answer to a query: its status is not 200.
#[derive(Debug)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The beginning of the body.
    pub text: String,
}

impl Server {
    /// A server at an address. `headers` go with every request; those with secrets are marked as sensitive. `timeout`
    /// limits each request, its answer included.
    pub fn new(
        address: &StoreAddress,
        tls: Tls,
        mut headers: HeaderMap,
        timeout: Duration,
        proxies: &Proxies,
    ) -> Result<Self, SourceError> {
        let server: Uri = address.server.parse().map_err(|_| store("the URL of the source is not valid"))?;
        headers.entry(USER_AGENT).or_insert(AGENT);
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| SourceError::Store(format!("cannot ask a team's store: {error}")))?;
        let client = Client::new(server, tls, CONNECTING.min(timeout)).through(proxies);
        Ok(Self { client, base: address.server.clone(), headers, timeout, runtime })
    }

    /// The server's host and port, and the proxy in front of it if there is one.
    pub fn place(&self) -> String {
        self.client.way()
    }

    /// How long a request may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a request and hands over the body of its answer piece by piece. Stops, and closes the connection, at the
    /// first error of `take`. The outer error is that there is no answer; the inner one is an answer with another status
    /// than 200.
    pub fn ask(
        &self,
        ask: &Ask<'_>,
        take: &mut dyn FnMut(&[u8]) -> Result<(), SourceError>,
    ) -> Result<Result<(), Refusal>, SourceError> {
        self.runtime.block_on(self.exchange(ask, take))
    }

    /// The whole body of an answer, which must not be longer than `most` bytes.
    pub fn whole(&self, ask: &Ask<'_>, most: usize) -> Result<Result<Vec<u8>, Refusal>, SourceError> {
        let mut body = Vec::new();
        let answered = self.ask(ask, &mut |piece| {
            if body.len() + piece.len() > most {
                return Err(self.too_long(most));
            }
            body.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(answered.map(|()| body))
    }

    async fn exchange(
        &self,
        ask: &Ask<'_>,
        take: &mut dyn FnMut(&[u8]) -> Result<(), SourceError>,
    ) -> Result<Result<(), Refusal>, SourceError> {
        let deadline = Instant::now() + self.timeout;
        let built = Request::builder().method(&ask.method).uri(format!("{}{}", self.base, ask.path));
        let mut request = built.body(Full::new(ask.body.clone())).map_err(|_| store("the query cannot be sent"))?;
        request.headers_mut().extend(self.headers.clone());
        if ask.form {
            request.headers_mut().insert(CONTENT_TYPE, FORM);
        }
        let response = self.client.open(request, self.timeout).await.map_err(|failure| store(failure.to_string()))?;
        if response.status() != StatusCode::OK {
            let refusal = self.refusal(response, deadline).await;
            return self.meant_for_people(&refusal, ask).map_or(Ok(Err(refusal)), Err);
        }
        let (head, mut body) = response.into_parts();
        let (mut length, mut is_first) = (0_usize, true);
        loop {
            let frame = match timeout_at(deadline.into(), body.frame()).await {
                Ok(None) => return Ok(Ok(())),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_))) => return Err(store(format!("the answer of {} broke off", self.place()))),
                Err(_) => return Err(self.too_late()),
            };
            let Ok(data) = frame.into_data() else { continue };
            if std::mem::take(&mut is_first) {
                let text = String::from_utf8_lossy(&data[..data.len().min(REFUSAL)]).into_owned();
                let start = Refusal { status: head.status, headers: head.headers.clone(), text };
                if let Some(error) = self.meant_for_people(&start, ask) {
                    return Err(error);
                }
            }
            length = length.saturating_add(data.len());
            if length > LONGEST {
                return Err(self.too_long(LONGEST));
            }
            take(&data)?;
        }
    }

    /// The beginning of an answer of another status.
    async fn refusal(&self, response: Response<Incoming>, deadline: Instant) -> Refusal {
        let (head, mut body) = response.into_parts();
        let mut text = Vec::new();
        while text.len() < REFUSAL
            && let Ok(Some(Ok(frame))) = timeout_at(deadline.into(), body.frame()).await
        {
            if let Ok(data) = frame.into_data() {
                text.extend_from_slice(&data[..data.len().min(REFUSAL - text.len())]);
            }
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        Refusal { status: head.status, headers: head.headers, text }
    }

    /// The error for a page of HTML or a redirect: something else answers at this address, such as a proxy.
    fn meant_for_people(&self, refusal: &Refusal, ask: &Ask<'_>) -> Option<SourceError> {
        let answer =
            Answer { headers: refusal.headers.clone(), body: refusal.text.clone().into(), ..Answer::default() };
        let (place, status) = (self.place(), status_words(refusal.status));
        if refusal.status.is_redirection() {
            return Some(store(format!(
                "{place} answered {status}, and redirects are not followed: is there a login page in front of {}?",
                ask.engine
            )));
        }
        answer.is_html().then(|| {
            let page = html_words(&refusal.text);
            store(format!(
                "{place} answered {status} with {page}, so something other than {} answers there, such as a proxy: check \
                 the host and the port of the URL",
                ask.engine
            ))
        })
    }

    fn too_late(&self) -> SourceError {
        store(format!(
            "{} did not finish its answer within {:?}: narrow the query with --since or --where, or raise `timeout` in \
             the [source.NAME]",
            self.place(),
            self.timeout
        ))
    }

    fn too_long(&self, most: usize) -> SourceError {
        store(format!(
            "the answer of {} is longer than {} MiB and was not read to its end: narrow the query with --since, --where \
             or --top",
            self.place(),
            most >> 20
        ))
    }
}

impl Refusal {
    /// The status and the first line of its text, for messages.
    pub fn words(&self) -> String {
        let line = self.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
        let status = status_words(self.status);
        if line.is_empty() { status } else { format!("{status}: {}", printable(line)) }
    }
}

/// An error of a team's store.
pub fn store(reason: impl Into<String>) -> SourceError {
    SourceError::Store(reason.into())
}
