//! OTLP in JSON, to and from the wire form (OTLP specification, *JSON Protobuf Encoding*; protobuf's JSON mapping).
//!
//! The table of OTLP's messages drives both directions. Neither goes by way of the types that prost generates: their
//! JSON loses or refuses what the specification allows, and they would lose what newer senders say.
//!
//! Neither direction builds a tree. Reading writes the wire form as it goes, so that what it needs beside its input is
//! its output, which is bounded, and the longest of its strings; writing walks the wire form where it lies.

mod read;
mod scalar;
mod sink;
mod write;

use thiserror::Error;

use super::schema::MAX_DEPTH;
use super::wire::Malformed;

pub use read::json_to_protobuf;
pub use write::protobuf_to_json;

/// Why a request was not brought from one form into the other. No value of the request is repeated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JsonError {
    /// It is no JSON, or not what OTLP means by it.
    #[error("{what}, at line {line}, column {column}{path}")]
    Invalid {
        /// What is wrong.
        what: String,
        /// Counted from one.
        line: usize,
        /// In bytes, counted from one.
        column: usize,
        /// Which field it is, behind a comma: `, in resourceLogs[0].scopeLogs`; or nothing.
        path: String,
    },
    /// It is no protobuf.
    #[error("not a protobuf message: {0}")]
    Malformed(#[from] Malformed),
    /// Messages lie in each other deeper than protobuf's readers go.
    #[error("more than {MAX_DEPTH} messages in each other")]
    TooDeep,
    /// The other form would be larger than the limit.
    #[error("larger than {0} bytes in the other encoding")]
    TooLarge(usize),
}

#[cfg(test)]
mod tests;
