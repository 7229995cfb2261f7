//! HTML in the making. Markup is part of the program, and all other text is escaped.

use std::fmt::{Display, Write};

use crate::terminal::printable::visible;

/// A piece of HTML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// No HTML yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds markup. It is part of the program: text from elsewhere does not live long enough to be taken for it.
    pub fn markup(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds a text, escaped.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.0.push_str(&escaped(text));
        self
    }

    /// Adds an attribute inside a start tag, its value escaped.
    pub fn attribute(&mut self, name: &'static str, value: impl Display) -> &mut Self {
        // Writing to a string never fails.
        _ = write!(self.0, " {name}=\"{}\"", escaped(&value.to_string()));
        self
    }

    /// Adds another piece.
    pub fn html(&mut self, piece: &Self) -> &mut Self {
        self.0.push_str(&piece.0);
        self
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The finished text.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// A text that stands for itself between tags and in quotes. Control characters, line breaks and bidirectional marks
/// look as they do on a terminal, such as `\u{202e}`.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        let cases = [
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("\" onload=x a='", "&quot; onload=x a=&#39;"),
            ("&amp;", "&amp;amp;"),
            ("a\u{202e}b\nc\0", "a\\u{202e}b\\nc\\u{0}"),
            ("größer 😀", "größer 😀"),
        ];
        for (foreign, expected) in cases {
            assert_eq!(escaped(foreign), expected);
            let mut html = Html::new();
            html.markup("<p").attribute("title", foreign).markup(">").text(foreign);
            assert_eq!(html.into_text(), format!("<p title=\"{expected}\">{expected}"));
        }
    }
}
