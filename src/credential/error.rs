//! Why a destination has no headers.

use thiserror::Error;

use crate::profile::Diagnostic;
use crate::secret::FetchError;

/// Why there is no value.
#[derive(Clone, Debug, Error)]
pub enum ValueError {
    /// A command depends on a project's file, and something has changed since it was trusted.
    #[error("{0}")]
    Untrusted(Diagnostic),
    /// No source has it.
    #[error(transparent)]
    Missing(#[from] FetchError),
}

/// Why there are no headers.
#[derive(Clone, Debug, Error)]
pub enum HeadersError {
    /// The helper depends on a project's file, and something has changed since it was trusted.
    #[error("{0}")]
    Untrusted(Diagnostic),
    /// The helper failed.
    #[error("{helper} {reason}")]
    Helper {
        /// The helper's name for people.
        helper: String,
        /// The reason, to follow the helper's name.
        reason: String,
    },
    /// A header has no value.
    #[error("the header `{name}` has no value: {error}")]
    NoValue {
        /// The header.
        name: String,
        /// Why not.
        error: ValueError,
    },
    /// A helper printed an invalid header name.
    #[error("a helper printed an invalid header name")]
    NoName,
    /// A value contains characters that no header allows.
    #[error("the value of the header `{name}` contains a line break or another control character")]
    Unsendable {
        /// The header.
        name: String,
    },
}
