//! What is wrong with a profile, where, and what would be right.

use std::fmt;

use annotate_snippets::{AnnotationKind, Element, Level, Renderer, Snippet};

use super::document::Origin;
use crate::printable::{printable, visible};

/// One fault of a profile.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Where it stands, unless the fault is that something is nowhere.
    pub origin: Option<Origin>,
    /// What is allowed, or what to do.
    pub help: Option<String>,
    /// Whether the line may hold a secret, and is therefore not shown.
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

    /// Keeps the line to itself, for it may hold a secret.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }

    /// The line that it stands in, unless that may hold a secret.
    pub fn line(&self) -> Option<&str> {
        let origin = self.origin.as_ref().filter(|_| !self.is_secret)?;
        let line = origin.document.text.lines().nth(origin.position().0 - 1)?;
        Some(line.trim()).filter(|line| !line.is_empty())
    }

    /// The fault with the line that it stands in and a caret below; coloured if asked. The renderer shows
    /// control and bidirectional characters of the line as visible symbols.
    pub fn render(&self, colour: bool) -> String {
        let message = printable(&self.message);
        let help = self.help.as_deref().map(visible);
        let mut group = Level::ERROR.primary_title(message).elements(Vec::<Element<'_>>::new());
        if let Some(origin) = self.origin.as_ref().filter(|_| self.is_secret) {
            let (line, column) = origin.position();
            let place = annotate_snippets::Origin::path(printable(&origin.document.label));
            group = group.element(place.line(line).char_column(column));
        } else if let Some(origin) = &self.origin {
            group = group.element(
                Snippet::source(origin.document.text.as_str())
                    .path(printable(&origin.document.label))
                    .annotation(AnnotationKind::Primary.span(origin.span.clone())),
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

/// Everything that is wrong with a profile: all faults at once, not one a run.
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
