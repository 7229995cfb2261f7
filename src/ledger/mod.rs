//! The ledger: one row for each event, and sums of them.
//!
//! Each fact has an identity, so that adding it twice changes nothing. Facts contain only integers: each text is stored
//! once in a dictionary, and the ownership of facts once in a context. Sums by quarter of an hour are a cache that is
//! rebuilt from the facts. A quarter of an hour is the finest step by which time zones differ, so that the days of each
//! time zone add up exactly. Data that only metrics have is stored by quarter of an hour as it arrives. [`block`]
//! documents how sums are stored.
//!
//! The ledger reads the logs of sessions from its own position, which moves in the commit that adds the data. Several
//! programs make it read: collectors, processes that deliver leftovers, and a report before it is shown.

mod balance;
pub mod block;
mod carried;
mod change;
pub mod columns;
pub mod cost;
mod dictionary;
mod family;
mod fold;
mod forget;
mod gauge;
mod hasher;
pub mod import;
pub mod merge;
mod origin;
mod pending;
mod row;
mod schema;
mod sums;
mod take;
mod tombstone;
mod twins;
mod undelivered;
mod whereabouts;

pub use balance::{Wins, by_metrics, told};
pub use family::Family;
pub use fold::{fold, fold_tails, position};
pub use forget::{Forget, Forgotten, forget, prune};
pub use gauge::{Gauge, gauge, keep as keep_gauge};
pub use hasher::Quick;
pub use origin::Origin;
pub use pending::{Pending, pending};
pub use row::{
    AT, CONTEXT, DECISION, Key, MOMENT, PROMPT, REQUEST, Row, SUBMISSION, TABLES, TOOL, Table, WIDEST, shares,
};
pub use schema::{CONTEXTS, KINDS, LEDGER, empty};
pub use sums::rebuild;
pub use take::insert;
pub use tombstone::is_forgotten;
pub use undelivered::{Undelivered, forget_undelivered};
pub use whereabouts::Whereabouts;

/// The length of a quarter of an hour, in milliseconds.
pub const QUARTER: i64 = 15 * 60 * 1000;

/// The length of a day, in milliseconds.
pub const DAY: i64 = 24 * 60 * 60 * 1000;

#[cfg(test)]
pub(crate) mod tests;
