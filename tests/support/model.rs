//! A stand-in for the model: Anthropic's Messages API on loopback, so that the real Claude Code runs without an
//! account and without the network.
//!
//! A script says what it answers. Requests are recorded, and the server ends with the `Model`.
#![allow(dead_code, reason = "each crate that includes this file uses its own part of it")]

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

/// The most that is read of one request, in bytes: ten times what Claude Code sends with all its tools.
const REQUEST_LIMIT: usize = 4 << 20;

/// What the stand-in answers.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    text: String,
    bash: Option<String>,
    usage: Usage,
    stalls: bool,
}

/// The token counts that every answer reports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cache_read: u64,
    pub(crate) cache_creation: u64,
}

impl Script {
    /// Answers `text` to everything.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        let usage = Usage { input: 100, output: 20, cache_read: 0, cache_creation: 0 };
        Self { text: text.into(), bash: None, usage, stalls: false }
    }

    /// First asks for `command` to be run by the `Bash` tool, and answers the text once a result is there.
    pub(crate) fn bash(self, command: impl Into<String>) -> Self {
        Self { bash: Some(command.into()), ..self }
    }

    pub(crate) fn usage(self, usage: Usage) -> Self {
        Self { usage, ..self }
    }

    /// Stops in the middle of the text until it is released: after its first line, if it has several, because an
    /// interactive Claude Code shows whole lines only. What it asks on the side, a title for example, is answered whole.
    pub(crate) fn stalling(self) -> Self {
        Self { stalls: true, ..self }
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: hyper::HeaderMap,
    /// `Value::Null` where the body is not JSON.
    pub(crate) body: Value,
}

/// The running stand-in; dropping it ends its connections and its thread.
pub(crate) struct Model {
    address: SocketAddr,
    seen: Arc<Seen>,
    release: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    requests: Vec<Recorded>,
    stalled: usize,
}

impl Model {
    #[expect(
        clippy::expect_used,
        reason = "a test that cannot have its loopback port or its thread has nothing to go on"
    )]
    pub(crate) fn start(script: Script) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        listener.set_nonblocking(true).expect("a socket can be made non-blocking");
        let seen = Arc::new(Seen::default());
        let (release, released) = watch::channel(false);
        let (stop, stopped) = watch::channel(false);
        let server = Server { script, seen: Arc::clone(&seen), released };
        let thread = std::thread::Builder::new()
            .name("stand-in model".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                // Dropping the runtime ends every connection, in mid-answer too.
                runtime.block_on(server.run(listener, stopped)).expect("the listener stays usable");
            })
            .expect("a thread");
        Self { address, seen, release, stop, thread: Some(thread) }
    }

    /// For `ANTHROPIC_BASE_URL`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has come so far, in the order of arrival.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.seen.state().requests.clone()
    }

    /// Waits until an answer has stalled; false if none has after `limit`.
    pub(crate) fn wait_for_stall(&self, limit: Duration) -> bool {
        let waiting = self.seen.changed.wait_timeout_while(self.seen.state(), limit, |state| state.stalled == 0);
        waiting.unwrap_or_else(PoisonError::into_inner).0.stalled > 0
    }

    /// How many answers have stalled so far.
    pub(crate) fn stalled(&self) -> usize {
        self.seen.state().stalled
    }

    /// Lets every stalled answer go on, and later ones not stall.
    pub(crate) fn release(&self) {
        self.release.send_replace(true);
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic over there has been printed already, and a second one here would hide the test's own.
            let _ = thread.join();
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
            // A client that is killed in mid-answer is what some tests are about.
            tokio::spawn(async move { drop(connection.await) });
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, REQUEST_LIMIT).collect().await.map(http_body_util::Collected::to_bytes);
        let body: Value = body.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        self.seen.note(|state| {
            state.requests.push(Recorded {
                method: head.method.to_string(),
                target: head.uri.to_string(),
                headers: head.headers,
                body: body.clone(),
            });
        });
        Ok(match (head.method.as_str(), head.uri.path()) {
            ("POST", "/v1/messages") => self.message(&body),
            ("POST", "/v1/messages/count_tokens") => {
                whole(StatusCode::OK, &json!({"input_tokens": self.script.usage.input}))
            }
            // An interactive client may ask first whether anyone is there.
            ("GET" | "HEAD", "/" | "/api/hello") => whole(StatusCode::OK, &json!({})),
            (_, path) => whole(
                StatusCode::NOT_FOUND,
                &json!({"type": "error", "error": {"type": "not_found_error", "message": format!("no `{path}` here")}}),
            ),
        })
    }

    fn message(self, request: &Value) -> Response<Answer> {
        let conversation = offers_bash(request);
        let block = match &self.script.bash {
            Some(command) if conversation && !has_tool_result(request) => Block::Bash(command.clone()),
            _ => Block::Text(structured(request).unwrap_or_else(|| self.script.text.clone())),
        };
        if request["stream"] != true {
            return whole(StatusCode::OK, &block.message(&request["model"], self.script.usage));
        }
        let stalls = self.script.stalls && conversation && matches!(block, Block::Text(_));
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
                // An error means that the model is going, and the answer with it.
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

/// What an answer consists of: one block is all that the tests need.
enum Block {
    Text(String),
    Bash(String),
}

impl Block {
    fn content(&self) -> Value {
        match self {
            Self::Text(text) => json!({"type": "text", "text": text}),
            Self::Bash(command) => {
                json!({"type": "tool_use", "id": "toolu_standin", "name": "Bash", "input": Self::input(command)})
            }
        }
    }

    fn input(command: &str) -> Value {
        json!({"command": command, "description": "Runs what the script says"})
    }

    fn stop_reason(&self) -> &'static str {
        match self {
            Self::Text(_) => "end_turn",
            Self::Bash(_) => "tool_use",
        }
    }

    fn message(&self, model: &Value, usage: Usage) -> Value {
        json!({
            "id": "msg_standin", "type": "message", "role": "assistant", "model": model, "content": [self.content()],
            "stop_reason": self.stop_reason(), "stop_sequence": null, "usage": usage.json(usage.output),
        })
    }

    /// The same message as the events of a stream, its content in two deltas.
    fn events(&self, model: &Value, usage: Usage) -> Vec<Value> {
        let mut start = self.message(model, usage);
        start["content"] = json!([]);
        start["stop_reason"] = Value::Null;
        start["usage"] = usage.json(1);
        let (empty, deltas) = match self {
            Self::Text(text) => (
                json!({"type": "text", "text": ""}),
                halves(text).map(|half| json!({"type": "text_delta", "text": half})),
            ),
            Self::Bash(command) => (
                json!({"type": "tool_use", "id": "toolu_standin", "name": "Bash", "input": {}}),
                halves(&Self::input(command).to_string())
                    .map(|half| json!({"type": "input_json_delta", "partial_json": half})),
            ),
        };
        let mut events = vec![
            json!({"type": "message_start", "message": start}),
            json!({"type": "content_block_start", "index": 0, "content_block": empty}),
        ];
        events.extend(deltas.map(|delta| json!({"type": "content_block_delta", "index": 0, "delta": delta})));
        events.push(json!({"type": "content_block_stop", "index": 0}));
        let delta = json!({"stop_reason": self.stop_reason(), "stop_sequence": null});
        events.push(json!({"type": "message_delta", "delta": delta, "usage": usage.json(usage.output)}));
        events.push(json!({"type": "message_stop"}));
        events
    }
}

impl Usage {
    fn json(self, output: u64) -> Value {
        json!({
            "input_tokens": self.input, "output_tokens": output,
            "cache_read_input_tokens": self.cache_read, "cache_creation_input_tokens": self.cache_creation,
        })
    }
}

/// The conversation brings its tools; titles, summaries and other questions on the side do not.
fn offers_bash(request: &Value) -> bool {
    request["tools"].as_array().is_some_and(|tools| tools.iter().any(|tool| tool["name"] == "Bash"))
}

fn has_tool_result(request: &Value) -> bool {
    let messages = request["messages"].as_array().into_iter().flatten();
    messages.filter_map(|message| message["content"].as_array()).flatten().any(|block| block["type"] == "tool_result")
}

/// What fits the JSON schema that the request demands, as the one for a session's title does.
fn structured(request: &Value) -> Option<String> {
    let properties = request["output_config"]["format"]["schema"]["properties"].as_object()?;
    let values = properties.iter().map(|(name, property)| {
        let value = match property["type"].as_str() {
            Some("string") => property["enum"].get(0).cloned().unwrap_or_else(|| json!("stand-in")),
            Some("boolean") => json!(false),
            Some("integer" | "number") => json!(0),
            Some("array") => json!([]),
            Some("object") => json!({}),
            _ => Value::Null,
        };
        (name.clone(), value)
    });
    Some(Value::Object(values.collect()).to_string())
}

fn halves(text: &str) -> [&str; 2] {
    let middle = text.find('\n').map_or(text.floor_char_boundary(text.len().div_ceil(2)), |line| line + 1);
    let (first, second) = text.split_at(middle);
    [first, second]
}

fn whole(status: StatusCode, body: &Value) -> Response<Answer> {
    let (sender, receiver) = mpsc::unbounded_channel();
    // The receiver is right here.
    let _ = sender.send(Bytes::from(body.to_string()));
    respond(status, "application/json", Answer(receiver))
}

fn respond(status: StatusCode, content_type: &'static str, body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static(content_type));
    response
}

/// A body that ends when its sender does.
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
#[path = "model_tests.rs"]
mod tests;
