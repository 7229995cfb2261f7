//! What Claude Code used: read from its telemetry, added up, shown.

mod events;
pub mod extract;
mod fact;
mod metrics;
#[cfg(test)]
pub(crate) mod samples;

pub use fact::{Identity, Measure, Source, Usage};
