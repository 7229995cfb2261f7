//! A resolved profile for people: every value with its origin.

use serde_json::{Value as Json, json};

use super::leaves::{Leaf, leaves, shown};
use super::resolve::Resolved;
use super::variables::Declaration;

/// A value of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its dotted key.
    pub key: String,
    /// The value in TOML syntax. For a header or a variable only its source is shown. `None` if enforcement removed it.
    pub value: Option<String>,
    /// `FILE:LINE:COLUMN`, or the option that set it; empty for a removed value.
    pub origin: String,
    /// The place that enforces the value, and the origin of the value that it replaced.
    pub enforced: Option<(String, Option<String>)>,
    /// The declaration of a variable.
    pub about: Option<String>,
}

impl Resolved {
    /// All values sorted by key, without secrets.
    pub fn lines(&self) -> Vec<Line> {
        let line = |leaf: Leaf<'_>| Line {
            value: Some(shown(leaf.node, leaf.is_secret)),
            origin: leaf.node.origin.to_string(),
            enforced: self.enforced(&leaf.key),
            about: self.about(&leaf.key),
            key: leaf.key,
        };
        let away =
            |key: String| Line { value: None, origin: String::new(), enforced: self.enforced(&key), about: None, key };
        let mut lines: Vec<_> = leaves(&self.root).into_iter().map(line).collect();
        lines.extend(self.taken_away("").into_iter().map(away));
        lines.sort_by(|one, other| one.key.cmp(&other.key));
        lines
    }

    fn enforced(&self, key: &str) -> Option<(String, Option<String>)> {
        let path = key.replace('"', "");
        let by = self.enforced_by(&path)?.to_owned();
        Some((by, self.overruled(&path)))
    }

    fn about(&self, key: &str) -> Option<String> {
        let name = key.strip_prefix("vars.")?.replace('"', "");
        self.declarations.iter().find(|declared| declared.name == name).map(Declaration::about)
    }
}

/// The lines as JSON: `[{"key", "value", "origin"}]`, with `enforced_by`, `instead_of` and `about` where they apply.
pub fn as_json(lines: &[Line]) -> Json {
    let entry = |line: &Line| {
        let mut entry = json!({ "key": line.key, "value": line.value, "origin": line.origin });
        if let Some((by, instead)) = &line.enforced {
            entry["enforced_by"] = json!(by);
            entry["instead_of"] = json!(instead);
        }
        if let Some(about) = &line.about {
            entry["about"] = json!(about);
        }
        entry
    };
    lines.iter().map(entry).collect()
}
