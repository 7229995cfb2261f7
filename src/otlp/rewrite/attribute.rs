//! One attribute, a `KeyValue`, in its wire form (`common.proto`).

use std::borrow::Cow;

use crate::otlp::schema::any_value::{
    ARRAY_VALUE, BOOL_VALUE, BYTES_VALUE, DOUBLE_VALUE, INT_VALUE, KVLIST_VALUE, STRING_VALUE,
};
use crate::otlp::schema::key_value::{KEY, VALUE};
use crate::otlp::wire::{Malformed, Value, fields, put_message};

/// Its key. If it occurs twice, the last one counts, as everywhere in protobuf.
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

/// Its value as text. Strings and bytes are unchanged, and numbers are decimal; floats have the shortest form that is
/// unique. Booleans are `true` or `false`. A list is its received protobuf. A missing value is empty.
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

/// The text of an `AnyValue`, if it has a value. If it has several members, the last one counts.
pub(super) fn text_of_value(value: &[u8]) -> Result<Option<Cow<'_, [u8]>>, Malformed> {
    let mut text = None;
    for member in fields(value) {
        let member = member?;
        let owned = |text: String| Cow::Owned(text.into_bytes());
        text = Some(match (member.number, member.value) {
            (STRING_VALUE | ARRAY_VALUE | KVLIST_VALUE | BYTES_VALUE, Value::Bytes(bytes)) => Cow::Borrowed(bytes),
            (BOOL_VALUE, Value::Varint(number)) => owned((number != 0).to_string()),
            (INT_VALUE, Value::Varint(number)) => owned(number.cast_signed().to_string()),
            (DOUBLE_VALUE, Value::Fixed64(bits)) => owned(f64::from_bits(bits).to_string()),
            (STRING_VALUE..=BYTES_VALUE, _) => return Err(Malformed::Unexpected(member.number)),
            _ => continue,
        });
    }
    Ok(text)
}

/// Appends the fields of an attribute, with its value replaced by a text.
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

/// An attribute with a string value.
pub(super) fn string_attribute(key: &[u8], value: &str) -> Vec<u8> {
    let mut attribute = Vec::new();
    put_message(&mut attribute, KEY, key);
    put_value(&mut attribute, value);
    attribute
}

fn put_value(out: &mut Vec<u8>, text: &str) {
    let mut value = Vec::new();
    put_message(&mut value, STRING_VALUE, text.as_bytes());
    put_message(out, VALUE, &value);
}
