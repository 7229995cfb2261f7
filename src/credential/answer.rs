//! What a helper for headers prints: a JSON object.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Command, Fetched, Secret};
use crate::helper::{self, Ground};

/// The headers that a helper gives. Errors begin as what is said of the command.
pub fn headers(command: &Command, ground: Ground<'_>) -> Result<BTreeMap<String, Fetched>, String> {
    read(&helper::run(&command.argv, ground, command.timeout)?, command.ttl)
}

/// Reads what a helper printed: header names to strings.
pub fn read(printed: &str, ttl: Option<Duration>) -> Result<BTreeMap<String, Fetched>, String> {
    let headers: BTreeMap<String, String> =
        serde_json::from_str(printed).map_err(|_| "printed no JSON object of strings".to_owned())?;
    let fetched =
        |(name, value): (String, String)| (name.to_ascii_lowercase(), Fetched { value: Secret(value), fresh_for: ttl });
    Ok(headers.into_iter().map(fetched).collect())
}
