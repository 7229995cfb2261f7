//! A stand-in for the model: as much of Anthropic's Messages API as makes Claude Code content, on loopback, so that a
//! session costs nothing and needs no network but its destinations'.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The most that is read of a request, in bytes: ten times what Claude Code sends with all its tools.
const REQUEST_LIMIT: usize = 4 << 20;

/// What it answers to everything.
const ANSWER: &str = "ok";

/// A running one; it ends when dropped.
pub(super) struct Model {
    address: SocketAddr,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Model {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        // Dropping the runtime ends every connection.
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener) => (),
                    _ = stopped => (),
                }
            });
        };
        let thread = std::thread::Builder::new().name("stand-in model".to_owned()).spawn(serve)?;
        Ok(Self { address, running: Some((stop, thread)) })
    }

    /// For `ANTHROPIC_BASE_URL`.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            // Whoever does not hear it has ended already.
            let _ended = stop.send(());
            drop(thread.join());
        }
    }
}

async fn accept(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
        tokio::spawn(async move { drop(connection.await) });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, REQUEST_LIMIT).collect().await;
    let body: Value = body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok()).unwrap_or_default();
    Ok(match (head.method.as_str(), head.uri.path()) {
        ("POST", "/v1/messages") if body["stream"] == true => {
            respond(StatusCode::OK, "text/event-stream", events(&body["model"]))
        }
        ("POST", "/v1/messages") => json_with(StatusCode::OK, &message(&body["model"], &[text()], &"end_turn".into())),
        ("POST", "/v1/messages/count_tokens") => json_with(StatusCode::OK, &json!({ "input_tokens": 1 })),
        ("GET" | "HEAD", "/" | "/api/hello") => json_with(StatusCode::OK, &json!({})),
        (_, path) => {
            let error = json!({ "type": "not_found_error", "message": format!("no `{path}` here") });
            json_with(StatusCode::NOT_FOUND, &json!({ "type": "error", "error": error }))
        }
    })
}

fn text() -> Value {
    json!({ "type": "text", "text": ANSWER })
}

fn message(model: &Value, content: &[Value], stop_reason: &Value) -> Value {
    json!({
        "id": "msg_ccrun_doctor", "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": stop_reason, "stop_sequence": null, "usage": { "input_tokens": 1, "output_tokens": 1 },
    })
}

/// The message as a stream of events.
fn events(model: &Value) -> String {
    let delta = json!({ "type": "text_delta", "text": ANSWER });
    let end = json!({ "stop_reason": "end_turn", "stop_sequence": null });
    let events = [
        json!({ "type": "message_start", "message": message(model, &[], &Value::Null) }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": end, "usage": { "output_tokens": 1 } }),
        json!({ "type": "message_stop" }),
    ];
    let line = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    events.iter().map(line).collect()
}

fn json_with(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    respond(status, "application/json", body.to_string())
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
