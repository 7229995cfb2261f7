//! The content of a message: its length, and the tools that it names.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::value::Text;
use super::{MOST, ToolResult, ToolUse};

/// What of a message's content counts: never its text.
#[derive(Default)]
pub(super) struct Content<'a> {
    /// The length of its texts, in UTF-16 units.
    pub(super) length: i64,
    /// Whether it has text that is not one of Claude Code's own notes.
    pub(super) is_typed: bool,
    /// The runs of tools that it asks for.
    pub(super) tools: Vec<ToolUse<'a>>,
    /// How runs of tools ended.
    pub(super) results: Vec<ToolResult<'a>>,
}

/// How the notes begin that Claude Code writes as the user's: commands, and what they printed.
const NOTES: [&str; 5] = ["<command-", "<local-command", "<bash-", "Caveat:", "[Request interrupted"];

impl Content<'_> {
    fn read(&mut self, text: &str) {
        self.length += i64::try_from(text.encode_utf16().count()).unwrap_or(i64::MAX);
        self.is_typed |= !NOTES.iter().any(|note| text.trim_start().starts_with(note));
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Block<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    id: Option<Text<'a>>,
    name: Option<Text<'a>>,
    tool_use_id: Option<Text<'a>>,
    is_error: Option<bool>,
    text: Option<Text<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Blocks<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Blocks<'a> {
            type Value = Content<'a>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text or blocks")
            }

            fn visit_str<E>(self, text: &str) -> Result<Content<'a>, E> {
                let mut content = Content::default();
                content.read(text);
                Ok(content)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut blocks: A) -> Result<Content<'a>, A::Error> {
                let mut content = Content::default();
                while let Some(block) = blocks.next_element::<Block<'a>>()? {
                    let kind = block.kind.ok_or_else(|| A::Error::missing_field("type"))?;
                    match kind.0.as_ref() {
                        "text" => content.read(block.text.as_ref().map_or("", |text| &text.0)),
                        "tool_use" if content.tools.len() < MOST => {
                            let (Some(id), Some(name)) = (block.id, block.name) else { continue };
                            content.tools.push(ToolUse { id: id.0, tool: name.0 });
                        }
                        "tool_result" if content.results.len() < MOST => {
                            let Some(id) = block.tool_use_id else { continue };
                            let failed = block.is_error == Some(true);
                            content.results.push(ToolResult { id: id.0, failed });
                        }
                        _ => {}
                    }
                }
                Ok(content)
            }
        }
        deserializer.deserialize_any(Blocks(PhantomData))
    }
}
