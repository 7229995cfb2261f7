//! Usage as Prometheus scrapes it: counters of all time, by the names that Prometheus gives to Claude Code's own metrics.
//!
//! [`series()`] makes series of the ledger's sums, [`Shown`] keeps each of them from going down, and [`exposition()`] writes
//! them in Prometheus' two text formats.

mod exposition;
mod metric;
mod series;
mod shown;

pub use exposition::{About, Format, exposition};
pub use metric::{LABELS, label_of};
pub use series::{Found, Series, series};
pub use shown::{Kept, Shown};

#[cfg(test)]
mod tests;
