//! Where a header's value comes from.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where the value of a header comes from.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Written in the profile itself.
    Literal(String),
}

/// Hides what a literal says: people do write keys there.
impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => formatter.write_str("Literal(…)"),
        }
    }
}

impl Source {
    /// What tells one source from another: the literal itself, for another key is another account.
    pub fn identity(&self) -> &str {
        match self {
            Self::Literal(value) => value,
        }
    }
}
