//! The lifetime of a connection. An unauthenticated one is closed after ten seconds. An authenticated one keeps the
//! session alive, and is never closed for being idle.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::Version;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

use super::body::Upload;
use super::export::Receiver;
use super::hook::{self, Hook};
use super::peer::Peer;
use super::refusal::Refusal;
use super::reply::Reply;
use super::{grpc, http, token};
use crate::claude::hooks;
use crate::collector::connections::{Connection, Connections};
use crate::collector::receive::unauthenticated::{Deadline, UnauthenticatedConnection};

/// The time limit for a request's headers once they have begun.
const HEADERS: Duration = Duration::from_secs(10);

/// The buffer for an unread request with its headers, in bytes.
const BUFFER: usize = 64 << 10;

/// How many concurrent requests an HTTP/2 connection may have. A client may open that many before it learns of a lower
/// limit, and would see the rest rejected (RFC 9113, 6.5.2).
const STREAMS: u32 = 100;

/// The flow-control window of a stream, in bytes. All streams share the connection's, so a request that waits for
/// memory never blocks one that has it.
const WINDOW: u32 = 64 << 10;

/// How many HTTP/2 requests may be reset before they are processed. Beyond that the connection is closed, because rapid
/// resets are a known attack.
const TAKEN_BACK: usize = 20;

/// Serves one connection to its end.
pub(super) async fn converse<S>(
    stream: S,
    peer: Peer,
    receiver: Arc<Receiver>,
    connections: Connections,
    place: UnauthenticatedConnection,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let state = Arc::new(ConnectionState::new(peer, connections, place));
    let service = service_fn({
        let state = Arc::clone(&state);
        move |request| {
            let (receiver, state) = (Arc::clone(&receiver), Arc::clone(&state));
            async move { Ok::<_, std::convert::Infallible>(answer(&receiver, &state, request).await) }
        }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    // A client may close its side and wait for the answer. HTTP/1.1's own header timeout would also close idle
    // connections.
    server.http1().half_close(true).timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(BUFFER);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW * STREAMS)
        .max_pending_accept_reset_streams(TAKEN_BACK);
    let heard = Heard { stream, state: Arc::clone(&state) };
    // At once, while the client is still there to be identified.
    let look_up = async {
        state.peer.is_foreign().await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = server.serve_connection(TokioIo::new(heard), service) => {}
        () = state.overdue() => {}
        () = look_up => {}
    }
}

async fn answer(receiver: &Arc<Receiver>, state: &Arc<ConnectionState>, request: Request<Incoming>) -> Response<Reply> {
    let (head, body) = request.into_parts();
    let under_way = state.begin(&head);
    let is_call = grpc::is_call(&head);
    let mut upload = Upload::new(&head, body);
    if let Some(hook) = receiver.hook().filter(|_| head.uri.path() == hooks::PATH) {
        return answer_hook(hook, state, &head, upload, under_way).await;
    }
    let admitted = state.admit(&head, receiver.token()).await;
    let is_admitted = admitted.is_ok();
    if is_admitted {
        // The client may disconnect before the answer.
        state.connections.brought(false);
    }
    let result = match admitted {
        Err(refusal) => Err(refusal),
        Ok(path) if is_call => grpc::export(receiver, path, &head, &mut upload).await,
        Ok(path) => http::export(receiver, path, &head, &mut upload).await,
    };
    match &result {
        Ok(_) => state.connections.brought(true),
        Err(_) if is_admitted => upload.drain(under_way),
        Err(_) => {}
    }
    if is_call { grpc::answer(result) } else { http::answer(&head.headers, result) }
}

async fn answer_hook(
    hook: &Hook,
    state: &ConnectionState,
    head: &Parts,
    mut upload: Upload,
    under_way: UnderWay,
) -> Response<Reply> {
    let result = match state.admit_hook(head, hook).await {
        Ok(()) => {
            let answered = hook.answer(head, &mut upload).await;
            if answered.is_err() {
                upload.drain(under_way);
            }
            answered
        }
        Err(refusal) => Err(refusal),
    };
    hook::respond(head.version, result)
}

/// A connection and its state.
struct ConnectionState {
    peer: Peer,
    connections: Connections,
    /// Its place among unauthenticated connections, until it is authenticated.
    place: Mutex<Option<UnauthenticatedConnection>>,
    known: OnceLock<Connection>,
    is_http1: AtomicBool,
    /// How many requests are in progress.
    requests: AtomicUsize,
    deadline: Deadline,
}

impl ConnectionState {
    fn new(peer: Peer, connections: Connections, place: UnauthenticatedConnection) -> Self {
        Self {
            peer,
            connections,
            deadline: place.deadline(),
            place: Mutex::new(Some(place)),
            known: OnceLock::new(),
            is_http1: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
        }
    }

    /// Admits a request with the token, unless it comes from another user. Returns its path after the token.
    async fn admit<'a>(&self, head: &'a Parts, token: &str) -> Result<&'a str, Refusal> {
        let path = token::authorized(head.uri.path(), &head.headers, token).ok_or(Refusal::Unauthenticated)?;
        if self.peer.is_foreign().await {
            return Err(Refusal::Foreign);
        }
        self.known.get_or_init(|| {
            drop(self.place.lock().unwrap_or_else(PoisonError::into_inner).take());
            self.deadline.send_replace(None);
            self.connections.enter()
        });
        Ok(path)
    }

    /// Admits a request of a hook, unless it comes from another user. It keeps the session no longer alive than its
    /// connection's deadline, and other connections do not evict it.
    async fn admit_hook(&self, head: &Parts, hook: &Hook) -> Result<(), Refusal> {
        if !hook.admits(&head.headers) {
            return Err(Refusal::Unauthenticated);
        }
        if self.peer.is_foreign().await {
            return Err(Refusal::Foreign);
        }
        drop(self.place.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok(())
    }

    /// Called when the headers of a request have arrived.
    fn begin(self: &Arc<Self>, head: &Parts) -> UnderWay {
        self.is_http1.store(head.version < Version::HTTP_2, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        if self.known.get().is_some() {
            self.deadline.send_replace(None);
        }
        UnderWay { state: Arc::clone(self) }
    }

    /// Called when data arrives. Without a request in progress, it is the beginning of one, or over HTTP/2 possibly a
    /// ping.
    fn heard(&self) {
        let is_beginning = self.is_http1.load(Ordering::Relaxed) && self.requests.load(Ordering::Relaxed) == 0;
        if is_beginning && self.known.get().is_some() {
            self.deadline.send_if_modified(|deadline| {
                let is_first = deadline.is_none();
                deadline.get_or_insert_with(|| Instant::now() + HEADERS);
                is_first
            });
        }
    }

    /// Waits for its deadline.
    async fn overdue(&self) {
        let mut deadline = self.deadline.subscribe();
        loop {
            let until = *deadline.borrow_and_update();
            let passed = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = passed => return,
                // The sender lives as long as `self`.
                _ = deadline.changed() => {}
            }
        }
    }
}

/// A request in progress, until dropped.
pub(super) struct UnderWay {
    state: Arc<ConnectionState>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.state.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection's stream, which reports when data arrives.
struct Heard<S> {
    stream: S,
    state: Arc<ConnectionState>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.state.heard();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
