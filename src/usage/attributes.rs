//! Attributes, amounts, times and identities as Claude Code's telemetry writes them.

use jiff::Timestamp;

use super::fact::Identity;
use super::view::known;
use crate::digest::digest;
use crate::otlp::Value;

/// Billionths in one: costs are kept as billionths of a US dollar.
pub(super) const BILLION: f64 = 1e9;

/// The longest string that the ledger keeps, in bytes.
const LONGEST: usize = 256;

/// The largest amount of one record or point; what is beyond is no usage but a mistake, and must not spoil a sum.
const LARGEST: f64 = 1e15;

/// How many attributes of a record or point are looked at. Claude Code's have twenty or thirty; one of two bytes takes
/// thirty times its size here.
const MOST: usize = 1000;

/// How many there is room for at first.
const USUAL: usize = 24;

/// The attributes of a record or point, read by name and lenient about types.
#[derive(Default)]
pub(super) struct Attributes<'a>(Vec<Attribute<'a>>);

struct Attribute<'a> {
    key: &'a [u8],
    value: Option<AnyValue<'a>>,
    /// All of it, as it came.
    raw: &'a [u8],
}

/// A value, as far as any is asked for. Text is told from other bytes when it is read.
#[derive(Clone, Copy)]
pub(super) enum AnyValue<'a> {
    Text(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    Other,
}

impl<'a> AnyValue<'a> {
    /// What an `AnyValue` holds, if anything. Of several members the last one counts.
    pub(super) fn last(raw: &'a [u8]) -> Option<Self> {
        let mut value = None;
        for member in known(raw) {
            value = Some(match (member.number, member.value) {
                (1, Value::Bytes(text)) => Self::Text(text),
                (2, Value::Varint(truth)) => Self::Bool(truth != 0),
                (3, Value::Varint(number)) => Self::Int(number.cast_signed()),
                (4, Value::Fixed64(bits)) => Self::Double(f64::from_bits(bits)),
                (5..=8, _) => Self::Other,
                _ => continue,
            });
        }
        value
    }

    /// Its text, if it is one.
    pub(super) fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(bytes) => Some(text(bytes)),
            _ => None,
        }
    }
}

/// Bytes that have been found to be text.
pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

impl<'a> Attribute<'a> {
    fn new(raw: &'a [u8]) -> Self {
        let mut attribute = Self { key: b"", value: None, raw };
        for field in known(raw) {
            match (field.number, field.value) {
                (1, Value::Bytes(key)) => attribute.key = key,
                (2, Value::Bytes(value)) => attribute.value = AnyValue::last(value).or(attribute.value),
                _ => {}
            }
        }
        attribute
    }
}

impl<'a> Attributes<'a> {
    /// Adds one, a `KeyValue`.
    pub(super) fn push(&mut self, raw: &'a [u8]) {
        if self.0.is_empty() {
            self.0.reserve(USUAL);
        }
        if self.0.len() < MOST {
            self.0.push(Attribute::new(raw));
        }
    }

    /// All of them as they came, in an order that is none of the sender's.
    pub(super) fn sorted(&self) -> Vec<&'a [u8]> {
        let mut sorted: Vec<_> = self.0.iter().map(|attribute| attribute.raw).collect();
        sorted.sort_unstable();
        sorted
    }

    fn value(&self, names: &[&str]) -> Option<AnyValue<'a>> {
        names.iter().find_map(|name| self.0.iter().find(|attribute| attribute.key == name.as_bytes())?.value)
    }

    /// Whether there is a value of that name.
    pub(super) fn is_there(&self, name: &str) -> bool {
        self.value(&[name]).is_some()
    }

    /// The text of the first of these names that is there.
    pub(super) fn text(&self, names: &[&str]) -> Option<&'a str> {
        self.value(names)?.text()
    }

    /// The text as the ledger keeps it: at most 256 bytes, and empty where there is none.
    pub(super) fn short_text(&self, names: &[&str]) -> String {
        let text = self.text(names).unwrap_or_default();
        text[..text.floor_char_boundary(LONGEST)].to_owned()
    }

    /// A whole number, times `scale`. Older versions of Claude Code send numbers as strings.
    pub(super) fn amount(&self, names: &[&str], scale: f64) -> i64 {
        match self.value(names) {
            Some(AnyValue::Int(number)) => whole(to_double(number) * scale),
            Some(AnyValue::Double(number)) => whole(number * scale),
            Some(AnyValue::Text(bytes)) => text(bytes).trim().parse().map_or(0, |number: f64| whole(number * scale)),
            _ => 0,
        }
    }

    /// A truth, which Claude Code sends as `"true"` or as a boolean.
    pub(super) fn truth(&self, names: &[&str]) -> Option<bool> {
        match self.value(names)? {
            AnyValue::Bool(truth) => Some(truth),
            AnyValue::Text(bytes) => text(bytes).trim().parse().ok(),
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
