//! OTLP as it stands on the wire: signals, the bytes of a request, and what is done to them.

#[cfg(test)]
mod arbitrary;
mod frame;
mod gzip;
mod json;
mod pattern;
mod response;
mod rewrite;
mod schema;
mod signal;
mod split;
mod status;
mod validate;
mod wire;

pub use frame::{FrameError, frame, unframe};
pub use gzip::{GzipError, gunzip, gzip};
pub use json::{JsonError, json_to_protobuf, protobuf_to_json};
pub use pattern::Pattern;
pub use response::{ExportResponse, PartialSuccess};
pub use rewrite::{HashKey, Redact, Rewritten, Rules, Stamp, Switch, Withheld, rewrite};
pub use signal::Signal;
pub use split::{Halves, count, halve};
pub use status::{RpcAny, RpcStatus};
pub use validate::validate;
pub use wire::{Field, Fields, Malformed, Value, fields, put_message};
