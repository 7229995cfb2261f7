//! OTLP on the wire: signals, the bytes of a request, and operations on them.

#[cfg(any(test, fuzzing))]
pub mod arbitrary;
mod frame;
mod grpc_code;
mod gzip;
mod json;
mod pattern;
mod response;
mod rewrite;
pub mod schema;
mod signal;
mod split;
mod status;
mod validate;
mod wire;

pub use frame::{FrameError, frame, unframe};
pub use grpc_code::GrpcCode;
pub use gzip::{GzipError, gunzip, gzip};
pub use json::{JsonError, json_to_protobuf, protobuf_to_json};
pub use pattern::Pattern;
pub use response::{ExportResponse, PartialSuccess};
pub use rewrite::{HashKey, OwnHooks, Redact, Rewritten, Rules, Stamp, Switch, Withheld, rewrite};
pub use signal::Signal;
pub use split::{Halves, count, halve};
pub use status::{RpcAny, RpcStatus};
pub use validate::validate;
pub use wire::{Field, Fields, Malformed, Value, fields, put_message};
