//! What the scenarios stand on.

pub mod backend;
//! What the scenarios share.

pub(crate) mod model;
