//! From JSON to the wire form, in one pass.

use std::fmt::{self, Write};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::JsonError;
use super::scalar::{Number, put_number, put_text};
use super::sink::Sink;
use crate::otlp::Signal;
use crate::otlp::schema::{Field, Kind, Message, Rule, request};
use crate::otlp::wire::MAX_DEPTH;

/// Converts an `Export…ServiceRequest` from JSON to protobuf of at most `limit` bytes.
///
/// Accepts everything that the specification lets senders write, and common deviations: see the tests' table. Unknown
/// fields are skipped, `null` is the default, and empty input is an empty request. Input that protobuf's own readers
/// reject is rejected: a field that is given twice, two fields that exclude each other, and messages nested deeper than
/// a hundred levels.
pub fn json_to_protobuf(signal: Signal, json: &[u8], limit: usize) -> Result<Vec<u8>, JsonError> {
    let text = std::str::from_utf8(json).map_err(|error| not_utf8(json, error.valid_up_to()))?;
    if text.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    // JSON contains names and quotes that protobuf does not: about half of it.
    let mut reader = Reader { sink: Sink::new(limit, json.len() / 2), path: Vec::new(), fault: Fault::Expected("") };
    let mut json = serde_json::Deserializer::from_str(text);
    // Nested messages are counted instead, as in protobuf. Skipped values are not read recursively.
    json.disable_recursion_limit();
    let object = Object { reader: &mut reader, message: request(signal) };
    let read = object.deserialize(&mut json).and_then(|()| json.end());
    match read {
        Ok(()) => Ok(reader.sink.bytes),
        Err(error) => Err(reader.explain(&error, limit)),
    }
}

fn not_utf8(json: &[u8], place: usize) -> JsonError {
    let before = json.get(..place).unwrap_or_default();
    let line = before.split(|byte| *byte == b'\n').count();
    let column = before.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len) + 1;
    JsonError::Invalid { what: "not UTF-8".to_owned(), line, column, path: String::new() }
}

/// The shared state of a read.
struct Reader {
    sink: Sink,
    /// The path of the current value.
    path: Vec<Step>,
    /// The fault to report if the current step fails.
    fault: Fault,
}

enum Step {
    Field(&'static Field),
    Element(usize),
}

#[derive(Clone, Copy)]
enum Fault {
    /// The value is not this.
    Expected(&'static str),
    Twice,
    Several,
    TooDeep,
    TooLarge,
}

impl Reader {
    /// Describes a fault in our own words, because serde's would repeat the value.
    fn explain(&self, error: &serde_json::Error, limit: usize) -> JsonError {
        let what = match (error.classify(), self.fault) {
            (Category::Data, Fault::TooDeep) => return JsonError::TooDeep,
            (Category::Data, Fault::TooLarge) => return JsonError::TooLarge(limit),
            (Category::Data, Fault::Expected(what)) => format!("expected {what}"),
            (Category::Data, Fault::Twice) => "given twice".to_owned(),
            (Category::Data, Fault::Several) => "given beside another field that excludes it".to_owned(),
            // For a violation of JSON's own rules, serde uses fixed words, followed by the position.
            _ => error.to_string().split(" at line ").next().unwrap_or_default().to_owned(),
        };
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Field(field) => {
                    path.push_str(if path.is_empty() { ", in " } else { "." });
                    path.extend(field.json_name().map(char::from));
                }
                Step::Element(index) => drop(write!(path, "[{index}]")),
            }
        }
        JsonError::Invalid { what, line: error.line(), column: error.column(), path }
    }

    fn fail<E: serde::de::Error>(&mut self, fault: Fault) -> E {
        self.fault = fault;
        E::custom("")
    }
}

/// Reads an object as a message, into the current container.
struct Object<'a> {
    reader: &'a mut Reader,
    message: &'static Message,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.reader.fault = Fault::Expected("an object");
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { reader, message } = self;
        let mut seen = 0_u32;
        let mut has_one_of = false;
        while let Some(place) = map.next_key_seed(Key(message))? {
            let Some((place, field)) = place.and_then(|place| Some((place, message.fields.get(place)?))) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            reader.path.push(Step::Field(field));
            if map.next_value_seed(Value { reader: &mut *reader, field })? {
                if seen & 1 << place != 0 {
                    return Err(reader.fail(Fault::Twice));
                }
                if field.rule == Rule::OneOf && has_one_of {
                    return Err(reader.fail(Fault::Several));
                }
                seen |= 1 << place;
                has_one_of |= field.rule == Rule::OneOf;
            }
            reader.path.pop();
        }
        Ok(())
    }
}

/// Reads a key as a field's place in the message, or `None` if it is unknown.
struct Key(&'static Message);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.place_by_name(key))
    }
}

/// Reads a field's value and returns whether there is one. `null` means that there is none.
struct Value<'a> {
    reader: &'a mut Reader,
    field: &'static Field,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_none<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        if self.field.rule == Rule::Repeated {
            self.reader.fault = Fault::Expected("a list");
            deserializer.deserialize_seq(List { reader: self.reader, field: self.field })?;
        } else {
            One { reader: self.reader, field: self.field }.deserialize(deserializer)?;
        }
        Ok(true)
    }
}

/// Reads a list.
struct List<'a> {
    reader: &'a mut Reader,
    field: &'static Field,
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { reader, field } = self;
        let is_packed = !matches!(field.kind, Kind::Message(_) | Kind::String | Kind::Bytes | Kind::Id(_));
        let open = is_packed.then(|| reader.sink.open(field.number));
        for index in 0.. {
            reader.path.push(Step::Element(index));
            if list.next_element_seed(Element { reader: &mut *reader, field })?.is_none() {
                break;
            }
            reader.path.pop();
        }
        reader.path.pop();
        if let Some(open) = open {
            reader.sink.close_unless_empty(open);
        }
        Ok(())
    }
}

/// Reads an element of a list. `null` is an empty message, as JavaScript writes it in arrays. For a number it would be
/// an incorrect value.
struct Element<'a> {
    reader: &'a mut Reader,
    field: &'static Field,
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an element")
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<(), E> {
        if !matches!(self.field.kind, Kind::Message(_)) {
            return Err(self.reader.fail(Fault::Expected(expected(self.field.kind))));
        }
        let open = self.reader.sink.open(self.field.number);
        self.reader.sink.close(open);
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        One { reader: self.reader, field: self.field }.deserialize(deserializer)
    }
}

/// Reads one value other than `null`.
struct One<'a> {
    reader: &'a mut Reader,
    field: &'static Field,
}

impl One<'_> {
    fn deserialize<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.reader.fault = Fault::Expected(expected(self.field.kind));
        match self.field.kind {
            Kind::Message(message) => {
                if self.reader.sink.depth() == MAX_DEPTH {
                    return Err(self.reader.fail(Fault::TooDeep));
                }
                let open = self.reader.sink.open(self.field.number);
                Object { reader: &mut *self.reader, message }.deserialize(deserializer)?;
                self.reader.sink.close(open);
                self.reader.check_size()
            }
            Kind::String | Kind::Bytes | Kind::Id(_) => deserializer.deserialize_bytes(self),
            _ => deserializer.deserialize_any(self),
        }
    }

    fn number<E: serde::de::Error>(self, number: Number) -> Result<(), E> {
        put_number(&mut self.reader.sink, self.field, number).map_err(|_| E::custom(""))?;
        self.reader.check_size()
    }
}

impl Reader {
    fn check_size<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.sink.is_over() { Err(self.fail(Fault::TooLarge)) } else { Ok(()) }
    }
}

impl Visitor<'_> for One<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(expected(self.field.kind))
    }

    fn visit_bytes<E: serde::de::Error>(self, text: &[u8]) -> Result<(), E> {
        put_text(&mut self.reader.sink, self.field, text).map_err(|_| E::custom(""))?;
        self.reader.check_size()
    }

    fn visit_bool<E: serde::de::Error>(self, truth: bool) -> Result<(), E> {
        self.number(Number::Truth(truth))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        self.number(Number::Unsigned(number))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.number(Number::Signed(number))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        self.number(Number::Float(number))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.number(Number::Text(text))
    }
}

/// The expected value for a field of this kind.
fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "a string",
        Kind::Bytes => "a string in base64",
        Kind::Id(16) => "a string of 32 hexadecimal digits",
        Kind::Id(_) => "a string of 16 hexadecimal digits",
        Kind::Bool => "true or false",
        Kind::Double => "a number, `\"NaN\"`, `\"Infinity\"` or `\"-Infinity\"`",
        Kind::Fixed32 | Kind::Uint32 => "an integer of 32 bits without a sign",
        Kind::Fixed64 | Kind::Uint64 => "an integer of 64 bits without a sign",
        Kind::Sfixed64(_) | Kind::Int64(_) => "an integer of 64 bits",
        Kind::Int32 | Kind::Sint32 => "an integer of 32 bits",
        Kind::Enum(_) => "the number of an enumeration's value",
        Kind::Message(_) => "an object",
    }
}
