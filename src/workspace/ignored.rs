//! Why a project's file does not apply.

use std::path::PathBuf;

use thiserror::Error;

use crate::profile::{Diagnostic, Faults};

/// Why a project's file does not apply.
#[derive(Clone, Debug, Error)]
pub enum IgnoredProject {
    /// It cannot be read.
    #[error("{0}: it is ignored")]
    Unreadable(Diagnostic),
    /// It is invalid, or names files that cannot be used.
    #[error("{0}: it is ignored")]
    Invalid(Faults),
    /// It was never trusted.
    #[error("`{}` is not trusted, so it is ignored: `ccrun trust` shows what it would do", .0.display())]
    Untrusted(PathBuf),
    /// Its trusted version is another one.
    #[error("`{}` has changed since it was trusted, so it is ignored: `ccrun trust` shows what it does", .0.display())]
    Changed(PathBuf),
}
