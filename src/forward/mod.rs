//! Forwarding: a destination's own way through what waits for it, with its own pace and its own troubles.

mod answer;
mod backoff;
mod failure;
mod fingerprint;
mod forwarder;
mod tls;
mod transport;

pub use answer::{ANSWER_LIMIT, Answer, Cut, Outcome};
pub use backoff::Backoff;
pub use fingerprint::fingerprint;
pub use forwarder::Forwarder;
pub use transport::{Transport, TransportError};
