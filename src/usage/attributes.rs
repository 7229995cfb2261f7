//! Attributes, amounts, times and identities as Claude Code's telemetry writes them.

use jiff::Timestamp;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue, any_value::Value};

use super::fact::Identity;
use crate::digest::digest;

/// Billionths in one: costs are kept as billionths of a US dollar.
pub(super) const BILLION: f64 = 1e9;

/// Whether a scope is one of Claude Code's: `com.anthropic.claude_code` or `com.anthropic.claude_code.events`.
pub(super) fn is_claude_code(scope: Option<&InstrumentationScope>) -> bool {
    scope.is_some_and(|scope| scope.name.starts_with("com.anthropic.claude_code"))
}

/// The attributes of a record or point, read by name and lenient about types.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a>(pub(super) &'a [KeyValue]);

/// The longest string that the ledger keeps, in bytes.
const LONGEST: usize = 256;

/// The largest amount of one record or point; what is beyond is no usage but a mistake, and must not spoil a sum.
const LARGEST: f64 = 1e15;

impl<'a> Attributes<'a> {
    fn value(self, names: &[&str]) -> Option<&'a Value> {
        names.iter().find_map(|name| {
            let found = self.0.iter().find(|attribute| attribute.key == *name)?;
            found.value.as_ref()?.value.as_ref()
        })
    }

    /// Whether there is a value of that name.
    pub(super) fn is_there(self, name: &str) -> bool {
        self.value(&[name]).is_some()
    }

    /// The text of the first of these names that is there.
    pub(super) fn text(self, names: &[&str]) -> Option<&'a str> {
        match self.value(names)? {
            Value::StringValue(text) => Some(text),
            _ => None,
        }
    }

    /// The text as the ledger keeps it: at most 256 bytes, and empty where there is none.
    pub(super) fn short_text(self, names: &[&str]) -> String {
        let text = self.text(names).unwrap_or_default();
        text[..text.floor_char_boundary(LONGEST)].to_owned()
    }

    /// A whole number, times `scale`. Older versions of Claude Code send numbers as strings.
    pub(super) fn amount(self, names: &[&str], scale: f64) -> i64 {
        match self.value(names) {
            Some(Value::IntValue(number)) => whole(to_double(*number) * scale),
            Some(Value::DoubleValue(number)) => whole(number * scale),
            Some(Value::StringValue(text)) => text.trim().parse().map_or(0, |number: f64| whole(number * scale)),
            _ => 0,
        }
    }

    /// A truth, which Claude Code sends as `"true"` or as a boolean.
    pub(super) fn truth(self, names: &[&str]) -> Option<bool> {
        match self.value(names)? {
            Value::BoolValue(truth) => Some(*truth),
            Value::StringValue(text) => text.trim().parse().ok(),
            _ => None,
        }
    }
}

/// An amount as the ledger adds it: whole, not negative, and not absurd. What is no number is nothing.
#[expect(clippy::cast_possible_truncation, reason = "the range is cut to 0..=1e15 first")]
pub(super) fn whole(number: f64) -> i64 {
    if number.is_nan() { 0 } else { number.round().clamp(0.0, LARGEST) as i64 }
}

/// Exact up to 2^53, which is beyond what [`whole`] lets through.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub(super) fn to_double(number: i64) -> f64 {
    number as f64
}

/// A time on the wire, in nanoseconds since 1970; zero means unknown.
pub(super) fn timestamp(nanoseconds: u64) -> Option<Timestamp> {
    if nanoseconds == 0 {
        return None;
    }
    Timestamp::from_millisecond(i64::try_from(nanoseconds / 1_000_000).ok()?).ok()
}

/// The upper bytes of a time in nanoseconds since 1970 and the lower ones of a number within a session, and behind them
/// the digest of some parts, cut short. The store keeps identities in their order: those that come together stand
/// together and are written as one page, where digests alone would take one each.
pub(super) fn identity(nanoseconds: u64, sequence: i64, parts: &[&[u8]]) -> Identity {
    let mut identity = Identity::default();
    let (order, rest) = identity.split_at_mut(8);
    order[..6].copy_from_slice(&nanoseconds.to_be_bytes()[..6]);
    order[6..].copy_from_slice(&sequence.to_be_bytes()[6..]);
    rest.copy_from_slice(&digest(parts)[..rest.len()]);
    identity
}
