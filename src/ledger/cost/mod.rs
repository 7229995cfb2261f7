//! The cost of requests in transcripts. An event has the cost of each request, but a transcript has it only for a
//! session, at its end.
//!
//! The known costs of a session are subtracted, and the rest is shared over the requests without a known cost, by the
//! relative cost of their tokens. Sessions are therefore exact, and days nearly so. A fork continues its parent's
//! count, which is subtracted as well. If a session has no such cost, a list of prices may help ([`price`]); otherwise
//! its requests have no cost.

mod prices;
mod settle;
mod share;
mod state;

pub use prices::{Price, Prices, PricesError, price};
pub use settle::{Whole, whole};
pub(super) use settle::{settle, settle_new};
pub(super) use state::{Moment, SCHEMA, State, Told, forks, is_imported, note};

/// Tokens of input, output, cache reads, cache writes, and the part of the cache writes that lasts an hour.
pub(super) type Tokens = [i64; 5];
