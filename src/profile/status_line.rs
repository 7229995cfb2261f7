//! `[statusline]`: whether Claude Code shows a status line of `ccrun`'s, and its format.
//!
//! A format is text with placeholders, such as `{cost} · today {today}`. The separators ` · ` and ` | ` and line breaks
//! divide it into parts. A part whose placeholders are all empty is left out, together with its separator.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::schema::guess;

/// The format if none is given.
pub const DEFAULT_FORMAT: &str = "{cost} · today {today} · budget {budget} · context {context} · {limits}";

/// The maximum length of a format, in characters.
pub(super) const MAXIMUM: usize = 500;

/// What separates the parts of a row.
const SEPARATORS: [&str; 2] = [" · ", " | "];

/// `[statusline]`, as far as it says anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusLine {
    /// Whether there is one.
    pub show: Option<bool>,
    /// What it shows.
    pub format: Option<Format>,
}

impl StatusLine {
    /// The same with the values of another one where this one has none.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self { show: self.show.or(other.show), format: self.format.or_else(|| other.format.clone()) }
    }
}

/// A value that a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The branch that is checked out.
    Branch,
    /// How much of a budget is spent: of several, the one nearest to its limit.
    Budget,
    /// The share of input that came from the prompt cache.
    Cache,
    /// How full the context window is.
    Context,
    /// The cost of the session.
    Cost,
    /// How long the session has lasted.
    Duration,
    /// The effort.
    Effort,
    /// The account's limits.
    Limits,
    /// Lines added and removed.
    Lines,
    /// Requests that should have found their prefix in the prompt cache and did not.
    Misses,
    /// The model.
    Model,
    /// The pull request of the branch.
    Pr,
    /// The project.
    Project,
    /// The session's name.
    Session,
    /// Today's cost.
    Today,
    /// Tokens in the context window.
    Tokens,
    /// The linked worktree.
    Worktree,
}

/// Each field with its placeholder, in alphabetical order.
const FIELDS: [(&str, Field); 17] = [
    ("branch", Field::Branch),
    ("budget", Field::Budget),
    ("cache", Field::Cache),
    ("context", Field::Context),
    ("cost", Field::Cost),
    ("duration", Field::Duration),
    ("effort", Field::Effort),
    ("limits", Field::Limits),
    ("lines", Field::Lines),
    ("misses", Field::Misses),
    ("model", Field::Model),
    ("pr", Field::Pr),
    ("project", Field::Project),
    ("session", Field::Session),
    ("today", Field::Today),
    ("tokens", Field::Tokens),
    ("worktree", Field::Worktree),
];

/// A piece of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text.
    Text(String),
    /// A placeholder.
    Field(Field),
}

/// What stands between two separators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The separator in front of it; empty for the first of a row.
    pub separator: &'static str,
    /// Its text and placeholders, in order.
    pub pieces: Vec<Piece>,
}

/// A checked format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Format {
    text: String,
    rows: Vec<Vec<Part>>,
}

/// What is wrong with a format, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}: {help}")]
pub struct FormatError {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What is allowed.
    pub help: String,
}

impl Format {
    /// The parts of each row.
    pub fn rows(&self) -> &[Vec<Part>] {
        &self.rows
    }

    /// Whether it has this field.
    pub fn has(&self, field: Field) -> bool {
        let mut pieces = self.rows.iter().flatten().flat_map(|part| &part.pieces);
        pieces.any(|piece| *piece == Piece::Field(field))
    }
}

impl Default for Format {
    fn default() -> Self {
        DEFAULT_FORMAT.parse().unwrap_or(Self { text: String::new(), rows: Vec::new() })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl From<Format> for String {
    fn from(format: Format) -> Self {
        format.text
    }
}

impl TryFrom<String> for Format {
    type Error = FormatError;

    fn try_from(text: String) -> Result<Self, FormatError> {
        text.parse()
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let error = |message: &str, help: &str| FormatError { message: message.to_owned(), help: help.to_owned() };
        if text.trim().is_empty() {
            return Err(error("the format is empty", "write, for example, \"{cost} · {limits}\""));
        }
        if text.chars().count() > MAXIMUM {
            return Err(error(&format!("the format is longer than {MAXIMUM} characters"), "shorten it"));
        }
        if text.chars().any(|character| character.is_control() && character != '\n') {
            return Err(error("the format has a control character", "colours come by themselves"));
        }
        let rows = text.split('\n').map(row).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), rows })
    }
}

/// The parts of a row.
fn row(mut text: &str) -> Result<Vec<Part>, FormatError> {
    let (mut parts, mut separator) = (Vec::new(), "");
    loop {
        let next = SEPARATORS.iter().filter_map(|separator| Some((text.find(separator)?, *separator))).min();
        let (end, following) = next.unwrap_or((text.len(), ""));
        parts.push(Part { separator, pieces: pieces(&text[..end])? });
        if following.is_empty() {
            return Ok(parts);
        }
        text = &text[end + following.len()..];
        separator = following;
    }
}

/// The text and placeholders of a part. `{{` and `}}` stand for braces.
fn pieces(text: &str) -> Result<Vec<Piece>, FormatError> {
    let (mut pieces, mut plain) = (Vec::new(), String::new());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        plain.push_str(&rest[..at]);
        let (brace, behind) = rest[at..].split_at(1);
        if let Some(behind) = behind.strip_prefix(brace) {
            plain.push_str(brace);
            rest = behind;
            continue;
        }
        let Some((name, behind)) = behind.split_once('}').filter(|_| brace == "{") else {
            return Err(FormatError {
                message: format!("the format has a single `{brace}`"),
                help: format!("write `{brace}{brace}` for the character itself"),
            });
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(Piece::Field(field(name)?));
        rest = behind;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

fn field(name: &str) -> Result<Field, FormatError> {
    if let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == name) {
        return Ok(*field);
    }
    let known = FIELDS.map(|(known, _)| known);
    Err(FormatError {
        message: format!("unknown placeholder `{{{name}}}`"),
        help: match guess(name, &known) {
            Some(meant) => format!("did you mean `{{{meant}}}`?"),
            None => format!("allowed: {}", known.map(|known| format!("{{{known}}}")).join(", ")),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    #[test]
    fn separators_and_line_breaks_divide_a_format() {
        let format: Format = "{model} | today {today}\n{{{cost}}} · done".parse().unwrap();
        let part = |separator, pieces| Part { separator, pieces };
        let rows = [
            vec![
                part("", vec![Piece::Field(Field::Model)]),
                part(" | ", vec![text("today "), Piece::Field(Field::Today)]),
            ],
            vec![part("", vec![text("{"), Piece::Field(Field::Cost), text("}")]), part(" · ", vec![text("done")])],
        ];
        assert_eq!(format.rows(), rows);
        assert!(format.has(Field::Cost) && !format.has(Field::Limits));
        assert_eq!(String::from(format.clone()).parse(), Ok(format));
        assert_eq!(Format::default().to_string(), DEFAULT_FORMAT);
    }

    #[test]
    fn what_is_wrong_with_a_format_is_said_with_a_guess() {
        let error = |format: &str| format.parse::<Format>().unwrap_err().to_string();
        assert_eq!(error("{cots}"), "unknown placeholder `{cots}`: did you mean `{cost}`?");
        assert!(error("{zebra}").ends_with("{today}, {tokens}, {worktree}"), "{}", error("{zebra}"));
        assert_eq!(error("a } b"), "the format has a single `}`: write `}}` for the character itself");
        assert_eq!(error("{cost"), "the format has a single `{`: write `{{` for the character itself");
        assert!(error(" ").starts_with("the format is empty"));
        assert!(error(&"é".repeat(501)).starts_with("the format is longer"));
        assert!(error("\u{1b}[31m{cost}").starts_with("the format has a control character"));
    }

    #[test]
    fn a_value_that_is_missing_comes_from_the_other() {
        let one = StatusLine { show: None, format: Some("{cost}".parse().unwrap()) };
        let other = StatusLine { show: Some(true), format: Some("{today}".parse().unwrap()) };
        let both = one.clone().or(&other);
        assert_eq!((both.show, both.format), (Some(true), one.format));
    }
}
