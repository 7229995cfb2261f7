//! Profiles: which files say what, and what they mean together.
//!
//! For what the user chose, [`merge`] finds the documents of a name (`sources`) and merges their trees (`tree`);
//! [`Merged::meaning`] fetches what is not written there (`values`), puts variables in (`expand`), checks every key
//! (`schema`) and reads what it all means (`read`) into a [`Profile`].

mod config;
mod diagnostic;
mod document;
mod entries;
mod expand;
mod inherited;
mod json_schema;
#[cfg(test)]
mod merge_tests;
mod model;
mod named;
mod needs;
mod plan;
pub mod project;
mod read;
mod resolve;
mod schema;
pub mod show;
mod sources;
#[cfg(test)]
mod tests;
mod tree;
mod values;

pub use config::{Config, read as read_config, with_default};
pub use diagnostic::{Diagnostic, Faults};
pub use document::{Document, Origin};
pub use inherited::{HELPER, Inherited, NAME as INHERITED, Variables};
pub use json_schema::json_schema;
pub use model::{Cardinality, Collector, Content, Destination, Profile, Protocol, Redact, Signals, Temporality, Tls};
pub use named::{Search, named_files};
pub use needs::{Need, backends, needs};
pub use plan::Plan;
pub use read::{SHORTHAND, attribute_key, is_this_machine};
pub use resolve::{
    DEFAULT, Merged, Resolved, Selection, check_document, check_own, describe, keyring_entries, merge, plan_own,
};
pub use sources::{Directories, Layer};

/// Checks a name of a profile, a destination or a session: `[A-Za-z0-9][A-Za-z0-9._-]*`, at most 128 characters,
/// so that it is safe in a path, a table and a terminal.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let goes_on_well = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    match name {
        "" => Err("it is empty"),
        name if name.len() > 128 => Err("it is longer than 128 characters"),
        _ if starts_well && goes_on_well => Ok(()),
        _ => Err("it may hold letters, digits, `.`, `_` and `-`, and begins with a letter or a digit"),
    }
}
