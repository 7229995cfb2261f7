//! Totals: what a destination that wants cumulative sums is given in place of the deltas that clients hand over.
//!
//! Pure: from a request to the delta points in it ([`sift()`]), from those to running totals ([`add`]), and from totals
//! to the requests of a snapshot ([`Gathered`]). The rules are those of the OpenTelemetry specification,
//! `metrics/data-model.md`. Where totals are kept is [`crate::store::totals`]; who sends them is [`crate::forward`].

mod exponential;
mod histogram;
mod merge;
mod series;
mod sift;
mod snapshot;

pub use merge::{Unfit, add, begin, stamp, started, zero};
pub use series::{Installation, PLACE, Place};
pub use sift::{Delta, Sifted, sift};
pub use snapshot::Gathered;

#[cfg(test)]
mod cases;
