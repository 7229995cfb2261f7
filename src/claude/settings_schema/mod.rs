//! The settings that Claude Code accepts. One value of a wrong type makes it ignore a whole settings file, including
//! what `ccrun` writes in it. So the user's settings are checked before they go into a session's file.
//!
//! `table.json` contains the types. `scripts/client-schema.mjs` extracts them from the client. Another version of the
//! client may accept more or less. A key that is not in the table is never a fault.

mod admit;
mod guards;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::LazyLock;

use serde_json::{Map, Value};

/// Types by key, as written by `scripts/client-schema.mjs`. The table is part of this program, and a test reads it.
static TABLE: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(include_str!("table.json")).unwrap_or_default());

/// The largest settings file that Claude Code reads, in bytes.
pub const MAXIMUM_FILE: usize = 2 * 1024 * 1024;

/// Why Claude Code would ignore a settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key with its parents: `permissions.allow`.
    pub key: String,
    /// What is wrong with its value, beginning with `must`. It does not show the value, only its type.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` {}", self.key, self.reason)
    }
}

/// The first fault that would make Claude Code ignore all of these settings.
pub fn fault(settings: &Map<String, Value>) -> Option<Fault> {
    if settings.is_empty() {
        return None;
    }
    let of_a_key = settings.iter().find_map(|(key, value)| admit::fault(TABLE["keys"].get(key)?, value, key));
    of_a_key.or_else(|| guards::Guards::of(&TABLE).fault(settings))
}

/// The version of the client that the table comes from.
pub fn version() -> &'static str {
    TABLE["version"].as_str().unwrap_or_default()
}
