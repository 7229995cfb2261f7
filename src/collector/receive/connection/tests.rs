//! The lifetime of a connection, on a clock that advances whenever nothing else can happen.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{HeaderMap, StatusCode};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{advance, sleep};

use super::*;
use crate::collector::receive::unauthenticated::UnauthenticatedConnections;
use crate::otlp::{RpcStatus, Signal, frame};

/// Far longer than any limit.
const AGES: Duration = Duration::from_hours(30 * 24);

/// An empty request for logs, which succeeds without a store.
const EMPTY: &str = "POST /secret/v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
                     content-length: 0\r\n\r\n";

/// The headers of a request with a one-byte body in chunks.
const CHUNKED: &str = "POST /secret/v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
                       transfer-encoding: chunked\r\n\r\n";

/// A client's side of a connection, and the task that serves it.
struct Line {
    stream: DuplexStream,
    served: JoinHandle<()>,
    connections: Connections,
}

impl Line {
    fn open() -> Self {
        let (stream, theirs) = duplex(1 << 16);
        let receiver = Arc::new(Receiver::without_a_disk("secret"));
        let connections = Connections::default();
        let place = UnauthenticatedConnections::default().enter();
        let served = tokio::spawn(converse(theirs, Peer::known(false), receiver, connections.clone(), place));
        Self { stream, served, connections }
    }

    async fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
    }

    async fn status(&mut self) -> u16 {
        self.answer().await[9..12].parse().unwrap()
    }

    /// The head of the next answer, whose body has a known length.
    async fn answer(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        self.stream.read_exact(&mut body).await.unwrap();
        head
    }

    /// Waits until the server closes it, and returns how long that took.
    async fn closed(mut self) -> Duration {
        let begun = Instant::now();
        let mut rest = Vec::new();
        // A reset also ends the connection.
        drop(self.stream.read_to_end(&mut rest).await);
        self.served.await.unwrap();
        begun.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_authenticated_connection_is_never_closed() {
    let mut line = Line::open();
    for _ in 0..3 {
        line.send(EMPTY).await;
        assert_eq!(line.status().await, 200);
        sleep(AGES).await;
        assert!(!line.served.is_finished());
        assert_eq!(*line.connections.open(), 1);
    }
    let connections = line.connections.clone();
    drop(line.stream);
    line.served.await.unwrap();
    connections.none().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_authenticated_http2_connection_is_never_closed() {
    let (mut sender, line) = call_line().await;
    for _ in 0..3 {
        assert_eq!(call(&mut sender, Signal::Logs.grpc_path(), "secret", &[]).await.1["grpc-status"], "0");
        sleep(AGES).await;
        assert!(!line.is_finished());
    }
}

#[tokio::test(start_paused = true)]
async fn an_unauthenticated_connection_is_closed_after_ten_seconds() {
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for beginning in ["", "P", "POST /secret/v1/logs HTTP/1.1\r\nhost: x\r\n", preface] {
        let mut line = Line::open();
        line.send(beginning).await;
        assert_eq!(line.closed().await, Duration::from_secs(10), "{beginning}");
    }
    let mut line = Line::open();
    let begun = Instant::now();
    for _ in 0..9 {
        line.send(&EMPTY.replace("secret", "wrong")).await;
        assert_eq!(line.status().await, 401);
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(*line.connections.open(), 0, "an unauthenticated connection does not keep the session alive");
    line.closed().await;
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn headers_must_end_within_ten_seconds() {
    let mut line = Line::open();
    for _ in 0..2 {
        line.send(EMPTY).await;
        assert_eq!(line.status().await, 200);
        sleep(AGES).await;
    }
    let (first, second) = EMPTY.split_at(20);
    line.send(first).await;
    sleep(Duration::from_secs(9)).await;
    line.send(second).await;
    assert_eq!(line.status().await, 200);
    sleep(AGES).await;
    line.send(first).await;
    for _ in 0..4 {
        sleep(Duration::from_secs(2)).await;
        line.send("x").await;
    }
    assert_eq!(line.closed().await, Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_body_is_abandoned_after_ten_seconds() {
    let mut line = Line::open();
    line.send(&EMPTY.replace("length: 0", "length: 10")).await;
    line.send("\n").await;
    let begun = Instant::now();
    assert_eq!(line.status().await, 408);
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
    line.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_may_take_a_minute_and_no_longer() {
    for (chunks, expected) in [(6, 200), (7, 408)] {
        let mut line = Line::open();
        line.send(CHUNKED).await;
        // Empty resources, one after the other.
        for _ in 0..chunks {
            line.send("2\r\n\n\0\r\n").await;
            sleep(Duration::from_secs(9)).await;
        }
        line.send("0\r\n\r\n").await;
        assert_eq!(line.status().await, expected);
        line.send(EMPTY).await;
        assert_eq!(line.status().await, 200, "the connection stays open");
    }
}

#[tokio::test(start_paused = true)]
async fn overload_returns_503_with_retry_after_for_a_limited_time() {
    let mut line = Line::open();
    let some = format!("{}\n\x06\x12\x04\x12\x02*\0", EMPTY.replace("length: 0", "length: 8"));
    line.send(&some).await;
    let answer = line.answer().await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    advance(Duration::from_secs(10)).await;
    line.send(&some).await;
    // A status that OTLP's specification does not let clients retry.
    let answer = line.answer().await;
    assert!(answer.starts_with("HTTP/1.1 500 ") && !answer.contains("retry-after"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn overload_returns_unavailable_with_retry_info_for_a_limited_time() {
    let (mut sender, _line) = call_line().await;
    let some = b"\n\x06\x12\x04\x12\x02*\0";
    let answer = call(&mut sender, Signal::Logs.grpc_path(), "secret", some).await.1;
    assert_eq!(
        (&answer["grpc-status"], &answer["grpc-message"]),
        (&"14".parse().unwrap(), &"cannot be stored now".parse().unwrap())
    );
    assert_eq!(details(&answer).retry_delay(), Some(Duration::from_secs(1)));
    advance(Duration::from_secs(10)).await;
    let answer = call(&mut sender, Signal::Logs.grpc_path(), "secret", some).await.1;
    // A code that OTLP's specification does not let clients retry.
    assert_eq!(answer["grpc-status"], "13");
    assert_eq!(details(&answer).retry_delay(), None);
}

#[tokio::test(start_paused = true)]
async fn an_endless_call_is_abandoned_at_the_earlier_deadline() {
    for (timeout, expected) in [("3S", 3), ("1H", 10), ("nonsense", 10)] {
        let line = Line::open();
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(line.stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::post(format!("http://x/secret{}", Signal::Logs.grpc_path()))
            .header("content-type", "application/grpc")
            .header("grpc-timeout", timeout);
        let begun = Instant::now();
        let answer = sender.send_request(request.body(Endless).unwrap()).await.unwrap();
        // DEADLINE_EXCEEDED
        assert_eq!(answer.headers()["grpc-status"], "4");
        assert_eq!(begun.elapsed(), Duration::from_secs(expected));
    }
}

/// A body that never sends anything.
struct Endless;

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        Poll::Pending
    }
}

fn details(answer: &HeaderMap) -> RpcStatus {
    use base64::Engine;
    let details = base64::engine::general_purpose::STANDARD_NO_PAD.decode(&answer["grpc-status-details-bin"]).unwrap();
    RpcStatus::decode(&*details).unwrap()
}

async fn call_line() -> (SendRequest<Full<Bytes>>, JoinHandle<()>) {
    let line = Line::open();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(line.stream)).await.unwrap();
    tokio::spawn(connection);
    (sender, line.served)
}

/// Makes a unary call. Returns the status of the answer and where it was: in the headers or the trailers.
async fn call(
    sender: &mut SendRequest<Full<Bytes>>,
    path: &str,
    token: &str,
    message: &[u8],
) -> (StatusCode, HeaderMap) {
    let request = Request::post(format!("http://x{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-ccrun-token", token)
        .body(Full::new(frame(message, false).unwrap()));
    let (head, body) = sender.send_request(request.unwrap()).await.unwrap().into_parts();
    let collected = body.collect().await.unwrap();
    (head.status, collected.trailers().cloned().unwrap_or(head.headers))
}
