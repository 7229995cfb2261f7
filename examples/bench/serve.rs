//! A minimal OTLP server for all protocols. The code behind it decides what happens to a request.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use ccrun::otlp::{Signal, frame, gunzip, unframe};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The largest request that is decompressed, in bytes.
const LIMIT: usize = 64 << 20;

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// A complete request.
pub(crate) struct Arrived {
    /// `None` if the path is not that of a signal.
    pub(crate) signal: Option<Signal>,
    /// Unframed and decompressed.
    pub(crate) message: Bytes,
    /// The number of bytes on the wire.
    pub(crate) size: usize,
}

/// What happens to a request before it is acknowledged.
pub(crate) trait Fate: Send + Sync + 'static {
    /// Completes when the request may be acknowledged.
    fn of(&self, arrived: Arrived) -> impl Future<Output = ()> + Send;
}

/// Listens, prints the URL and serves until standard input closes.
pub(crate) fn run(listen: SocketAddr, tls: Option<&TlsAcceptor>, fate: &Arc<impl Fate>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        match tls {
            None => super::say(format_args!("http://{address}"))?,
            Some(_) => super::say(format_args!("https://localhost:{}", address.port()))?,
        }
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (tls, fate) = (tls.cloned(), Arc::clone(fate));
            tokio::spawn(async move {
                match tls {
                    None => connection(TokioIo::new(stream), fate).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            connection(TokioIo::new(stream), fate).await;
                        }
                    }
                }
            });
        }
    })
}

async fn connection(io: impl hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static, fate: Arc<impl Fate>) {
    let service = service_fn(|request| {
        let fate = Arc::clone(&fate);
        async move { answer(request, &*fate).await }
    });
    // A client may disconnect at any time.
    drop(auto::Builder::new(TokioExecutor::new()).serve_connection(io, service).await);
}

async fn answer(request: Request<Incoming>, fate: &impl Fate) -> anyhow::Result<Answer> {
    let (head, body) = request.into_parts();
    let raw = body.collect().await?.to_bytes();
    let content_type = head.headers.get("content-type").cloned();
    let is_grpc = content_type.as_ref().is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let path = head.uri.path();
    let path_of = |signal: Signal| if is_grpc { signal.grpc_path() } else { signal.http_path() };
    let signal = Signal::ALL.into_iter().find(|signal| path.ends_with(path_of(*signal)));
    let size = raw.len();
    fate.of(Arrived { signal, message: message(raw, &head.headers, is_grpc)?, size }).await;
    let mut answer = Response::builder();
    if let Some(content_type) = &content_type {
        answer = answer.header("content-type", content_type);
    }
    if is_grpc {
        let trailers = HeaderMap::from_iter([("grpc-status".parse()?, "0".parse()?)]);
        let body = Full::new(frame(&[], false)?).with_trailers(async { Some(Ok(trailers)) });
        return Ok(answer.body(body.boxed_unsync())?);
    }
    let is_json = content_type.is_some_and(|kind| kind == "application/json");
    let body = if is_json { Bytes::from_static(b"{}") } else { Bytes::new() };
    Ok(answer.body(Full::new(body).boxed_unsync())?)
}

fn message(raw: Bytes, headers: &HeaderMap, is_grpc: bool) -> anyhow::Result<Bytes> {
    let is_gzip = |name: &str| headers.get(name).is_some_and(|value| value == "gzip");
    let (message, is_compressed) = if is_grpc {
        let (message, is_compressed) = unframe(&raw)?;
        (raw.slice_ref(message), is_compressed)
    } else {
        let is_compressed = is_gzip("content-encoding");
        (raw, is_compressed)
    };
    Ok(if is_compressed { gunzip(&message, LIMIT)?.into() } else { message })
}
