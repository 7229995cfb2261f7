//! Which profile applies, and what all its layers say together.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::diagnostic::{Diagnostic, Faults};
use super::document::Document;
use super::model::Profile;
use super::{read, sources, tree};

/// The profile that applies where nobody chose one.
pub const DEFAULT: &str = "local";

/// What the user chose, as it was said: enough to resolve the same profile again after its session ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Names of profiles: the first is the profile, the others are laid over it from left to right.
    pub profiles: Vec<String>,
    /// `--var NAME=VALUE`, in order.
    pub variables: Vec<(String, String)>,
    /// `--resource KEY=VALUE`, in order.
    pub resource: Vec<(String, String)>,
}

/// Resolves a selection with the user's profiles in `directory`.
pub fn resolve(selection: &Selection, directory: &Path) -> Result<Profile, Faults> {
    let mut names = selection.profiles.iter().map(String::as_str);
    let name = names.next().unwrap_or(DEFAULT);
    let mut root = sources::load(name, directory)?;
    for overlay in names {
        root = tree::merge(root, sources::load(overlay, directory)?);
    }
    for (option, table, pairs) in
        [("--var", "vars", &selection.variables), ("--resource", "resource", &selection.resource)]
    {
        if !pairs.is_empty() {
            root = tree::merge(root, tree::parse(&option_document(option, table, pairs)?)?);
        }
    }
    read::read(name, &root)
}

/// Options of the command line as the document that they stand for, so that they merge, and fail, as files do.
fn option_document(option: &str, table: &str, pairs: &[(String, String)]) -> Result<Arc<Document>, Faults> {
    let mut text = format!("[{table}]\n");
    let last = pairs.iter().enumerate().filter(|(at, (key, _))| !pairs[at + 1..].iter().any(|(later, _)| later == key));
    for (_, (key, value)) in last {
        // A JSON string is a TOML string, but for DEL, which TOML wants escaped.
        let quote = |text: &str| match serde_json::to_string(text) {
            Ok(quoted) => Ok(quoted.replace('\u{7f}', "\\u007f")),
            Err(error) => Err(Diagnostic::nowhere(error.to_string())),
        };
        text.extend([&quote(key)?, " = ", &quote(value)?, "\n"]);
    }
    Ok(Arc::new(Document { label: option.to_owned(), text }))
}
