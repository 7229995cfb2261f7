//! Faults of a profile: what is wrong, where, and what would be right.

use std::fmt;

use annotate_snippets::{AnnotationKind, Element, Level, Renderer, Snippet};

use super::document::Origin;
use super::excerpt::{Excerpt, excerpt};
use crate::terminal::printable::{self, printable, visible};

/// One fault of a profile.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Where the fault is, unless it is about something missing.
    pub origin: Option<Origin>,
    /// What is allowed, or what to do.
    pub help: Option<String>,
    /// Whether the line may hold a secret, and therefore must not be shown.
    pub is_secret: bool,
}

impl Diagnostic {
    /// A fault at a place.
    pub fn at(origin: &Origin, message: impl Into<String>) -> Self {
        Self { message: message.into(), origin: Some(origin.clone()), help: None, is_secret: false }
    }

    /// A fault without a place.
    pub fn nowhere(message: impl Into<String>) -> Self {
        Self { message: message.into(), origin: None, help: None, is_secret: false }
    }

    /// Adds what is allowed, or what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Marks the line as possibly secret, so that it is not shown.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }

    /// The line of the fault without secrets, unless all of it may be one.
    pub fn line(&self) -> Option<String> {
        let origin = self.origin.as_ref().filter(|_| !self.is_secret)?;
        Some(excerpt(origin).line.trim().to_owned()).filter(|line| !line.is_empty())
    }

    /// The fault with its line, without secrets, and a caret below it; coloured if asked. Terminal control characters
    /// are escaped.
    pub fn render(&self, colour: bool) -> String {
        let message = printable(&self.message);
        let help = self.help.as_deref().map(visible);
        let mut group = Level::ERROR.primary_title(message).elements(Vec::<Element<'_>>::new());
        if let Some(origin) = self.origin.as_ref().filter(|_| self.is_secret) {
            let (line, column) = origin.position();
            let place = annotate_snippets::Origin::path(printable(&origin.document.label));
            group = group.element(place.line(line).char_column(column));
        } else if let Some(origin) = &self.origin {
            let Excerpt { line, number, span } = excerpt(origin);
            let (line, span) = printable::excerpt(&line, span);
            group = group.element(
                Snippet::source(line)
                    .line_start(number)
                    .path(printable(&origin.document.label))
                    .annotation(AnnotationKind::Primary.span(span)),
            );
        }
        if let Some(help) = help {
            group = group.element(Level::HELP.message(help));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

/// One line: place, message, help.
impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(formatter, "{}: ", printable(&origin.to_string()))?;
        }
        formatter.write_str(&printable(&self.message))?;
        match &self.help {
            Some(help) => write!(formatter, " ({})", visible(help)),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a profile: all faults at once.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Faults(pub Vec<Diagnostic>);

impl Faults {
    /// All faults, each with its line and caret.
    pub fn render(&self, colour: bool) -> String {
        self.0.iter().map(|fault| fault.render(colour)).collect::<Vec<_>>().join("\n\n")
    }
}

/// The first fault, and how many more there are.
impl fmt::Display for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.0.first() else { return formatter.write_str("invalid profile") };
        write!(formatter, "{first}")?;
        match self.0.len() - 1 {
            0 => Ok(()),
            1 => formatter.write_str("; and one more fault"),
            more => write!(formatter, "; and {more} more faults"),
        }
    }
}

impl From<Diagnostic> for Faults {
    fn from(fault: Diagnostic) -> Self {
        Self(vec![fault])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::profile::Document;

    /// Characters on which lines, columns and widths differ.
    fn texts() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop::sample::select(vec![
                "a",
                "=",
                "\"",
                "\n",
                "\r\n",
                "\r",
                "\t",
                "é",
                "日",
                "👩‍💻",
                "\u{1b}[31m",
                "\u{202e}",
                "\u{0}",
                "\u{feff}",
                " ",
            ]),
            0..60,
        )
        .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn an_excerpt_contains_no_control_characters((text, one, other) in (texts(), 0..300_usize, 0..300_usize)) {
            let place = |at: usize| text.floor_char_boundary(at % (text.len() + 1));
            let (one, other) = (place(one), place(other));
            let document = Arc::new(Document { label: "a.toml".to_owned(), text: text.clone() });
            let origin = Origin { document, span: one.min(other)..one.max(other) };
            let fault = Diagnostic::at(&origin, text.clone()).help(text.clone());
            let shown = fault.render(false);
            let acts = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            prop_assert!(!shown.contains(acts), "{:?}", shown);
            prop_assert!(!fault.render(true).is_empty());
            prop_assert_eq!(fault.to_string().lines().count(), 1);
            let secret = Diagnostic::at(&origin, "wrong").secret();
            prop_assert!(secret.line().is_none());
            prop_assert_eq!(secret.render(false).lines().count(), 2, "the message and the place");
        }
    }
}
