//! What Claude Code used: read from its telemetry, added up, shown.

mod events;
pub mod extract;
mod fact;
mod metrics;
mod numbers;
mod render;
pub mod report;
#[cfg(test)]
pub(crate) mod samples;
mod sum;

pub use fact::{Identity, Measure, Source, Usage};
