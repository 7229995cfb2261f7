//! What the scenarios stand on.

pub mod backend;
pub mod client;
pub mod model;
pub mod otelcol;
pub mod random;
pub mod sandbox;
pub mod session;
