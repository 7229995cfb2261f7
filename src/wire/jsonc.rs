//! Putting things into JSON that people write, with comments and commas at ends, and taking them out again, without
//! changing another byte of it.
//!
//! What is put in goes to the front of its object or list, so that it always has a comma behind it or nothing, and taking
//! it out is the same backwards.

use jsonc_parser::ast::{self, ObjectPropName};
use jsonc_parser::common::{Range, Ranged};
use jsonc_parser::tokens::{Token, TokenAndRange};
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions, parse_to_ast, parse_to_serde_value};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One more level, where nothing in the text shows how far one is indented: as Visual Studio Code does it.
const INDENT: &str = "    ";

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spot {
    /// Under this key of the whole.
    Key(String),
    /// Under the second key of the object that is under the first.
    KeyOf(String, String),
    /// Somewhere in the list under this key.
    In(String),
}

/// Why something cannot be put in. Each goes on from the file's name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not what the editor itself would read.
    #[error(":{line}:{column} is no JSON with comments: {reason}")]
    Broken {
        /// From one.
        line: usize,
        /// From one.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// What should hold the value is something else.
    #[error(" holds something else than an object")]
    Other,
    /// The same with the key that it is under.
    #[error(" has something else than {1} under `{0}`")]
    OtherUnder(String, &'static str),
    /// The key is there.
    #[error(" has a `{key}` already")]
    Taken {
        /// Which.
        key: String,
        /// With this value.
        value: Value,
    },
}

/// What became of taking something out.
#[derive(Debug, PartialEq, Eq)]
pub enum Removal {
    /// The text without it.
    Removed(String),
    /// It is not there any more.
    Gone,
    /// Something else is there.
    Changed,
}

/// Puts a value in. Gives the text, and what exactly of it is new.
pub fn insert(text: &str, spot: &Spot, value: &Value) -> Result<(String, String), Refusal> {
    let document = Document::parse(text)?;
    if document.root.is_none() {
        // Nothing, or nothing but comments, which editors take for no settings.
        let line = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return insert(&format!("{text}{line}{{}}\n"), spot, value);
    }
    let holder = document.holder(spot)?;
    let item = match spot.key() {
        Some(key) => {
            if let Some(member) = holder.member(key) {
                return Err(Refusal::Taken { key: key.to_owned(), value: document.value(member.value.range()) });
            }
            format!("{}: {value}", Value::from(key))
        }
        None => value.to_string(),
    };
    let (at, inserted) = document.placed(holder.range(), &item);
    Ok((format!("{}{inserted}{}", &text[..at], &text[at..]), inserted))
}

/// The value that stands at a spot, if there is one; for a list whether it is among its values.
pub fn find(text: &str, spot: &Spot, value: &Value) -> Result<Option<Value>, Refusal> {
    let document = Document::parse(text)?;
    let Ok(holder) = document.holder(spot) else { return Ok(None) };
    Ok(document.items(&holder, spot, value).first().map(|range| document.item_value(*range, spot)))
}

/// Takes out what was put in; `inserted` is what [`insert`] said.
pub fn remove(text: &str, spot: &Spot, value: &Value, inserted: &str) -> Result<Removal, Refusal> {
    let document = Document::parse(text)?;
    let Ok(holder) = document.holder(spot) else { return Ok(Removal::Gone) };
    let items = document.items(&holder, spot, value);
    let [item, others @ ..] = items.as_slice() else { return Ok(Removal::Gone) };
    let is_ours = document.item_value(*item, spot) == *value && (spot.key().is_none() || others.is_empty());
    if !is_ours {
        return Ok(Removal::Changed);
    }
    let mut rest = text.to_owned();
    // From the end, so that what is before stays where it is.
    for Range { start, end } in document.extent(*item, inserted) {
        rest.replace_range(start..end, "");
    }
    Ok(Removal::Removed(rest))
}

impl Spot {
    fn key(&self) -> Option<&str> {
        match self {
            Self::Key(key) | Self::KeyOf(_, key) => Some(key),
            Self::In(_) => None,
        }
    }
}

/// An object or a list.
enum Holder<'a> {
    Object(&'a ast::Object<'a>),
    List(&'a ast::Array<'a>),
}

impl<'a> Holder<'a> {
    fn range(&self) -> Range {
        match self {
            Self::Object(object) => object.range,
            Self::List(list) => list.range,
        }
    }

    /// The last of that name, which is the one that counts.
    fn member(&self, key: &str) -> Option<&'a ast::ObjectProp<'a>> {
        let Self::Object(object) = self else { return None };
        object.properties.iter().rfind(|member| name(member) == key)
    }
}

fn name<'a>(member: &'a ast::ObjectProp<'a>) -> &'a str {
    match &member.name {
        ObjectPropName::String(text) => &text.value,
        ObjectPropName::Word(word) => word.value,
    }
}

/// A text and what it means.
struct Document<'a> {
    text: &'a str,
    root: Option<ast::Value<'a>>,
    /// Its tokens and comments, in their order.
    tokens: Vec<TokenAndRange<'a>>,
}

impl<'a> Document<'a> {
    fn parse(text: &'a str) -> Result<Self, Refusal> {
        let collect = CollectOptions { comments: CommentCollectionStrategy::AsTokens, tokens: true };
        let parsed = parse_to_ast(text, &collect, &options()).map_err(|error| Refusal::Broken {
            line: error.line_display(),
            column: error.column_display(),
            reason: error.kind().to_string(),
        })?;
        Ok(Self { text, root: parsed.value, tokens: parsed.tokens.unwrap_or_default() })
    }

    /// What a value at this spot is in.
    fn holder(&self, spot: &Spot) -> Result<Holder<'_>, Refusal> {
        let Some(ast::Value::Object(root)) = &self.root else { return Err(Refusal::Other) };
        let below = |key: &str| Holder::Object(root).member(key).map(|member| &member.value);
        match spot {
            Spot::Key(_) => Ok(Holder::Object(root)),
            Spot::KeyOf(table, _) => match below(table) {
                Some(ast::Value::Object(object)) => Ok(Holder::Object(object)),
                _ => Err(Refusal::OtherUnder(table.clone(), "an object")),
            },
            Spot::In(list) => match below(list) {
                Some(ast::Value::Array(array)) => Ok(Holder::List(array)),
                _ => Err(Refusal::OtherUnder(list.clone(), "a list")),
            },
        }
    }

    /// Where the members of the spot's name are, or the elements of this value.
    fn items(&self, holder: &Holder, spot: &Spot, value: &Value) -> Vec<Range> {
        match (holder, spot.key()) {
            (Holder::Object(object), Some(key)) => {
                object.properties.iter().filter(|member| name(member) == key).map(Ranged::range).collect()
            }
            (Holder::List(list), None) => {
                list.elements.iter().map(Ranged::range).filter(|range| self.value(*range) == *value).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The value of a member or an element.
    fn item_value(&self, item: Range, spot: &Spot) -> Value {
        let start = match spot.key() {
            // The first token behind the colon, of which there is one only at this level, and it comes first.
            Some(_) => {
                let mut tokens = self.significant(item.start).skip_while(|token| token.token != Token::Colon).skip(1);
                tokens.next().map_or(item.end, |token| token.range.start)
            }
            None => item.start,
        };
        self.value(Range { start, end: item.end })
    }

    /// What is written there.
    fn value(&self, range: Range) -> Value {
        parse_to_serde_value(&self.text[range.start..range.end], &options()).unwrap_or(Value::Null)
    }

    /// The tokens that begin here or later, without comments.
    fn significant(&self, from: usize) -> impl Iterator<Item = &TokenAndRange<'a>> {
        self.tokens.iter().filter(move |token| token.range.start >= from && !is_comment(token))
    }

    /// Where a new first item goes, and with what around it.
    fn placed(&self, holder: Range, item: &str) -> (usize, String) {
        let opened = holder.start + 1;
        let next = self.significant(opened).next().map_or(holder.end, |token| token.range.start);
        let at = self.end_of_line_of(opened, next);
        let eol = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
        let own = self.indent_at(holder.start);
        let is_empty = next + 1 == holder.end;
        if is_empty {
            let unit = self.unit();
            let tail = if self.text[at..next].contains('\n') { String::new() } else { format!("{eol}{own}") };
            return (at, format!("{eol}{own}{unit}{item}{tail}"));
        }
        let between = &self.text[at..next];
        let lead = match between.rfind('\n') {
            Some(_) => format!("{eol}{}", self.indent_at(next)),
            None => between[..between.len() - between.trim_start().len()].to_owned(),
        };
        (at, format!("{lead}{item},"))
    }

    /// Behind the comments that follow on the same line, if nothing else does.
    fn end_of_line_of(&self, opened: usize, next: usize) -> usize {
        let mut end = opened;
        for comment in self.tokens.iter().filter(|token| (opened..next).contains(&token.range.start)) {
            if self.text[end..comment.range.end].contains('\n') {
                break;
            }
            end = comment.range.end;
        }
        let rest = self.text[end..next].trim_start_matches([' ', '\t', '\r']);
        if rest.starts_with('\n') { end } else { opened }
    }

    /// The white space that the line begins with which holds this place.
    fn indent_at(&self, at: usize) -> &'a str {
        let line = &self.text[self.text[..at].rfind('\n').map_or(0, |end| end + 1)..at];
        &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
    }

    /// How far one more level is indented: as far as the first member is.
    fn unit(&self) -> &'a str {
        let Some(ast::Value::Object(root)) = &self.root else { return INDENT };
        let first =
            root.properties.first().filter(|first| self.text[root.range.start..first.range.start].contains('\n'));
        first.map(|first| self.indent_at(first.range.start)).filter(|indent| !indent.is_empty()).unwrap_or(INDENT)
    }

    /// What to cut for an item to be gone, the last part first.
    fn extent(&self, item: Range, inserted: &str) -> Vec<Range> {
        let before = self.tokens.iter().rev().find(|token| token.range.end <= item.start && !is_comment(token));
        let next = self.significant(item.end).next();
        let is_last = next.is_none_or(|token| token.token != Token::Comma);
        let is_first = before.is_none_or(|token| token.token != Token::Comma);
        if let Some(exact) = self.exactly(item, inserted)
            && is_first
            && (inserted.ends_with(',') || is_last)
        {
            return vec![exact];
        }
        let end = next.filter(|_| !is_last).map_or(item.end, |comma| comma.range.end);
        let mut parts = vec![Range { start: self.start_without_space(item.start, end), end }];
        // The comma before the last one separates nothing any more.
        parts.extend(before.filter(|_| is_last && !is_first).map(|comma| comma.range));
        parts
    }

    /// Where exactly that was put in, if it still stands there as it was.
    fn exactly(&self, item: Range, inserted: &str) -> Option<Range> {
        let lead = inserted.find(&self.text[item.start..item.end])?;
        let start = item.start.checked_sub(lead)?;
        self.text.get(start..)?.starts_with(inserted).then(|| Range { start, end: start + inserted.len() })
    }

    /// The white space before an item goes with it, but where the end of a line is the end of a comment.
    fn start_without_space(&self, start: usize, end: usize) -> usize {
        let before = self.tokens.iter().rfind(|token| token.range.end <= start);
        let after = self.tokens.iter().find(|token| token.range.start >= end);
        let joins = after.is_some_and(|after| !self.text[end..after.range.start].contains('\n'));
        match before {
            Some(before) if matches!(before.token, Token::CommentLine(_)) && joins => start,
            Some(before) => before.range.end,
            None => start,
        }
    }
}

fn is_comment(token: &TokenAndRange) -> bool {
    matches!(token.token, Token::CommentLine(_) | Token::CommentBlock(_))
}

/// What editors accept: comments, and commas at ends.
fn options() -> ParseOptions {
    ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

#[cfg(test)]
#[path = "jsonc_tests.rs"]
mod tests;
