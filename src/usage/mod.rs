//! Claude Code's usage, read from its telemetry.

mod attributes;
mod entry;
mod events;
mod extract;
mod fact;
pub mod identity;
mod measure;
mod metrics;
mod owner;
#[cfg(test)]
pub(crate) mod samples;
mod view;

pub use attributes::to_double;
pub use entry::{Entry, entries};
pub use extract::extract;
pub use fact::{
    Basis, Counter, Decision, Extract, Fact, Identity, Kind, Moment, Outcome, Owner, Prompt, Request, ToolCall, What,
    decided, edits,
};
pub use measure::{Amounts, MEASURES, Measure};
pub use view::STAND_IN;
