//! Numbers and texts as Claude Code writes them.

use std::borrow::Cow;

use serde::Deserialize;

use super::Faulty;

/// A text, empty if there is none.
pub(super) fn text(text: Option<Text<'_>>) -> Cow<'_, str> {
    text.map(|text| text.0).unwrap_or_default()
}

/// A number as the ledger adds it, zero if there is none. One that cannot be true makes its row faulty.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
pub(super) fn whole(number: Option<Number>, scale: f64, most: f64) -> Result<i64, Faulty> {
    let Some(Number(number)) = number else { return Ok(0) };
    if (0.0..=most).contains(&number) { Ok((number * scale).round() as i64) } else { Err(Faulty) }
}

/// A number.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Number(f64);

/// A text, borrowed from the line if it has no escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);
