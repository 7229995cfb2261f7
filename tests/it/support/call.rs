//! Calls over one HTTP/2 connection, with full control over headers and bodies.

use bytes::Bytes;
use ccrun::otlp::{RpcStatus, frame};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::runtime::Runtime;

use super::sandbox::DEADLINE;

/// A connection to a session's collector.
pub struct Caller {
    runtime: Runtime,
    sender: SendRequest<Full<Bytes>>,
    /// Its value for `x-ccrun-token`.
    pub token: String,
}

/// A response.
#[derive(Clone, Debug)]
pub struct Called {
    pub status: StatusCode,
    pub body: Bytes,
    /// Whether the response consists of headers only.
    pub is_headers_alone: bool,
    /// Headers and trailers.
    pub headers: HeaderMap,
}

impl Called {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The gRPC status code.
    #[track_caller]
    pub fn code(&self) -> i32 {
        self.header("grpc-status").parse().unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The gRPC status with its details.
    pub fn details(&self) -> RpcStatus {
        use base64::Engine;
        let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
        RpcStatus::decode(&*engine.decode(self.header("grpc-status-details-bin")).unwrap()).unwrap()
    }
}

impl Caller {
    /// Connects to the endpoint in `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn connect(endpoint: &str) -> Self {
        let (host, token) = endpoint.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let sender = runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(host).await.unwrap();
            let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            sender
        });
        Self { runtime, sender, token: token.to_owned() }
    }

    /// Calls a method with a body that is already framed.
    #[track_caller]
    pub fn call_raw(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Called {
        let grpc = [("content-type", "application/grpc"), ("te", "trailers"), ("x-ccrun-token", &self.token)];
        self.post(path, &[&grpc, headers].concat(), body)
    }

    /// Calls a method with an uncompressed message.
    #[track_caller]
    pub fn call(&self, path: &str, message: &[u8]) -> Called {
        self.call_raw(path, &[], frame(message, false).unwrap())
    }

    /// Sends a POST request.
    #[track_caller]
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Called {
        self.posted([(path, headers, body.into())]).remove(0)
    }

    /// Sends several POST requests at once.
    #[track_caller]
    pub fn posted<'a>(
        &self,
        requests: impl IntoIterator<Item = (&'a str, &'a [(&'a str, &'a str)], Bytes)>,
    ) -> Vec<Called> {
        let answers = requests.into_iter().map(|(path, headers, body)| {
            let mut request = Request::post(format!("http://x{path}"));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(Full::new(body)).unwrap();
            let mut sender = self.sender.clone();
            self.runtime.spawn(async move {
                sender.ready().await.unwrap();
                let (head, body) = sender.send_request(request).await.unwrap().into_parts();
                let is_headers_alone = hyper::body::Body::is_end_stream(&body);
                let collected = body.collect().await.unwrap();
                let mut headers = head.headers;
                headers.extend(collected.trailers().cloned().unwrap_or_default());
                Called { status: head.status, is_headers_alone, headers, body: collected.to_bytes() }
            })
        });
        let answers: Vec<_> = answers.collect();
        self.runtime.block_on(async {
            let mut called = Vec::new();
            for answer in answers {
                called.push(tokio::time::timeout(DEADLINE, answer).await.expect("no answer").unwrap());
            }
            called
        })
    }
}
