//! Receiving a request, in the order in which it meets each part: [`unauthenticated`] connections, one [`connection`]
//! and its owner ([`token`], [`peer`]), the protocol ([`http`], [`grpc`]), a [`memory`] permit for the [`body`], and the
//! [`export`].

mod blocking;
mod body;
mod connection;
mod encoding;
mod export;
mod grpc;
mod hook;
mod http;
mod memory;
mod peer;
mod place;
mod refusal;
mod reply;
mod token;
mod unauthenticated;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::sleep;

use self::peer::Peer;
use self::unauthenticated::UnauthenticatedConnections;
use super::connections::Connections;
pub(super) use export::{Receiver, Route};
pub(super) use hook::Hook;

/// How many authenticated connections there may be before others wait in the listener's backlog.
const MAXIMUM_CONNECTIONS: usize = 256;

/// The pause after a failed accept, for example without free descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Serves connections until aborted.
pub(super) async fn serve(listener: TcpListener, receiver: Arc<Receiver>, connections: Connections) {
    let unauthenticated = UnauthenticatedConnections::default();
    loop {
        connections.fewer_than(MAXIMUM_CONNECTIONS).await;
        if let Ok((stream, _)) = listener.accept().await {
            // An HTTP/2 answer is several small writes, the second of which would otherwise wait for a delayed ACK of
            // the first. Failing to set this only makes it slower.
            drop(stream.set_nodelay(true));
            let (peer, place) = (Peer::of(&stream), unauthenticated.enter());
            tokio::spawn(connection::converse(stream, peer, Arc::clone(&receiver), connections.clone(), place));
        } else {
            unauthenticated.shed();
            sleep(AFTER_FAILURE).await;
        }
    }
}
