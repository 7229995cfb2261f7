//! Forwarding: each destination has its own path through the entries that wait for it, with its own back-off.

mod answer;
mod backoff;
mod counters;
mod fingerprint;
mod forwarder;
mod gathering;
mod journal;
mod totals;
mod transport;

pub use answer::Outcome;
pub use backoff::not_before;
pub use fingerprint::fingerprint;
pub use forwarder::Forwarder;
pub use transport::{Heard, Transport, TransportError};
