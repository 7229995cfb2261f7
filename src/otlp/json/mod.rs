//! Converts OTLP between JSON and the wire form (OTLP specification, *JSON Protobuf Encoding*; protobuf's JSON
//! mapping).
//!
//! The table of OTLP's messages drives both directions. Neither uses the types that prost generates: their JSON loses
//! or rejects data that the specification allows, and they lose fields of newer senders.
//!
//! Neither direction builds a tree. Reading writes the wire form directly, so that it needs memory only for its input,
//! for its bounded output, and for the longest string. Writing walks the wire form in place.

mod read;
mod scalar;
mod sink;
mod write;

use thiserror::Error;

use super::wire::{MAX_DEPTH, Malformed};

pub use read::json_to_protobuf;
pub use write::protobuf_to_json;

/// Why a request could not be converted. Contains no value from the request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JsonError {
    /// It is not JSON, or not valid as OTLP.
    #[error("{what}, at line {line}, column {column}{path}")]
    Invalid {
        /// The fault.
        what: String,
        /// Counted from one.
        line: usize,
        /// In bytes, counted from one.
        column: usize,
        /// The field, after a comma: `, in resourceLogs[0].scopeLogs`; or empty.
        path: String,
    },
    /// It is not protobuf.
    #[error("not a protobuf message: {0}")]
    Malformed(#[from] Malformed),
    /// Messages are nested deeper than protobuf's readers allow.
    #[error("more than {MAX_DEPTH} messages in each other")]
    TooDeep,
    /// The result would exceed the limit.
    #[error("larger than {0} bytes in the other encoding")]
    TooLarge(usize),
}

#[cfg(test)]
mod tests;
