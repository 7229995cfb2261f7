//! Inserts values into JSON with comments and trailing commas, and removes them again, without changing any other byte.
//!
//! A value is inserted at the front of its object or list, so that it is followed by a comma or by nothing, and
//! removing it is the reverse. If it has been moved or changed, `jsonc-parser` removes it, with a comment on its line.

use jsonc_parser::cst::{CstArray, CstNode, CstObject, CstObjectProp, CstRootNode};
use jsonc_parser::{ParseOptions, parse_to_serde_value};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The indentation of a level if the text does not show one: that of Visual Studio Code.
const INDENT: &str = "    ";

/// The place of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spot {
    /// Under this key of the whole.
    Key(String),
    /// Under the second key of the object that is under the first.
    KeyOf(String, String),
    /// The same, instead of the value that is there.
    Over(String, String),
    /// Somewhere in the list under this key.
    In(String),
}

/// The key, and the table that it is in.
impl std::fmt::Display for Spot {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::In(key) | Self::Key(key) => formatter.write_str(key),
            Self::KeyOf(table, key) | Self::Over(table, key) => write!(formatter, "{table}.{key}"),
        }
    }
}

/// Why a value cannot be inserted. Each message continues the file's name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The editor itself could not read it.
    #[error(":{line}:{column} is not valid JSON with comments: {reason}")]
    Broken {
        /// From one.
        line: usize,
        /// From one.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The container of the value is not an object.
    #[error(" does not contain an object")]
    Other,
    /// The same, with the key of the container.
    #[error(" does not have {1} under `{0}`")]
    OtherUnder(String, &'static str),
    /// The key is there.
    #[error(" already has a `{key}`")]
    Taken {
        /// Which.
        key: String,
        /// With this value.
        value: Value,
    },
}

/// The result of a removal.
#[derive(Debug, PartialEq, Eq)]
pub enum Removal {
    /// The text without it.
    Removed(String),
    /// It is no longer there.
    Gone,
    /// Something else is in its place.
    Changed,
}

/// Inserts a value. Returns the text and the exact part that is new.
pub fn insert(text: &str, spot: &Spot, value: &Value) -> Result<(String, String), Refusal> {
    let root = parse(text)?;
    if root.value().is_none() {
        // The file is empty or has only comments, which editors read as empty settings.
        let line = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return insert(&format!("{text}{line}{{}}\n"), spot, value);
    }
    let holder = Holder::of(&root, spot)?;
    let item = match spot.key() {
        Some(key) => {
            if let Some(member) = holder.members(key).pop() {
                return Err(Refusal::Taken { key: key.to_owned(), value: value_of(&member.into()) });
            }
            format!("{}: {value}", Value::from(key))
        }
        None => value.to_string(),
    };
    let (at, inserted) = placed(text, &root, &holder.node(), &item);
    Ok((format!("{}{inserted}{}", &text[..at], &text[at..]), inserted))
}

/// The value at a place, if there is one. For a list: the value if it is an element.
pub fn find(text: &str, spot: &Spot, value: &Value) -> Result<Option<Value>, Refusal> {
    let root = parse(text)?;
    let Ok(holder) = Holder::of(&root, spot) else { return Ok(None) };
    Ok(holder.items(spot, value).first().map(value_of))
}

/// Replaces the value at a place by this text. Returns the text of the whole and that of the old value; `None` if there
/// is no value.
pub fn replace(text: &str, spot: &Spot, new: &str) -> Result<Option<(String, String)>, Refusal> {
    let root = parse(text)?;
    let Ok(holder) = Holder::of(&root, spot) else { return Ok(None) };
    let value = holder.items(spot, &Value::Null).pop().and_then(|item| item.as_object_prop()?.value());
    let Some(value) = value else { return Ok(None) };
    let (at, old) = (start(&value), value.to_string());
    Ok(Some((format!("{}{new}{}", &text[..at], &text[at + old.len()..]), old)))
}

/// Removes what was inserted; `inserted` is the text that [`insert`] returned.
pub fn remove(text: &str, spot: &Spot, value: &Value, inserted: &str) -> Result<Removal, Refusal> {
    let root = parse(text)?;
    let Ok(holder) = Holder::of(&root, spot) else { return Ok(Removal::Gone) };
    let items = holder.items(spot, value);
    let [item, others @ ..] = items.as_slice() else { return Ok(Removal::Gone) };
    let is_ours = value_of(item) == *value && (spot.key().is_none() || others.is_empty());
    if !is_ours {
        return Ok(Removal::Changed);
    }
    if let Some(rest) = exactly(text, item, inserted) {
        return Ok(Removal::Removed(rest));
    }
    item.clone().remove();
    Ok(Removal::Removed(root.to_string()))
}

impl Spot {
    fn key(&self) -> Option<&str> {
        match self {
            Self::Key(key) | Self::KeyOf(_, key) | Self::Over(_, key) => Some(key),
            Self::In(_) => None,
        }
    }
}

fn parse(text: &str) -> Result<CstRootNode, Refusal> {
    CstRootNode::parse(text, &options()).map_err(|error| Refusal::Broken {
        line: error.line_display(),
        column: error.column_display(),
        reason: error.kind().to_string(),
    })
}

/// An object or a list.
enum Holder {
    Object(CstObject),
    List(CstArray),
}

impl Holder {
    /// The container of a value at this place.
    fn of(root: &CstRootNode, spot: &Spot) -> Result<Self, Refusal> {
        let object = root.object_value().ok_or(Refusal::Other)?;
        let whole = Self::Object(object.clone());
        let below = |key: &str| whole.members(key).pop().and_then(|member| member.value());
        match spot {
            Spot::Key(_) => Ok(whole),
            Spot::KeyOf(table, _) | Spot::Over(table, _) => {
                let object = below(table).and_then(|value| value.as_object());
                object.map(Self::Object).ok_or_else(|| Refusal::OtherUnder(table.clone(), "an object"))
            }
            Spot::In(list) => {
                let array = below(list).and_then(|value| value.as_array());
                array.map(Self::List).ok_or_else(|| Refusal::OtherUnder(list.clone(), "a list"))
            }
        }
    }

    /// The members with this name. The last one counts.
    fn members(&self, key: &str) -> Vec<CstObjectProp> {
        let Self::Object(object) = self else { return Vec::new() };
        let is_it = |member: &CstObjectProp| member.decoded_name().is_some_and(|name| name == key);
        object.properties().into_iter().filter(is_it).collect()
    }

    /// The members with the place's name, or the elements with this value.
    fn items(&self, spot: &Spot, value: &Value) -> Vec<CstNode> {
        match (self, spot.key()) {
            (Self::Object(_), Some(key)) => self.members(key).into_iter().map(CstNode::from).collect(),
            (Self::List(list), None) => list.elements().into_iter().filter(|one| value_of(one) == *value).collect(),
            _ => Vec::new(),
        }
    }

    fn node(&self) -> CstNode {
        match self {
            Self::Object(object) => object.clone().into(),
            Self::List(list) => list.clone().into(),
        }
    }
}

/// The value of a member or an element as written.
fn value_of(item: &CstNode) -> Value {
    let written = item.as_object_prop().map_or_else(|| Some(item.clone()), |member| member.value());
    let parsed = written.map(|node| parse_to_serde_value(&node.to_string(), &options()).unwrap_or_default());
    parsed.unwrap_or_default()
}

/// Where a node begins in the text, in bytes.
fn start(node: &CstNode) -> usize {
    let before: usize = node.previous_siblings().map(|sibling| sibling.to_string().len()).sum();
    before + node.parent().map_or(0, |parent| start(&parent.into()))
}

fn length(nodes: &[CstNode]) -> usize {
    nodes.iter().map(|node| node.to_string().len()).sum()
}

/// The position of a new first item of a node, with its surrounding white space: on its own line if the first item or
/// the end is.
fn placed(text: &str, root: &CstRootNode, node: &CstNode, item: &str) -> (usize, String) {
    let opened = start(node) + 1;
    let trivia: Vec<_> = node.children().into_iter().skip(1).take_while(CstNode::is_trivia).collect();
    let (at, next) = (opened + comments_of_line(&trivia), opened + length(&trivia));
    let between = &text[at..next];
    let eol = if text.contains("\r\n") { "\r\n" } else { "\n" };
    if node.children_exclude_trivia_and_tokens().is_empty() {
        let own = indent_at(text, opened);
        let unit = root.single_indent_text().filter(|unit| !unit.is_empty()).unwrap_or_else(|| INDENT.to_owned());
        let tail = if between.contains('\n') { String::new() } else { format!("{eol}{own}") };
        return (at, format!("{eol}{own}{unit}{item}{tail}"));
    }
    let lead = if between.contains('\n') {
        format!("{eol}{}", indent_at(text, next))
    } else {
        between[..between.len() - between.trim_start().len()].to_owned()
    };
    (at, format!("{lead}{item},"))
}

/// The length of comments that follow on the same line, if nothing else does.
fn comments_of_line(trivia: &[CstNode]) -> usize {
    let line = trivia.iter().take_while(|node| !node.to_string().contains('\n')).count();
    let comments = trivia[..line].iter().rposition(CstNode::is_comment).map_or(0, |last| last + 1);
    if trivia.get(line).is_some_and(CstNode::is_newline) { length(&trivia[..comments]) } else { 0 }
}

/// The indentation of the line at this position.
fn indent_at(text: &str, at: usize) -> &str {
    let line = text[..at].rsplit('\n').next().unwrap_or_default();
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// The text without the inserted part, if it is unchanged.
fn exactly(text: &str, item: &CstNode, inserted: &str) -> Option<String> {
    let from = start(item).checked_sub(inserted.find(&item.to_string())?)?;
    let behind = text.get(from..)?.strip_prefix(inserted)?;
    let is_first = !item.previous_siblings().any(|sibling| sibling.is_comma());
    let is_whole = inserted.ends_with(',') || item.trailing_comma().is_none();
    (is_first && is_whole).then(|| format!("{}{behind}", &text[..from]))
}

/// The syntax that editors accept: comments and trailing commas.
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
mod tests;
