//! Profiles: which files say what, and what they mean together.
//!
//! `sources` finds the documents of a name, `tree` parses and merges them, `read` turns the merged tree into a
//! [`Profile`], and [`resolve`](resolve()) does all three for what the user chose.

mod diagnostic;
mod document;
mod model;
mod read;
mod reader;
mod resolve;
mod sources;
#[cfg(test)]
mod tests;
mod tree;

pub use diagnostic::{Diagnostic, Faults};
pub use document::{Document, Origin};
pub use model::{Cardinality, Collector, Content, Destination, Profile, Protocol, Signals};
pub use read::attribute_key;
pub use resolve::{DEFAULT, Selection, resolve};

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
