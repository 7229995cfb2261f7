//! Attributes, amounts, times and identities in Claude Code's telemetry.

use std::cell::Cell;

use crate::otlp::schema::{any_value, key_value};
use crate::otlp::{Field, Value, fields};

/// Billionths in one: costs are kept as billionths of a US dollar.
pub(super) const BILLION: f64 = 1e9;

/// The longest string that the ledger keeps, in bytes.
const LONGEST: usize = 256;

/// The largest amount in one record or point, in tokens, milliseconds or bytes. For money the limit is a
/// hundred-thousandth of that, in US dollars. A larger amount is a mistake, not usage, and must not distort a sum.
const LARGEST: f64 = 1e10;

/// How many attributes of a record or point are read. Claude Code sends twenty or thirty. An attribute of two bytes
/// takes thirty times its size here.
const MOST: usize = 1000;

/// The initial capacity for attributes.
const USUAL: usize = 24;

/// The attributes of a record or point, looked up by name. Types are handled leniently.
#[derive(Default)]
pub(super) struct Attributes<'a> {
    all: Vec<Attribute<'a>>,
    /// How many numbers and times cannot be true.
    refused: Cell<u64>,
}

struct Attribute<'a> {
    key: &'a [u8],
    value: Option<AnyValue<'a>>,
    /// The whole attribute as received.
    raw: &'a [u8],
}

/// A value of one of the types that are used. Text is checked to be UTF-8 only when it is read.
#[derive(Clone, Copy)]
pub(super) enum AnyValue<'a> {
    Text(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    Other,
}

impl<'a> AnyValue<'a> {
    /// The value in an `AnyValue`, if any. If it has several members, the last one counts.
    pub(super) fn last(raw: &'a [u8]) -> Option<Self> {
        let mut value = None;
        for member in known(raw) {
            value = Some(match (member.number, member.value) {
                (any_value::STRING_VALUE, Value::Bytes(text)) => Self::Text(text),
                (any_value::BOOL_VALUE, Value::Varint(truth)) => Self::Bool(truth != 0),
                (any_value::INT_VALUE, Value::Varint(number)) => Self::Int(number.cast_signed()),
                (any_value::DOUBLE_VALUE, Value::Fixed64(bits)) => Self::Double(f64::from_bits(bits)),
                (any_value::ARRAY_VALUE..=any_value::STRING_VALUE_STRINDEX, _) => Self::Other,
                _ => continue,
            });
        }
        value
    }

    /// The text, if it is one.
    pub(super) fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(bytes) => Some(text(bytes)),
            _ => None,
        }
    }
}

/// Bytes as text, or an empty text if they are not UTF-8.
pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

impl<'a> Attribute<'a> {
    fn new(raw: &'a [u8]) -> Self {
        let mut attribute = Self { key: b"", value: None, raw };
        for field in known(raw) {
            match (field.number, field.value) {
                (key_value::KEY, Value::Bytes(key)) => attribute.key = key,
                (key_value::VALUE, Value::Bytes(value)) => attribute.value = AnyValue::last(value).or(attribute.value),
                _ => {}
            }
        }
        attribute
    }
}

impl<'a> Attributes<'a> {
    /// Adds an encoded `KeyValue`.
    pub(super) fn push(&mut self, raw: &'a [u8]) {
        if self.all.is_empty() {
            self.all.reserve(USUAL);
        }
        if self.all.len() < MOST {
            self.all.push(Attribute::new(raw));
        }
    }

    /// All of them as received, in an order that does not depend on the sender.
    pub(super) fn sorted(&self) -> Vec<&'a [u8]> {
        let mut sorted: Vec<_> = self.all.iter().map(|attribute| attribute.raw).collect();
        sorted.sort_unstable();
        sorted
    }

    fn value(&self, names: &[&str]) -> Option<AnyValue<'a>> {
        names.iter().find_map(|name| self.all.iter().find(|attribute| attribute.key == name.as_bytes())?.value)
    }

    /// Whether there is a value with this name.
    pub(super) fn is_there(&self, name: &str) -> bool {
        self.value(&[name]).is_some()
    }

    /// The first non-empty text among these names, cut to 256 bytes. Empty if there is none.
    pub(super) fn text(&self, names: &[&str]) -> &'a str {
        let texts = names.iter().filter_map(|name| self.value(&[name])?.text());
        let text = texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        &text[..text.floor_char_boundary(LONGEST)]
    }

    /// A whole number times `scale`, or zero if there is none. Older versions of Claude Code send numbers as strings.
    pub(super) fn amount(&self, names: &[&str], scale: f64) -> i64 {
        let number = match self.value(names) {
            Some(AnyValue::Int(number)) => to_double(number),
            Some(AnyValue::Double(number)) => number,
            Some(AnyValue::Text(bytes)) => text(bytes).trim().parse().unwrap_or_default(),
            _ => return 0,
        };
        self.checked(number, scale)
    }

    /// A number times `scale`, as the ledger adds it. A number that cannot be true is counted and yields zero.
    pub(super) fn checked(&self, number: f64, scale: f64) -> i64 {
        whole(number, scale).unwrap_or_else(|| {
            self.refuse();
            0
        })
    }

    /// Counts a value that cannot be true.
    pub(super) fn refuse(&self) {
        self.refused.set(self.refused.get() + 1);
    }

    /// How many values were refused.
    pub(super) fn refused(&self) -> u64 {
        self.refused.get()
    }

    /// A boolean. Claude Code sends it as `"true"` or as a boolean.
    pub(super) fn truth(&self, names: &[&str]) -> Option<bool> {
        match self.value(names)? {
            AnyValue::Bool(truth) => Some(truth),
            AnyValue::Text(bytes) => text(bytes).trim().parse().ok(),
            _ => None,
        }
    }
}

/// An amount as the ledger adds it: a whole number. `None` if it is not a number, negative or absurdly large.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
pub(super) fn whole(number: f64, scale: f64) -> Option<i64> {
    let most = if scale > 1e6 { LARGEST / 1e5 } else { LARGEST };
    (0.0..=most).contains(&number).then(|| (number * scale).round() as i64)
}

/// Exact up to 2^53, which is more than `whole` accepts.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub fn to_double(number: i64) -> f64 {
    number as f64
}

/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;

/// The earliest plausible time, in Unix milliseconds: 2020, before Claude Code existed.
const EARLIEST: i64 = 1_577_836_800_000;

/// How far a client's clock may be ahead of ours, in milliseconds.
const AHEAD: i64 = 24 * 60 * 60 * 1000;

/// A time on the wire, in Unix milliseconds, or `None` if it is unknown. A time that cannot be true is an error.
pub(super) fn time(nanoseconds: u64, received: i64) -> Result<Option<i64>, ()> {
    if nanoseconds == 0 {
        return Ok(None);
    }
    let milliseconds = i64::try_from(nanoseconds / MILLISECOND).map_err(|_| ())?;
    if (EARLIEST..received.saturating_add(AHEAD)).contains(&milliseconds) { Ok(Some(milliseconds)) } else { Err(()) }
}

/// The fields of a message up to the first one that cannot be read.
pub(super) fn known(message: &[u8]) -> impl Iterator<Item = Field<'_>> {
    fields(message).map_while(Result::ok)
}
