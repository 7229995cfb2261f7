//! Totals: cumulative sums for destinations that require them, in place of the deltas that clients send.
//!
//! Pure. [`sift()`] takes the delta points out of a request, [`add`] adds them to running totals, and [`Gathered`]
//! builds the requests of a snapshot. The rules are those of the OpenTelemetry specification, `metrics/data-model.md`.
//! [`crate::store::totals`] keeps totals, and [`crate::forward`] sends them.

mod exponential;
mod histogram;
mod merge;
mod pieces;
mod point;
mod series;
mod sift;
mod snapshot;

pub use merge::{add, begin, stamp, started, zero};
pub use pieces::{rest, sift_pieces};
pub use point::Unfit;
pub use series::{Installation, PLACE, Place};
pub use sift::{Delta, Sifted, sift};
pub use snapshot::Gathered;

#[cfg(test)]
mod cases;
