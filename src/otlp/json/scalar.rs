//! Converts JSON's strings and numbers to the wire form (protobuf, *JSON representation format*).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_PAD_INDIFFERENT, URL_SAFE_PAD_INDIFFERENT};

use super::sink::Sink;
use crate::otlp::schema::{Field, Kind, Rule};
use crate::otlp::wire::put_varint;

/// A number in JSON. Some numbers are text, because JavaScript's numbers have 53 bits and no NaN.
#[derive(Clone, Copy)]
pub(super) enum Number<'a> {
    Truth(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
}

/// A number in its wire form.
#[derive(Clone, Copy, PartialEq)]
enum Wire {
    Varint(u64),
    Eight(u64),
    Four(u32),
}

/// The value does not fit its field.
pub(super) struct Unfit;

/// Writes a number, with its tag unless it is packed.
pub(super) fn put_number(sink: &mut Sink, field: &Field, number: Number) -> Result<(), Unfit> {
    let fit = wire(field.kind, number).map(|wire| (field.number, wire));
    let (field_number, wire) = fit.or_else(|| as_double(field.kind, number)).ok_or(Unfit)?;
    let is_default = matches!(wire, Wire::Varint(0) | Wire::Eight(0) | Wire::Four(0));
    if field.rule == Rule::Plain && is_default {
        return Ok(());
    }
    let is_packed = field.rule == Rule::Repeated;
    let mut tag = |wire_type| {
        if !is_packed {
            sink.put_tag(field_number, wire_type);
        }
    };
    match wire {
        Wire::Varint(number) => {
            tag(0);
            put_varint(&mut sink.bytes, number);
        }
        Wire::Eight(number) => {
            tag(1);
            sink.bytes.extend(number.to_le_bytes());
        }
        Wire::Four(number) => {
            tag(5);
            sink.bytes.extend(number.to_le_bytes());
        }
    }
    Ok(())
}

fn wire(kind: Kind, number: Number) -> Option<Wire> {
    if let (Kind::Bool, Number::Truth(truth)) = (kind, number) {
        return Some(Wire::Varint(u64::from(truth)));
    }
    if let Kind::Double = kind {
        return double(number).map(|number| Wire::Eight(number.to_bits()));
    }
    if let (Kind::Enum(names), Number::Text(text)) = (kind, number)
        && let Some(number) = names.number(text)
    {
        return Some(Wire::Varint(number as u64));
    }
    let integer = integer(number)?;
    // The casts repeat the sign as protobuf does: a negative 32-bit number has 64 bits on the wire.
    #[expect(clippy::cast_sign_loss, reason = "two's complement is what is meant")]
    match kind {
        Kind::Fixed32 => u32::try_from(integer).ok().map(Wire::Four),
        Kind::Fixed64 => u64::try_from(integer).ok().map(Wire::Eight),
        Kind::Sfixed64(_) => i64::try_from(integer).ok().map(|integer| Wire::Eight(integer as u64)),
        Kind::Uint32 => u32::try_from(integer).ok().map(|integer| Wire::Varint(integer.into())),
        Kind::Uint64 => u64::try_from(integer).ok().map(Wire::Varint),
        Kind::Int32 | Kind::Enum(_) => {
            i32::try_from(integer).ok().map(|integer| Wire::Varint(i64::from(integer) as u64))
        }
        Kind::Int64(_) => i64::try_from(integer).ok().map(|integer| Wire::Varint(integer as u64)),
        Kind::Sint32 => i32::try_from(integer).ok().map(|integer| Wire::Varint(u64::from(zigzag(integer)))),
        _ => None,
    }
}

/// A number that is too large for its integer field, as a double, if a double field may replace it.
fn as_double(kind: Kind, number: Number) -> Option<(u32, Wire)> {
    let (Kind::Int64(field_number) | Kind::Sfixed64(field_number)) = kind else { return None };
    let is_written_as_number = !matches!(number, Number::Text(_));
    let whole = double(number).filter(|number| is_written_as_number && number.fract() == 0.0)?;
    Some((field_number, Wire::Eight(whole.to_bits())))
}

#[expect(clippy::cast_sign_loss, reason = "two's complement is what is meant")]
fn zigzag(integer: i32) -> u32 {
    ((integer << 1) ^ (integer >> 31)) as u32
}

/// An integer in any notation: `5`, `"5"`, `5.0`, `5e0`.
fn integer(number: Number) -> Option<i128> {
    match number {
        Number::Truth(_) => None,
        Number::Unsigned(number) => Some(number.into()),
        Number::Signed(number) => Some(number.into()),
        Number::Float(number) => whole(number),
        Number::Text(text) => text.parse().ok().or_else(|| whole(finite(text)?)),
    }
}

/// A float without a fraction. No field takes more than 64 bits, so larger numbers are irrelevant.
#[expect(clippy::cast_possible_truncation, reason = "what is larger is refused")]
fn whole(number: f64) -> Option<i128> {
    let is_whole = number.fract() == 0.0 && number.abs() <= 18_446_744_073_709_551_616.0;
    is_whole.then_some(number as i128)
}

#[expect(clippy::cast_precision_loss, reason = "a double has no more")]
fn double(number: Number) -> Option<f64> {
    match number {
        Number::Truth(_) => None,
        Number::Unsigned(number) => Some(number as f64),
        Number::Signed(number) => Some(number as f64),
        Number::Float(number) => Some(number),
        Number::Text("NaN") => Some(f64::NAN),
        Number::Text("Infinity") => Some(f64::INFINITY),
        Number::Text("-Infinity") => Some(f64::NEG_INFINITY),
        Number::Text(text) => finite(text),
    }
}

/// A number in a string. Rust also parses words such as `inf`, which JSON does not have.
fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Writes a string, bytes or an id.
pub(super) fn put_text(sink: &mut Sink, field: &Field, text: &[u8]) -> Result<(), Unfit> {
    let text = whole_characters(text);
    if field.rule == Rule::Plain && text.is_empty() {
        return Ok(());
    }
    let open = sink.open(field.number);
    let is_fit = match field.kind {
        Kind::String => {
            sink.bytes.extend_from_slice(text.as_bytes());
            true
        }
        Kind::Bytes => base64(&mut sink.bytes, &text),
        Kind::Id(length) => hexadecimal(&mut sink.bytes, text.as_bytes(), length),
        _ => false,
    };
    sink.close(open);
    if is_fit { Ok(()) } else { Err(Unfit) }
}

/// JavaScript may cut a string between the surrogates of a character. A lone surrogate is invalid in protobuf and
/// becomes U+FFFD, as in JavaScript's own protobuf. The text is UTF-8 except for surrogates, three bytes that begin
/// with 0xED.
fn whole_characters(text: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(text) {
        return Cow::Borrowed(text);
    }
    let mut whole = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        whole.push_str(chunk.valid());
        if chunk.invalid().starts_with(b"\xed") {
            whole.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Cow::Owned(whole)
}

/// Decodes both alphabets, with or without padding.
fn base64(out: &mut Vec<u8>, text: &str) -> bool {
    let is_url_safe = text.contains(['-', '_']);
    let engine = if is_url_safe { URL_SAFE_PAD_INDIFFERENT } else { STANDARD_PAD_INDIFFERENT };
    engine.decode_vec(text, out).is_ok()
}

fn hexadecimal(out: &mut Vec<u8>, text: &[u8], length: usize) -> bool {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_chunks::<2>();
    let start = out.len();
    out.extend(pairs.iter().map_while(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)));
    rest.is_empty() && pairs.len() == length && out.len() - start == length
}
