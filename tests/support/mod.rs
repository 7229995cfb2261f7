//! What the scenarios stand on.

pub mod backend;
