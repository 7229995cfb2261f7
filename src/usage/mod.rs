//! What Claude Code used: read from its telemetry, added up, shown.

mod attributes;
mod events;
mod extract;
mod fact;
mod metrics;
mod numbers;
mod render;
pub mod report;
#[cfg(test)]
pub(crate) mod samples;
mod sum;
mod view;

pub use extract::{NotOtlp, extract};
pub use fact::{Extract, Identity, Measure, Source, Usage};
