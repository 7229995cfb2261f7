//! Receiving, in the order in which a request meets it: a connection among [`strangers`], the life of a `guest`, whose
//! it is (`token`, `peer`), the [`http`] or [`grpc`] it speaks, the [`room`] for its [`body`], and the [`export`].

mod body;
mod encoding;
mod export;
mod grpc;
mod guest;
mod http;
mod peer;
mod refusal;
mod reply;
mod room;
mod strangers;
mod token;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::sleep;

use self::peer::Peer;
use self::strangers::Strangers;
use super::connections::Connections;
pub(super) use export::{Receiver, Route};

/// How many connections that have brought the token there may be before others wait in the listener's backlog.
const MAXIMUM_CONNECTIONS: usize = 256;

/// The pause after an accept that failed, for want of descriptors say.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Serves connections until it is aborted.
pub(super) async fn serve(listener: TcpListener, receiver: Arc<Receiver>, connections: Connections) {
    let strangers = Strangers::default();
    loop {
        connections.fewer_than(MAXIMUM_CONNECTIONS).await;
        if let Ok((stream, _)) = listener.accept().await {
            let (peer, place) = (Peer::of(&stream), strangers.enter());
            tokio::spawn(guest::converse(stream, peer, Arc::clone(&receiver), connections.clone(), place));
        } else {
            strangers.shed();
            sleep(AFTER_FAILURE).await;
        }
    }
}
