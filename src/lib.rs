//! `ccrun` launches Claude Code with its OpenTelemetry switched on and delivered.

pub mod credential;
pub mod otlp;
pub mod profile;
