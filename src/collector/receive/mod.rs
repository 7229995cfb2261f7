//! Receiving: connections, and what becomes of a request. HTTP is in `http`; gRPC's place is beside it.

mod export;
mod http;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::connections::{Connection, Connections};
pub(super) use export::{Receiver, Route};

/// How many connections are served at once; the others wait in the listener's backlog.
const MAXIMUM_CONNECTIONS: usize = 256;

/// How long a connection may last without having brought the token.
const STRANGER: Duration = Duration::from_secs(10);

/// How long a request's headers may take once they have begun.
const HEADERS: Duration = Duration::from_secs(10);

/// The pause after an accept that failed, for want of descriptors say.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Serves connections until it is aborted.
pub(super) async fn serve(listener: TcpListener, receiver: Arc<Receiver>, connections: Connections) {
    let places = Arc::new(Semaphore::new(MAXIMUM_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let guest = Guest { connections: connections.clone(), known: AtomicBool::new(false) };
                let receiver = Arc::clone(&receiver);
                tokio::spawn(async move {
                    converse(stream, receiver, guest).await;
                    drop(place);
                });
            }
            Err(_) => sleep(AFTER_FAILURE).await,
        }
    }
}

/// A connection, and whether it has brought the token.
struct Guest {
    connections: Connections,
    known: AtomicBool,
}

/// Serves one connection to its end. Once it has brought the token it counts as a sign of life and is never closed.
async fn converse(stream: TcpStream, receiver: Arc<Receiver>, guest: Guest) {
    let guest = Arc::new(guest);
    let entered: Arc<std::sync::OnceLock<Connection>> = Arc::default();
    let service = service_fn({
        let (guest, entered) = (Arc::clone(&guest), Arc::clone(&entered));
        move |request| {
            let (receiver, guest, entered) = (Arc::clone(&receiver), Arc::clone(&guest), Arc::clone(&entered));
            async move {
                let welcome = || {
                    guest.known.store(true, Ordering::Relaxed);
                    entered.get_or_init(|| guest.connections.enter());
                };
                Ok::<_, std::convert::Infallible>(http::answer(receiver, request, welcome).await)
            }
        }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    // A client that has said all it has to say may close its side and wait for the answer.
    server.http1().half_close(true).timer(TokioTimer::new()).header_read_timeout(HEADERS);
    server.http2().timer(TokioTimer::new());
    let connection = server.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = sleep(STRANGER) => {}
    }
    if guest.known.load(Ordering::Relaxed) {
        drop(connection.await);
    }
}
