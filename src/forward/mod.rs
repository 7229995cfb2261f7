//! Delivery to a destination: one request out, and what its answer means.

mod answer;
mod failure;
mod tls;
mod transport;

pub use answer::{ANSWER_LIMIT, Answer, Cut, Outcome};
pub use transport::{Transport, TransportError};
