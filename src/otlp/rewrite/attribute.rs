//! One attribute, a `KeyValue`, in its wire form (`common.proto`).

use std::borrow::Cow;

use crate::otlp::wire::{Malformed, Value, fields, put_message};

/// `key` of an attribute.
const KEY: u32 = 1;
/// `value` of an attribute.
const VALUE: u32 = 2;

/// Members of an attribute's value.
mod member {
    pub(super) const STRING: u32 = 1;
    pub(super) const BOOL: u32 = 2;
    pub(super) const INT: u32 = 3;
    pub(super) const DOUBLE: u32 = 4;
    pub(super) const ARRAY: u32 = 5;
    pub(super) const KEY_VALUES: u32 = 6;
    pub(super) const BYTES: u32 = 7;
}

/// Its key. Should it occur twice, the last one counts, as everywhere in protobuf.
pub(super) fn key_of(attribute: &[u8]) -> Result<&[u8], Malformed> {
    let mut key: &[u8] = b"";
    for field in fields(attribute) {
        let field = field?;
        if field.number == KEY {
            key = field.bytes()?;
        }
    }
    Ok(key)
}

/// Its value as text: a string's and bytes' own bytes; a number in decimal, a floating one as short as it can be told
/// from all others; `true` or `false`; a list's protobuf as it came; nothing where there is no value.
pub(super) fn text_of(attribute: &[u8]) -> Result<Cow<'_, [u8]>, Malformed> {
    let mut text = Cow::Borrowed(&b""[..]);
    for field in fields(attribute) {
        let field = field?;
        if field.number == VALUE {
            text = text_of_value(field.bytes()?)?.unwrap_or(text);
        }
    }
    Ok(text)
}

/// The text of an `AnyValue`, if it holds anything. Of several members the last one counts.
pub(super) fn text_of_value(value: &[u8]) -> Result<Option<Cow<'_, [u8]>>, Malformed> {
    let mut text = None;
    for member in fields(value) {
        let member = member?;
        let owned = |text: String| Cow::Owned(text.into_bytes());
        text = Some(match (member.number, member.value) {
            (member::STRING | member::ARRAY | member::KEY_VALUES | member::BYTES, Value::Bytes(bytes)) => {
                Cow::Borrowed(bytes)
            }
            (member::BOOL, Value::Varint(number)) => owned((number != 0).to_string()),
            (member::INT, Value::Varint(number)) => owned(number.cast_signed().to_string()),
            (member::DOUBLE, Value::Fixed64(bits)) => owned(f64::from_bits(bits).to_string()),
            (member::STRING..=member::BYTES, _) => return Err(Malformed::Unexpected(member.number)),
            _ => continue,
        });
    }
    Ok(text)
}

/// Appends the fields of an attribute, with another text for its value.
pub(super) fn put_with_text(out: &mut Vec<u8>, attribute: &[u8], text: &str) -> Result<(), Malformed> {
    for field in fields(attribute) {
        let field = field?;
        if field.number != VALUE {
            out.extend_from_slice(field.raw);
        }
    }
    put_value(out, text);
    Ok(())
}

/// An attribute whose value is a string.
pub(super) fn string_attribute(key: &[u8], value: &str) -> Vec<u8> {
    let mut attribute = Vec::new();
    put_message(&mut attribute, KEY, key);
    put_value(&mut attribute, value);
    attribute
}

fn put_value(out: &mut Vec<u8>, text: &str) {
    let mut value = Vec::new();
    put_message(&mut value, member::STRING, text.as_bytes());
    put_message(out, VALUE, &value);
}
