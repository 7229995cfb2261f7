//! A stand-in for the model: the part of Anthropic's Messages API that Claude Code needs, on loopback. A session then
//! costs nothing and needs no account and no network except for its destinations. `doctor --live --offline`, the demo
//! and the tests use it.
//!
//! A [`Script`] defines its answers. The server stops when the [`Model`] is dropped.

mod message;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use message::{Block, offers_bash};
pub use message::{Script, Usage};

/// The maximum size of a request, in bytes: ten times what Claude Code sends with all its tools.
const REQUEST_LIMIT: usize = 4 << 20;

/// A request as received.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// `POST`, for example.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// All headers.
    pub headers: hyper::HeaderMap,
    /// `Value::Null` if the body is not JSON.
    pub body: Value,
}

/// The running stand-in. Dropping it closes its connections and stops its thread.
#[derive(Debug)]
pub struct Model {
    address: SocketAddr,
    seen: Arc<Seen>,
    release: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<Recorded>,
    stalled: usize,
    failed: usize,
}

impl Model {
    /// Starts it on a free loopback port. Fails if the system has no port or thread left.
    pub fn start(script: Script) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let seen = Arc::new(Seen::default());
        let (release, released) = watch::channel(false);
        let (stop, stopped) = watch::channel(false);
        let server = Server { script, seen: Arc::clone(&seen), released };
        // Dropping the runtime closes every connection, even in the middle of an answer. If the server cannot accept
        // connections, clients see that themselves.
        let serve = move || drop(runtime.block_on(server.run(listener, stopped)));
        let thread = std::thread::Builder::new().name("stand-in model".to_owned()).spawn(serve)?;
        Ok(Self { address, seen, release, stop, thread: Some(thread) })
    }

    /// For `ANTHROPIC_BASE_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far in order of arrival, if the script records them.
    pub fn requests(&self) -> Vec<Recorded> {
        self.seen.state().requests.clone()
    }

    /// Waits until an answer has stalled. Returns false after `limit`.
    pub fn wait_for_stall(&self, limit: Duration) -> bool {
        let waiting = self.seen.changed.wait_timeout_while(self.seen.state(), limit, |state| state.stalled == 0);
        waiting.unwrap_or_else(PoisonError::into_inner).0.stalled > 0
    }

    /// How many answers have stalled so far.
    pub fn stalled(&self) -> usize {
        self.seen.state().stalled
    }

    /// Releases every stalled answer, and stops later ones from stalling.
    pub fn release(&self) {
        self.release.send_replace(true);
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Seen {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }
}

#[derive(Clone)]
struct Server {
    script: Script,
    seen: Arc<Seen>,
    released: watch::Receiver<bool>,
}

impl Server {
    async fn run(self, listener: TcpListener, mut stopped: watch::Receiver<bool>) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => accepted?.0,
                _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
            };
            let server = self.clone();
            let service = service_fn(move |request| server.clone().answer(request));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client may disconnect in the middle of an answer.
            tokio::spawn(async move { drop(connection.await) });
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, REQUEST_LIMIT).collect().await.map(http_body_util::Collected::to_bytes);
        let body: Value = body.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let (method, target) = (head.method, head.uri);
        if self.script.records {
            let recorded = Recorded {
                method: method.to_string(),
                target: target.to_string(),
                headers: head.headers,
                body: body.clone(),
            };
            self.seen.note(|state| state.requests.push(recorded));
        }
        Ok(match (method.as_str(), target.path()) {
            ("POST", "/v1/messages") => self.message(&body),
            ("POST", "/v1/messages/count_tokens") => {
                whole(StatusCode::OK, &json!({"input_tokens": self.script.usage.input}))
            }
            // An interactive client first checks that the server is up.
            ("GET" | "HEAD", "/" | "/api/hello") => whole(StatusCode::OK, &json!({})),
            (_, path) => whole(
                StatusCode::NOT_FOUND,
                &json!({"type": "error", "error": {"type": "not_found_error", "message": format!("no `{path}` here")}}),
            ),
        })
    }

    /// The error that the script wants for a request, if it wants one.
    fn failure(&self, request: &Value) -> Option<StatusCode> {
        let (status, times) = self.script.fails.filter(|_| offers_bash(request))?;
        let mut state = self.seen.state();
        state.failed = state.failed.saturating_add(1);
        StatusCode::from_u16(status).ok().filter(|_| state.failed <= times)
    }

    fn message(self, request: &Value) -> Response<Answer> {
        if let Some(status) = self.failure(request) {
            let error = json!({"type": "error", "error": {"type": "api_error", "message": "as the script says"}});
            return whole(status, &error);
        }
        let block = Block::of(&self.script, request);
        if request["stream"] != true {
            return whole(StatusCode::OK, &block.message(&request["model"], self.script.usage));
        }
        let stalls = self.script.stalls && offers_bash(request) && matches!(block, Block::Text(_));
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(self.stream(block, request["model"].clone(), stalls, sender));
        respond(StatusCode::OK, "text/event-stream", Answer(receiver))
    }

    async fn stream(mut self, block: Block, model: Value, stalls: bool, client: mpsc::UnboundedSender<Bytes>) {
        let events = block.events(&model, self.script.usage);
        let half = events.iter().position(|event| event["type"] == "content_block_delta").map_or(0, |delta| delta + 1);
        for (index, event) in events.iter().enumerate() {
            if stalls && index == half && !*self.released.borrow() {
                self.seen.note(|state| state.stalled += 1);
                // An error means that the model is being dropped, and the answer with it.
                if self.released.wait_for(|released| *released).await.is_err() {
                    return;
                }
            }
            let kind = event["type"].as_str().unwrap_or_default();
            if client.send(Bytes::from(format!("event: {kind}\ndata: {event}\n\n"))).is_err() {
                return;
            }
        }
    }
}

fn whole(status: StatusCode, body: &Value) -> Response<Answer> {
    let (sender, receiver) = mpsc::unbounded_channel();
    // The receiver lives as long as the answer.
    drop(sender.send(Bytes::from(body.to_string())));
    respond(status, "application/json", Answer(receiver))
}

fn respond(status: StatusCode, content_type: &'static str, body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static(content_type));
    response
}

/// A body that ends when its sender is dropped.
struct Answer(mpsc::UnboundedReceiver<Bytes>);

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests;
