//! The backend's thread: connections, requests, and the bodies of replies.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::pending;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use ccrun::otlp::{Signal, gunzip, json_to_protobuf, unframe};
use ccrun::profile::Protocol;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::HeaderValue;
use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::sync::{Notify, oneshot};
use tokio_rustls::TlsAcceptor;

use super::reply::Ending;
use super::{Export, Received, Shared};

/// The largest request that is decompressed, in bytes.
const LIMIT: usize = 64 << 20;

/// Serves until told to stop. Dropping the runtime then drops every connection.
pub(super) fn run(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        tokio::select! {
            () = accept(listener, tls, shared) => (),
            _ = stopped => (),
        }
    });
}

async fn accept(listener: tokio::net::TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let number = shared.count_connection();
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            match tls {
                None => serve(TokioIo::new(stream), number, shared).await,
                // A client that does not trust the backend aborts the handshake. Tests check that on the client's side.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(TokioIo::new(stream), number, shared).await;
                    }
                }
            }
        });
    }
}

async fn serve(io: impl Read + Write + Unpin + Send + 'static, number: usize, shared: Arc<Shared>) {
    let closed = Arc::new(Notify::new());
    let service = service_fn(|request| {
        let (shared, closed) = (Arc::clone(&shared), Arc::clone(&closed));
        async move { answer(request, number, &shared, &closed).await }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    tokio::select! {
        // Errors on a connection are intended by the test, or show up in what the test waits for.
        _ = builder.serve_connection(io, service) => (),
        () = closed.notified() => (),
    }
}

async fn answer(
    request: Request<Incoming>,
    connection: usize,
    shared: &Shared,
    closed: &Notify,
) -> Result<Response<ReplyBody>, hyper::Error> {
    let (head, body) = request.into_parts();
    let raw = body.collect().await?.to_bytes();
    let received = receive(head, raw, connection);
    let protocol = received.protocol;
    let reply = shared.take(received);
    if reply.is_held {
        shared.released.acquire().await.unwrap().forget();
    }
    match reply.ending {
        Ending::Closed => {
            closed.notify_one();
            pending().await
        }
        Ending::Never => pending().await,
        _ => Ok(reply.response(protocol)),
    }
}

fn receive(head: hyper::http::request::Parts, raw: Bytes, connection: usize) -> Received {
    let path = head.uri.path().to_owned();
    let content_type = head.headers.get("content-type").map(HeaderValue::as_bytes).unwrap_or_default();
    let protocol = match content_type {
        grpc if grpc.starts_with(b"application/grpc") => Protocol::Grpc,
        json if json.starts_with(b"application/json") => Protocol::HttpJson,
        _ => Protocol::HttpProtobuf,
    };
    let is_grpc = protocol == Protocol::Grpc;
    let path_of = |signal: Signal| if is_grpc { signal.grpc_path() } else { signal.http_path() };
    let signal = Signal::ALL.into_iter().find(|signal| path.ends_with(path_of(*signal)));
    let body = message(&raw, &head.headers, is_grpc).unwrap_or_default();
    let decode = if protocol == Protocol::HttpJson { decode_json } else { decode };
    let export = signal.and_then(|signal| decode(signal, &body));
    Received {
        signal,
        protocol,
        version: head.version,
        method: head.method.to_string(),
        path,
        headers: head.headers,
        raw,
        body,
        export,
        connection,
    }
}

fn message(raw: &Bytes, headers: &HeaderMap, is_grpc: bool) -> Option<Bytes> {
    let is_gzip = |name: &str| headers.get(name).is_some_and(|value| value == "gzip");
    let (message, is_compressed) = if is_grpc {
        let (message, is_compressed) = unframe(raw).ok()?;
        (message, is_compressed && is_gzip("grpc-encoding"))
    } else {
        (&raw[..], is_gzip("content-encoding"))
    };
    if is_compressed { gunzip(message, LIMIT).ok().map(Bytes::from) } else { Some(raw.slice_ref(message)) }
}

fn decode(signal: Signal, body: &[u8]) -> Option<Export> {
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(body).ok().map(Export::Traces),
        Signal::Metrics => ExportMetricsServiceRequest::decode(body).ok().map(Export::Metrics),
        Signal::Logs => ExportLogsServiceRequest::decode(body).ok().map(Export::Logs),
    }
}

/// Reads JSON with `ccrun`'s reader and, independently, with that of the types crate. Both must agree. A body that the
/// types crate cannot read (such as an empty array among the values) is read by `ccrun` alone.
fn decode_json(signal: Signal, body: &[u8]) -> Option<Export> {
    let theirs = match signal {
        Signal::Traces => serde_json::from_slice(body).map(Export::Traces),
        Signal::Metrics => serde_json::from_slice(body).map(Export::Metrics),
        Signal::Logs => serde_json::from_slice(body).map(Export::Logs),
    };
    let ours = json_to_protobuf(signal, body, LIMIT).ok().and_then(|body| decode(signal, &body));
    if let Ok(theirs) = theirs {
        assert_eq!(Some(&theirs), ours.as_ref(), "{}", String::from_utf8_lossy(body));
    }
    ours
}

/// The frames of a body, and how it ends.
pub(super) struct ReplyBody {
    frames: VecDeque<Frame<Bytes>>,
    ending: Ending,
}

impl ReplyBody {
    pub(super) fn new(frames: Vec<Frame<Bytes>>, ending: Ending) -> Self {
        let mut frames = VecDeque::from(frames);
        if matches!(ending, Ending::Endless | Ending::Stalled) {
            // Frames after the body are never sent.
            frames.truncate(1);
        }
        Self { frames, ending }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None if self.ending == Ending::Endless => {
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 4096])))))
            }
            None if self.ending == Ending::Stalled => Poll::Pending,
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        // If the only frame is empty, the reply has no body. Over HTTP/2, its headers then end the stream, as in gRPC's
        // trailers-only responses.
        let is_nothing = |frame: &Frame<Bytes>| frame.data_ref().is_some_and(Bytes::is_empty);
        self.ending == Ending::Whole && self.frames.iter().all(is_nothing)
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        let is_data_alone = self.ending == Ending::Whole && self.frames.iter().all(Frame::is_data);
        if !is_data_alone {
            return hyper::body::SizeHint::new();
        }
        let length: usize = self.frames.iter().filter_map(|frame| frame.data_ref().map(Bytes::len)).sum();
        hyper::body::SizeHint::with_exact(length as u64)
    }
}
