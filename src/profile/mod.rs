//! Profiles: which files apply, and what they mean together.
//!
//! For the user's selection, [`merge`] finds the documents of a name (`sources`) and merges their trees (`tree`).
//! [`Merged::meaning`] fetches values (`values`), expands variables (`expand`), checks every key (`schema`), and reads
//! the result into a [`Profile`] (`read`).

mod budgets;
mod built_in;
mod diagnostic;
mod document;
mod effects;
pub(crate) mod entries;
mod excerpt;
mod expand;
mod hiding;
mod inherited;
mod json_schema;
mod leaves;
#[cfg(test)]
mod merge_tests;
mod model;
mod needs;
mod placeholders;
mod read;
mod required;
mod resolve;
pub(crate) mod schema;
pub mod show;
pub(crate) mod sources;
mod status_line;
mod team_store;
#[cfg(test)]
mod tests;
pub(crate) mod tree;
mod values;
mod variables;

pub use diagnostic::{Diagnostic, Faults};
pub use document::{Document, Origin};
pub use effects::{Change, Effects};
pub use inherited::{HELPER, Inherited, NAME as INHERITED, Variables};
pub use json_schema::json_schema;
pub use model::{
    Budget, Cardinality, Collector, Content, Destination, Notify, Period, Profile, Protocol, Redact, Scope, Signals,
    Temporality,
};
pub use needs::{Need, backends, needs, variables_of};
pub(crate) use read::budgets as read_budgets;
pub(crate) use read::status_line;
pub(crate) use read::team_stores as read_team_stores;
pub use read::{SHORTHAND, attribute_key};
pub use required::{requires, strings as top_level_strings};
pub use resolve::{
    DEFAULT, Defaults, Merged, Resolved, Selection, check_document, check_own, describe, effects_own, keyring_entries,
    merge,
};
pub use sources::{Directories, Layer};
pub use status_line::{DEFAULT_FORMAT, Field, Format, FormatError, Part, Piece, StatusLine};
pub use team_store::{Engine, StoreAddress, TeamStore};
pub use variables::Declaration;

/// Checks a name of a profile, a destination or a session: `[A-Za-z0-9][A-Za-z0-9._-]*`, at most 128 characters,
/// so that it is safe in a path, a table and a terminal.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let goes_on_well = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    match name {
        "" => Err("it is empty"),
        name if name.len() > 128 => Err("it is longer than 128 characters"),
        _ if starts_well && goes_on_well => Ok(()),
        _ => Err("it may contain only letters, digits, `.`, `_` and `-`, and must begin with a letter or digit"),
    }
}
