//! The real engine of `ClickHouse` holds what sessions sent through a real collector.

mod boards;
mod midnight;
mod rewritten;
mod sources;
