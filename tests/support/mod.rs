//! What the scenarios stand on.

pub mod backend;
pub mod model;
pub mod sandbox;
