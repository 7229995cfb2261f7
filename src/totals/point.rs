//! Flags of points, and why a point is not added to a total.

use thiserror::Error;

/// `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`: the point states that it has no value.
pub(super) const NO_RECORDED_VALUE: u32 = 1;

/// Why a point is not added to a total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unfit {
    /// It has no value, whether or not its flags say so.
    #[error("it has no value")]
    Empty,
    /// It would decrease a monotonic total, which readers interpret as a restart.
    #[error("it is negative in a sum that only grows")]
    Negative,
    /// It is infinite or not a number. The total would stay so forever.
    #[error("it is not a finite number")]
    NotFinite,
    /// Its buckets do not match its bounds, or are invalid otherwise.
    #[error("its buckets make no sense")]
    Buckets,
    /// The two have different kinds.
    #[error("it is of another kind")]
    Kind,
}
