//! The life of a connection. One that has not brought the token lasts ten seconds; one that has is a sign of life, and
//! is never closed for being idle.

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
use super::peer::Peer;
use super::refusal::Refusal;
use super::reply::Reply;
use super::strangers::{Deadline, Stranger};
use super::{grpc, http, token};
use crate::collector::connections::{Connection, Connections};

/// How long a request's headers may take once they have begun.
const HEADERS: Duration = Duration::from_secs(10);

/// How much of a request is buffered before it is read, headers included: bytes.
const BUFFER: usize = 64 << 10;

/// How many requests a connection over HTTP/2 may have under way. A client may begin that many before it hears of a lower
/// number, and would see those beyond refused (RFC 9113, 6.5.2).
const STREAMS: u32 = 100;

/// How much of one of them may be on its way, in bytes. Those of all streams together are the connection's, so that a
/// request that waits for room never holds up one that has it.
const WINDOW: u32 = 16 << 10;

/// How many requests over HTTP/2 may be taken back before they were looked at. Beyond that the connection is closed:
/// opening and taking back is a known way to keep a server busy.
const TAKEN_BACK: usize = 20;

/// Serves one connection to its end.
pub(super) async fn converse<S>(
    stream: S,
    peer: Peer,
    receiver: Arc<Receiver>,
    connections: Connections,
    place: Stranger,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let guest = Arc::new(Guest::new(peer, connections, place));
    let service = service_fn({
        let guest = Arc::clone(&guest);
        move |request| {
            let (receiver, guest) = (Arc::clone(&receiver), Arc::clone(&guest));
            async move { Ok::<_, std::convert::Infallible>(answer(&receiver, &guest, request).await) }
        }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    // A client that has said all it has to say may close its side and wait for the answer. HTTP/1.1's own limit on the
    // time of headers would close idle connections, too.
    server.http1().half_close(true).timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(BUFFER);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW * STREAMS)
        .max_pending_accept_reset_streams(TAKEN_BACK);
    let heard = Heard { stream, guest: Arc::clone(&guest) };
    tokio::select! {
        _ = server.serve_connection(TokioIo::new(heard), service) => {}
        () = guest.overdue() => {}
    }
}

async fn answer(receiver: &Arc<Receiver>, guest: &Arc<Guest>, request: Request<Incoming>) -> Response<Reply> {
    let (head, body) = request.into_parts();
    let under_way = guest.begin(&head);
    let is_call = grpc::is_call(&head);
    let mut upload = Upload::new(&head, body);
    let admitted = guest.admit(&head, receiver.token()).await;
    let is_admitted = admitted.is_ok();
    let result = match admitted {
        Err(refusal) => Err(refusal),
        Ok(path) if is_call => grpc::export(receiver, path, &head, &mut upload).await,
        Ok(path) => http::export(receiver, path, &head, &mut upload).await,
    };
    if is_admitted && result.is_err() {
        upload.drain(under_way);
    }
    if is_call { grpc::answer(result) } else { http::answer(&head.headers, result) }
}

/// A connection, and what is known of it.
struct Guest {
    peer: Peer,
    connections: Connections,
    /// Its place among the strangers, until it has brought the token.
    place: Mutex<Option<Stranger>>,
    known: OnceLock<Connection>,
    is_http1: AtomicBool,
    /// How many requests are under way.
    requests: AtomicUsize,
    deadline: Deadline,
}

impl Guest {
    fn new(peer: Peer, connections: Connections, place: Stranger) -> Self {
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

    /// Lets a request in that has brought the token, unless another user sends it. Gives its path behind the token.
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

    /// A request has begun; its headers are there.
    fn begin(self: &Arc<Self>, head: &Parts) -> UnderWay {
        self.is_http1.store(head.version < Version::HTTP_2, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        if self.known.get().is_some() {
            self.deadline.send_replace(None);
        }
        UnderWay { guest: Arc::clone(self) }
    }

    /// Something has come. If no request is under way, it is the beginning of one; over HTTP/2 it may be a mere sign of
    /// life.
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

    /// Waits for the end of its time.
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

/// A request that is under way, until it is dropped.
pub(super) struct UnderWay {
    guest: Arc<Guest>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.guest.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection's stream, which tells the guest when something comes.
struct Heard<S> {
    stream: S,
    guest: Arc<Guest>,
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
            self.guest.heard();
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
