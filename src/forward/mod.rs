//! Forwarding: a destination's own way through what waits for it, with its own pace and its own troubles.

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
pub use backoff::{Backoff, not_before};
pub use fingerprint::fingerprint;
pub use forwarder::Forwarder;
pub use transport::{Heard, Transport, TransportError};
