//! Shared fixtures of the integration tests.

pub mod backend;
pub mod browser;
pub mod call;
pub mod claude;
pub mod code;
pub mod emitter;
#[cfg(target_os = "linux")]
pub mod issuer;
pub mod keyring;
pub mod keys;
pub mod metrics;
pub mod otelcol;
pub mod prometheus;
pub mod proxy;
pub mod random;
pub mod sandbox;
pub mod sdk;
pub mod series;
pub mod session;
pub mod telemetry;
pub mod terminal;
pub mod vscode;
pub mod year;
