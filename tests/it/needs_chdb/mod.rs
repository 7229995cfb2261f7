//! The real engine of `ClickHouse` holds what sessions of the real Claude Code sent through a real collector.

mod boards;
mod sources;
