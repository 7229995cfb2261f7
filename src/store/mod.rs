//! What is kept on disk, one file a table.

pub mod ledger;
