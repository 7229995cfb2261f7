//! Protobuf's wire form: fields as slices of the input, for code that must preserve unknown fields.

use thiserror::Error;

/// The maximum nesting of messages, not counting the request itself. It is the limit of protobuf's own readers.
pub(super) const MAX_DEPTH: usize = 100;

/// The maximum length of a varint in bytes (protobuf encoding, *Base 128 Varints*).
const MAX_VARINT_BYTES: usize = 10;

/// The highest field number that protobuf allows.
const MAX_FIELD_NUMBER: u64 = (1 << 29) - 1;

/// Why bytes are not a protobuf message that is valid in OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// A varint, a fixed number or a length extends beyond the end.
    #[error("the message ends in the middle of a field")]
    Truncated,
    /// A varint has more than ten bytes, or does not fit 64 bits.
    #[error("a number takes more than 64 bits")]
    Overlong,
    /// A field number is zero or greater than 2^29 - 1.
    #[error("a field has an impossible number")]
    FieldNumber,
    /// A group, which proto3 does not have, or an unknown wire type.
    #[error("a field has the unknown wire type {0}")]
    WireType(u8),
    /// A field that OTLP defines has a different wire type.
    #[error("field {0} has another wire type than OTLP gives it")]
    Unexpected(u32),
    /// A string is not UTF-8.
    #[error("field {0} is not UTF-8")]
    NotUtf8(u32),
    /// Messages are nested deeper than protobuf's readers allow.
    #[error("more than {MAX_DEPTH} messages in each other")]
    TooDeep,
    /// The request has so many resources to stamp, or attributes to hash, that it would grow out of proportion.
    #[error("the request has too many resources or attributes for its size")]
    Swells,
}

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The field's number.
    pub number: u32,
    /// The field's value.
    pub value: Value<'a>,
    /// The field as received, including tag and length.
    pub raw: &'a [u8],
}

/// The value of a field, by its wire type.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Integers, booleans and enumerations.
    Varint(u64),
    /// `fixed64`, `sfixed64`, `double`: eight bytes, little-endian.
    Fixed64(u64),
    /// Strings, bytes, messages and packed lists.
    Bytes(&'a [u8]),
    /// `fixed32`, `sfixed32`, `float`: four bytes, little-endian.
    Fixed32(u32),
}

impl<'a> Field<'a> {
    /// The bytes of a string or a message, for a field that OTLP defines as one.
    pub fn bytes(&self) -> Result<&'a [u8], Malformed> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed::Unexpected(self.number)),
        }
    }
}

/// The fields of a message in order. Nothing is copied or allocated.
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

/// The iterator returned by [`fields`]. It ends after the first error.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some(match take_short(self.rest) {
            Some((field, rest)) => {
                self.rest = rest;
                Ok(field)
            }
            None => self.next_of_any_kind(),
        })
    }
}

impl<'a> Fields<'a> {
    #[inline(never)]
    fn next_of_any_kind(&mut self) -> Result<Field<'a>, Malformed> {
        let taken = take_field(self.rest);
        self.rest = taken.map(|(_, rest)| rest).unwrap_or_default();
        taken.map(|(field, _)| field)
    }
}

/// Takes a field of the most common form: a string or a message with a tag and a length of one byte each.
#[inline]
fn take_short(input: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let [tag @ 8..0x80, length @ ..0x80, ..] = *input else { return None };
    if tag & 7 != 2 {
        return None;
    }
    let (raw, rest) = input.split_at_checked(2 + usize::from(length))?;
    Some((Field { number: u32::from(tag >> 3), value: Value::Bytes(&raw[2..]), raw }, rest))
}

fn take_field(input: &[u8]) -> Result<(Field<'_>, &[u8]), Malformed> {
    let (tag, rest) = take_varint(input)?;
    let number = tag >> 3;
    if number == 0 || number > MAX_FIELD_NUMBER {
        return Err(Malformed::FieldNumber);
    }
    let number = u32::try_from(number).map_err(|_| Malformed::FieldNumber)?;
    let (value, rest) = match tag & 7 {
        0 => take_varint(rest).map(|(number, rest)| (Value::Varint(number), rest))?,
        1 => take_array(rest).map(|(bytes, rest)| (Value::Fixed64(u64::from_le_bytes(bytes)), rest))?,
        2 => take_bytes(rest).map(|(bytes, rest)| (Value::Bytes(bytes), rest))?,
        5 => take_array(rest).map(|(bytes, rest)| (Value::Fixed32(u32::from_le_bytes(bytes)), rest))?,
        other => return Err(Malformed::WireType(other.to_le_bytes()[0])),
    };
    let raw = input.get(..input.len() - rest.len()).ok_or(Malformed::Truncated)?;
    Ok((Field { number, value, raw }, rest))
}

/// Takes a varint. Most are tags and lengths of a single byte.
#[inline]
pub(super) fn take_varint(input: &[u8]) -> Result<(u64, &[u8]), Malformed> {
    match input {
        [byte @ ..0x80, rest @ ..] => Ok((u64::from(*byte), rest)),
        _ => take_long_varint(input),
    }
}

#[inline(never)]
fn take_long_varint(input: &[u8]) -> Result<(u64, &[u8]), Malformed> {
    let mut value = 0_u64;
    for (index, &byte) in input.iter().enumerate() {
        let is_last_possible = index + 1 == MAX_VARINT_BYTES;
        if is_last_possible && byte > 1 {
            return Err(Malformed::Overlong);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value, input.get(index + 1..).unwrap_or_default()));
        }
    }
    Err(Malformed::Truncated)
}

#[inline]
pub(super) fn take_array<const N: usize>(input: &[u8]) -> Result<([u8; N], &[u8]), Malformed> {
    input.split_first_chunk().map(|(array, rest)| (*array, rest)).ok_or(Malformed::Truncated)
}

#[inline]
fn take_bytes(input: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (length, rest) = take_varint(input)?;
    // The length is only compared with the remaining input, and never used to allocate.
    usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length)).ok_or(Malformed::Truncated)
}

/// Appends field `number` with `message`, a message or a string, to `out`.
pub fn put_message(out: &mut Vec<u8>, number: u32, message: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, message.len() as u64);
    out.extend_from_slice(message);
}

/// Appends a field that holds a message to `out`. `put` appends its content. Tag and length stay as received if they
/// are still correct.
pub(super) fn put_changed(
    out: &mut Vec<u8>,
    field: &Field<'_>,
    put: impl FnOnce(&mut Vec<u8>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let content = field.bytes()?;
    let head = field.raw.len() - content.len();
    let start = out.len();
    out.extend_from_slice(&field.raw[..head]);
    put(out)?;
    let length = out.len() - start - head;
    if length != content.len() {
        let mut fresh = Vec::with_capacity(2 * MAX_VARINT_BYTES);
        put_varint(&mut fresh, u64::from(field.number) << 3 | 2);
        put_varint(&mut fresh, length as u64);
        // Usually as long as the old one. Otherwise the content moves.
        drop(out.splice(start..start + head, fresh));
    }
    Ok(())
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn kinds_of_malformed_input_are_distinguished() {
        let cases: [(&[u8], Malformed); 11] = [
            (&[0x80], Malformed::Truncated),
            (&[0x08], Malformed::Truncated),
            (&[0x08, 0x80, 0x80], Malformed::Truncated),
            (&[0x09, 1, 2, 3], Malformed::Truncated),
            (&[0x0d, 1, 2, 3], Malformed::Truncated),
            (&[0x0a, 5, b'a'], Malformed::Truncated),
            (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], Malformed::Truncated),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], Malformed::Overlong),
            (&[0x02, 0], Malformed::FieldNumber),
            (&[0x0b], Malformed::WireType(3)),
            (&[0x0c], Malformed::WireType(4)),
        ];
        for (input, expected) in cases {
            assert_eq!(fields(input).find_map(Result::err), Some(expected), "{input:02x?}");
        }
    }

    #[test]
    fn field_numbers_have_protobufs_limit() {
        let highest = [0xf8, 0xff, 0xff, 0xff, 0x0f, 0];
        assert_eq!(fields(&highest).next().unwrap().unwrap().number, (1 << 29) - 1);
        let beyond = [0x80, 0x80, 0x80, 0x80, 0x10, 0];
        assert_eq!(fields(&beyond).next().unwrap().unwrap_err(), Malformed::FieldNumber);
    }

    proptest! {
        #[test]
        fn varints_and_messages_survive_a_round_trip(value: u64, bytes: Vec<u8>) {
            let mut varint = Vec::new();
            put_varint(&mut varint, value);
            prop_assert_eq!(take_varint(&varint), Ok((value, &[][..])));
            let mut message = Vec::new();
            put_message(&mut message, 7, &bytes);
            let field = fields(&message).next().unwrap().unwrap();
            prop_assert_eq!((field.number, field.bytes()?, field.raw), (7, &bytes[..], &message[..]));
        }

        #[test]
        fn random_bytes_never_panic_and_raw_slices_rebuild_them(input: Vec<u8>) {
            let read: Vec<_> = fields(&input).collect();
            if read.iter().all(Result::is_ok) {
                let rebuilt: Vec<u8> = read.into_iter().flatten().flat_map(|field| field.raw.to_vec()).collect();
                prop_assert_eq!(rebuilt, input);
            }
        }
    }
}
