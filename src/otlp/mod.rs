//! OTLP as it stands on the wire: signals and the bytes of a request.

mod frame;
mod gzip;
mod signal;
mod splice;
mod status;
mod wire;

pub use frame::{FrameError, frame, unframe};
pub use gzip::{GzipError, gunzip, gzip};
pub use signal::Signal;
pub use splice::{Stamp, splice_resource};
pub use status::{RpcAny, RpcStatus};
pub use wire::{Field, Fields, Malformed, Value, fields, put_message};
