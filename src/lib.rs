//! `ccrun` launches Claude Code with its OpenTelemetry switched on and delivered.

pub mod credential;
pub mod forward;
pub mod otlp;
pub mod printable;
pub mod profile;
pub mod store;
pub mod usage;
