//! Validates requests against the table of OTLP's messages in place. Decoding would take many times their size, and
//! most of the time that a request costs.

use super::schema::{Field, Kind, Message, Rule, request};
use super::signal::Signal;
use super::wire::{MAX_DEPTH, Malformed, Value, fields};

/// Checks that bytes are an `Export…ServiceRequest` in protobuf that every destination can decode. All fields that OTLP
/// defines have the defined wire type, strings are UTF-8, and messages are not nested too deeply. Fields that OTLP does
/// not define may contain anything.
pub fn validate(signal: Signal, body: &[u8]) -> Result<(), Malformed> {
    message(request(signal), body, 0)
}

fn message(shape: &'static Message, bytes: &[u8], depth: usize) -> Result<(), Malformed> {
    for field in fields(bytes) {
        let field = field?;
        match shape.field(field.number) {
            Some(known) => value(known, field.value, depth)?,
            // Decoders count a skipped field as one more level.
            None if depth == MAX_DEPTH => return Err(Malformed::TooDeep),
            None => {}
        }
    }
    Ok(())
}

fn value(field: &Field, value: Value<'_>, depth: usize) -> Result<(), Malformed> {
    match (field.kind, value) {
        (Kind::Message(_), Value::Bytes(_)) if depth == MAX_DEPTH => Err(Malformed::TooDeep),
        (Kind::Message(shape), Value::Bytes(bytes)) => message(shape, bytes, depth + 1),
        (Kind::String, Value::Bytes(text)) if is_text(text) => Ok(()),
        (Kind::String, Value::Bytes(_)) => Err(Malformed::NotUtf8(field.number)),
        (Kind::Bytes | Kind::Id(_), Value::Bytes(_))
        | (Kind::Double | Kind::Fixed64 | Kind::Sfixed64(_), Value::Fixed64(_))
        | (Kind::Fixed32, Value::Fixed32(_))
        | (
            Kind::Bool | Kind::Int32 | Kind::Int64(_) | Kind::Uint32 | Kind::Uint64 | Kind::Sint32 | Kind::Enum(_),
            Value::Varint(_),
        ) => Ok(()),
        // Numbers may be packed or not, regardless of the definition.
        (kind, Value::Bytes(packed)) if field.rule == Rule::Repeated => numbers(kind, packed),
        _ => Err(Malformed::Unexpected(field.number)),
    }
}

fn is_text(bytes: &[u8]) -> bool {
    // Almost all strings are ASCII, which is faster to check.
    bytes.is_ascii() || std::str::from_utf8(bytes).is_ok()
}

fn numbers(kind: Kind, mut packed: &[u8]) -> Result<(), Malformed> {
    while !packed.is_empty() {
        (_, packed) = kind.take_packed(packed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
