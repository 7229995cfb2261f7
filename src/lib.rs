//! `ccrun` launches Claude Code with its OpenTelemetry switched on and delivered.

pub mod credential;
pub mod forward;
pub mod git;
pub mod otlp;
pub mod printable;
pub mod process;
pub mod profile;
pub mod random;
pub mod state;
pub mod store;
pub mod surroundings;
pub mod usage;
