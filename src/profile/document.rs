//! The text that a value was written in, so that every message can show the line.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A text that settings come from: a file, a built-in profile or an option of the command line.
pub struct Document {
    /// What people know it by: a path, ``built-in profile `local` `` or `--var`.
    pub label: String,
    /// The whole text.
    pub text: String,
}

/// Shows no text: people do write keys there.
impl fmt::Debug for Document {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Document").field("label", &self.label).finish_non_exhaustive()
    }
}

/// Where a value stands.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The text it stands in.
    pub document: Arc<Document>,
    /// Its bytes there.
    pub span: Range<usize>,
}

impl Origin {
    /// The line and the column where the value begins, both counted from one, columns in characters.
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
            // A value that was found elsewhere than in a text.
            return formatter.write_str(&self.document.label);
        }
        let (line, column) = self.position();
        write!(formatter, "{}:{line}:{column}", self.document.label)
    }
}
