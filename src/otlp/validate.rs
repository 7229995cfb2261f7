//! Whether bytes are a request: held against the table of OTLP's messages where they lie, without decoding them, which
//! would take many times their size and most of the time that a request costs.

use super::schema::{Field, Kind, MAX_DEPTH, Message, Rule, request};
use super::signal::Signal;
use super::wire::{Malformed, Value, fields};

/// Says whether bytes are an `Export…ServiceRequest` in protobuf that whoever it is forwarded to can decode: all that
/// OTLP defines has the wire type that it has there, strings are UTF-8, and messages do not lie too deep in each other.
/// Fields that OTLP does not define may hold anything.
pub fn validate(signal: Signal, body: &[u8]) -> Result<(), Malformed> {
    message(request(signal), body, 0)
}

fn message(shape: &'static Message, bytes: &[u8], depth: usize) -> Result<(), Malformed> {
    for field in fields(bytes) {
        let field = field?;
        match shape.field(field.number) {
            Some(known) => value(known, field.value, depth)?,
            // Decoders take passing over a field for one more message.
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
        // Numbers may be packed or not, whatever the definition says.
        (kind, Value::Bytes(packed)) if field.rule == Rule::Repeated => numbers(kind, packed),
        _ => Err(Malformed::Unexpected(field.number)),
    }
}

fn is_text(bytes: &[u8]) -> bool {
    // Almost always that, and sooner told.
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
