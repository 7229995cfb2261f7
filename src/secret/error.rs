//! Why a value is unavailable.

use std::fmt;

use thiserror::Error;

use super::{Command, Format, Source};

/// Why none of the sources has the value: the error of each, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Error)]
pub struct FetchError {
    /// One for each source; empty if there were no sources.
    pub misses: Vec<Miss>,
}

/// A source that does not have the value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{missed} {reason}")]
pub struct Miss {
    /// The source.
    pub missed: Source,
    /// The reason, to follow the name of the source.
    pub reason: String,
}

impl Miss {
    /// An interactive command, which only runs before the program starts.
    pub fn at_next_launch(command: Command) -> Self {
        let reason = "will be run at the next launch".to_owned();
        Self { missed: Source::Command(command, Format::default()), reason }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, miss) in self.misses.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(formatter, "{separator}{miss}")?;
        }
        Ok(())
    }
}
