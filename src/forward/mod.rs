//! Forwarding: a destination's own way through what waits for it, with its own pace and its own troubles.

mod answer;
mod backoff;
mod client;
mod connect;
mod counters;
mod failure;
mod fingerprint;
mod forwarder;
mod gathering;
mod proxy;
mod stream;
mod tls;
mod transport;

pub use answer::{ANSWER_LIMIT, Answer, Cut, Outcome};
pub use backoff::{Backoff, not_before};
pub use client::Client;
pub use fingerprint::fingerprint;
pub use forwarder::Forwarder;
pub use proxy::Proxies;
pub use transport::{Transport, TransportError};
