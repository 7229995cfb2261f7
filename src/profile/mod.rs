//! Profiles: which files say what, and what they mean together.

mod model;

pub use model::{Cardinality, Collector, Content, Destination, Profile, Protocol, Signals};
