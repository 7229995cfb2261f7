//! OTLP as it stands on the wire: signals and the bytes of a request.

mod signal;

pub use signal::Signal;
