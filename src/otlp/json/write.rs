//! Converts the wire form to JSON by walking it in place.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use super::JsonError;
use crate::otlp::Signal;
use crate::otlp::schema::{Field, Kind, Message, Rule, request};
use crate::otlp::wire::{self, MAX_DEPTH, Malformed, Value, fields};
use crate::system::hex::Hex;

/// Converts an `Export…ServiceRequest` from protobuf to JSON of at most `limit` bytes.
///
/// The output follows the specification: ids are lower-case hexadecimal, enumerations are numbers, 64-bit integers are
/// strings, bytes are base64, and unset fields are omitted. **Fields that OTLP did not have when this was written are
/// lost**: JSON needs their names, but the wire form has only numbers.
pub fn protobuf_to_json(signal: Signal, protobuf: &[u8], limit: usize) -> Result<Vec<u8>, JsonError> {
    // JSON of ordinary telemetry is two or three times as long.
    let bytes = Vec::with_capacity(protobuf.len().saturating_mul(2).min(limit));
    let mut out = Out { bytes, limit };
    object(&mut out, request(signal), protobuf, 0)?;
    Ok(out.bytes)
}

/// The JSON during writing. Its only error is that the limit is exceeded.
struct Out {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.limit - self.bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Out {
    fn put(&mut self, text: impl AsRef<[u8]>) -> Result<(), JsonError> {
        self.write_all(text.as_ref()).map_err(|_| self.full())
    }

    fn put_json(&mut self, value: impl serde::Serialize) -> Result<(), JsonError> {
        serde_json::to_writer(&mut *self, &value).map_err(|_| self.full())
    }

    fn put_display(&mut self, value: impl std::fmt::Display) -> Result<(), JsonError> {
        write!(self, "\"{value}\"").map_err(|_| self.full())
    }

    fn full(&self) -> JsonError {
        JsonError::TooLarge(self.limit)
    }
}

fn object(out: &mut Out, message: &'static Message, bytes: &[u8], depth: usize) -> Result<(), JsonError> {
    if depth > MAX_DEPTH {
        return Err(JsonError::TooDeep);
    }
    let survey = Survey::of(message, bytes)?;
    let mut separator = "{";
    for (place, field) in message.fields.iter().enumerate() {
        let Some(occurrences) = survey.occurrences(place, field, bytes) else { continue };
        let start = out.bytes.len();
        out.put(separator)?;
        out.put("\"")?;
        for letter in field.json_name() {
            out.put([letter])?;
        }
        out.put("\":")?;
        let is_written = if field.rule == Rule::Repeated {
            list(out, field, occurrences, depth)?
        } else {
            one(out, field, occurrences, depth)?
        };
        if is_written {
            separator = ",";
        } else {
            out.bytes.truncate(start);
        }
    }
    out.put(if separator == "{" { "{}" } else { "}" })
}

/// The fields that are present in a message.
struct Survey {
    /// A bit for each place in the table.
    present: u32,
    /// The field that counts among those that exclude each other: the last one. Its occurrences before another such
    /// field are ignored.
    one_of: Option<OneOf>,
}

#[derive(Clone, Copy)]
struct OneOf {
    place: usize,
    /// How many bytes of the message precede the first occurrence that counts.
    since: usize,
}

impl Survey {
    fn of(message: &'static Message, bytes: &[u8]) -> Result<Self, Malformed> {
        let mut survey = Self { present: 0, one_of: None };
        let mut position = 0;
        for field in fields(bytes) {
            let field = field?;
            if let Some(place) = message.place(field.number) {
                survey.present |= 1 << place;
                let is_one_of = message.fields.get(place).is_some_and(|field| field.rule == Rule::OneOf);
                if is_one_of && survey.one_of.is_none_or(|one_of| one_of.place != place) {
                    survey.one_of = Some(OneOf { place, since: position });
                }
            }
            position += field.raw.len();
        }
        Ok(survey)
    }

    /// The occurrences of a field that count, or `None` if it is absent.
    fn occurrences<'a>(&self, place: usize, field: &'static Field, bytes: &'a [u8]) -> Option<Occurrences<'a>> {
        let since = match (field.rule, self.one_of) {
            (Rule::OneOf, Some(one_of)) if one_of.place == place => one_of.since,
            (Rule::OneOf, _) => return None,
            _ => 0,
        };
        (self.present & 1 << place != 0).then(|| Occurrences { fields: fields(&bytes[since..]), number: field.number })
    }
}

/// All occurrences of a field.
#[derive(Clone)]
struct Occurrences<'a> {
    fields: wire::Fields<'a>,
    number: u32,
}

impl<'a> Iterator for Occurrences<'a> {
    type Item = Result<wire::Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.number;
        self.fields.find(|field| field.is_err() || field.is_ok_and(|field| field.number == number))
    }
}

/// Writes a list. Returns false if it is empty.
fn list(out: &mut Out, field: &'static Field, occurrences: Occurrences, depth: usize) -> Result<bool, JsonError> {
    let mut separator = "[";
    for occurrence in occurrences {
        let occurrence = occurrence?;
        match (field.kind, occurrence.value) {
            (Kind::Message(message), _) => {
                out.put(separator)?;
                object(out, message, occurrence.bytes()?, depth + 1)?;
            }
            // Numbers may be packed or not, regardless of the definition.
            (kind, Value::Bytes(mut packed)) if !is_text(kind) => {
                while !packed.is_empty() {
                    let (number, rest) = kind.take_packed(packed)?;
                    packed = rest;
                    out.put(separator)?;
                    scalar(out, field, number)?;
                    separator = ",";
                }
                continue;
            }
            (_, value) => {
                out.put(separator)?;
                scalar(out, field, value)?;
            }
        }
        separator = ",";
    }
    if separator == "[" {
        return Ok(false);
    }
    out.put("]")?;
    Ok(true)
}

/// Writes a single value. A message in pieces is merged, and otherwise the last value counts. Returns false for a
/// default value, which counts as absent.
fn one(out: &mut Out, field: &'static Field, occurrences: Occurrences, depth: usize) -> Result<bool, JsonError> {
    if let Kind::Message(message) = field.kind {
        let mut whole: Cow<[u8]> = Cow::Borrowed(&[]);
        for occurrence in occurrences {
            let piece = occurrence?.bytes()?;
            if whole.is_empty() {
                whole = Cow::Borrowed(piece);
            } else {
                whole.to_mut().extend_from_slice(piece);
            }
        }
        object(out, message, &whole, depth + 1)?;
        return Ok(true);
    }
    let mut last = None;
    for occurrence in occurrences {
        last = Some(occurrence?.value);
    }
    let Some(value) = last else { return Ok(false) };
    let is_default = matches!(value, Value::Varint(0) | Value::Fixed64(0) | Value::Fixed32(0) | Value::Bytes([]));
    if field.rule == Rule::Plain && is_default {
        return Ok(false);
    }
    scalar(out, field, value)?;
    Ok(true)
}

fn is_text(kind: Kind) -> bool {
    matches!(kind, Kind::String | Kind::Bytes | Kind::Id(_))
}

#[expect(clippy::cast_possible_wrap, reason = "two's complement is what is meant")]
#[expect(clippy::cast_possible_truncation, reason = "as protobuf's readers do with integers of 32 bits")]
fn scalar(out: &mut Out, field: &Field, value: Value) -> Result<(), JsonError> {
    match (field.kind, value) {
        (Kind::String, Value::Bytes(text)) => out.put_json(String::from_utf8_lossy(text)),
        (Kind::Bytes, Value::Bytes(bytes)) => out.put_display(Base64Display::new(bytes, &STANDARD)),
        (Kind::Id(_), Value::Bytes(id)) => out.put_display(Hex(id)),
        (Kind::Bool, Value::Varint(truth)) => out.put_json(truth != 0),
        (Kind::Double, Value::Fixed64(bits)) => double(out, f64::from_bits(bits)),
        (Kind::Fixed32, Value::Fixed32(number)) => out.put_json(number),
        (Kind::Fixed64, Value::Fixed64(number)) | (Kind::Uint64, Value::Varint(number)) => out.put_display(number),
        (Kind::Sfixed64(_), Value::Fixed64(number)) | (Kind::Int64(_), Value::Varint(number)) => {
            out.put_display(number as i64)
        }
        (Kind::Int32 | Kind::Enum(_), Value::Varint(number)) => out.put_json(number as i32),
        (Kind::Uint32, Value::Varint(number)) => out.put_json(number as u32),
        (Kind::Sint32, Value::Varint(number)) => {
            let number = number as u32;
            out.put_json((number >> 1) as i32 ^ -((number & 1) as i32))
        }
        _ => Err(Malformed::Unexpected(field.number).into()),
    }
}

/// Doubles that JSON numbers cannot express are strings.
fn double(out: &mut Out, number: f64) -> Result<(), JsonError> {
    if number.is_nan() {
        out.put("\"NaN\"")
    } else if number.is_infinite() {
        out.put(if number > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" })
    } else {
        out.put_json(number)
    }
}
