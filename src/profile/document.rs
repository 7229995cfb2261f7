//! The text that a value comes from, so that every message can show its line.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A text that settings come from: a file, a built-in profile or an option of the command line.
pub struct Document {
    /// Its name for people: a path, ``built-in profile `local` `` or `--var`.
    pub label: String,
    /// The whole text.
    pub text: String,
}

/// Does not show the text, which may contain keys.
impl fmt::Debug for Document {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Document").field("label", &self.label).finish_non_exhaustive()
    }
}

/// The place of a value.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The text that contains it.
    pub document: Arc<Document>,
    /// Its byte range there.
    pub span: Range<usize>,
}

impl Origin {
    /// The line and column of its beginning, both counted from one, columns in characters.
    pub fn position(&self) -> (usize, usize) {
        let before = self.document.text.get(..self.span.start).unwrap_or(&self.document.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

/// `FILE:LINE:COLUMN`, as editors and terminals understand it.
impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.document.text.is_empty() {
            // The value does not come from a text.
            return formatter.write_str(&self.document.label);
        }
        let (line, column) = self.position();
        write!(formatter, "{}:{line}:{column}", self.document.label)
    }
}
