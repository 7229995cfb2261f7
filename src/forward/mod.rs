//! Delivery to a destination: one request out, and what its answer means.

mod answer;

pub use answer::{ANSWER_LIMIT, Answer, Cut, Outcome};
