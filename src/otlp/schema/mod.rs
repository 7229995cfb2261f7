//! OTLP's messages as a table: the name, type and cardinality of each field. All code that reads or writes a field
//! takes its number from here.

pub mod every;
mod messages;

pub use messages::*;

use super::wire::{Malformed, Value, take_array, take_varint};

/// A message and its fields.
pub(super) struct Message {
    /// Its fields, in the order of JSON.
    pub(super) fields: &'static [Field],
}

/// A field of a message.
pub(super) struct Field {
    /// Its number on the wire.
    pub(super) number: u32,
    /// Its name in the protobuf definition: `time_unix_nano`. Its name in JSON follows: `timeUnixNano`.
    pub(super) name: &'static str,
    /// Its type.
    pub(super) kind: Kind,
    /// How often it occurs, and when it counts as present.
    pub(super) rule: Rule,
}

/// The type of a field: protobuf's types, and the two ids.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    String,
    /// Base64 in JSON.
    Bytes,
    /// Bytes that are hexadecimal in JSON: this many, or none.
    Id(usize),
    Bool,
    Double,
    Fixed32,
    Fixed64,
    /// Contains the number of the double field that replaces it for numbers that are too large. JavaScript's exporters
    /// treat every number without a fraction as an integer, even 1e300.
    Sfixed64(u32),
    Int32,
    /// The same.
    Int64(u32),
    Uint32,
    Uint64,
    Sint32,
    Enum(Names),
    Message(&'static Message),
}

/// The names of an enumeration's values, numbered from zero without gaps, and their prefix.
#[derive(Clone, Copy)]
pub(super) struct Names {
    pub(super) prefix: &'static str,
    pub(super) names: &'static [&'static str],
}

/// How often a field may occur, and when it counts as present.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Once; a default value counts as absent. A message has no default value and counts whenever it is given.
    Plain,
    /// Once; a default value counts as present.
    Optional,
    /// As `Optional`, but excludes the message's other fields with this rule. No message of OTLP has two such groups.
    OneOf,
    /// A list; numbers are packed.
    Repeated,
}

impl Message {
    /// The place in the table of the field with this name in JSON.
    ///
    /// Names from the protobuf definition are accepted as well, as other receivers do (including otelcol). The
    /// specification calls them invalid, but skipping them would acknowledge data and lose it.
    pub(super) fn place_by_name(&self, key: &[u8]) -> Option<usize> {
        self.fields.iter().position(|field| field.is_called(key))
    }

    /// The place in the table of the field with this number.
    pub(super) fn place(&self, number: u32) -> Option<usize> {
        self.fields.iter().position(|field| field.number == number)
    }

    /// The field with this number.
    pub(super) fn field(&self, number: u32) -> Option<&'static Field> {
        // Most messages number their fields without gaps.
        let place = usize::try_from(number).unwrap_or_default().wrapping_sub(1);
        let likely = self.fields.get(place).filter(|field| field.number == number);
        likely.or_else(|| self.fields.iter().find(|field| field.number == number))
    }
}

impl Kind {
    /// The first number of a packed list, and the rest.
    pub(super) fn take_packed(self, packed: &[u8]) -> Result<(Value<'_>, &[u8]), Malformed> {
        Ok(match self {
            Self::Double | Self::Fixed64 | Self::Sfixed64(_) => {
                let (number, rest) = take_array(packed)?;
                (Value::Fixed64(u64::from_le_bytes(number)), rest)
            }
            Self::Fixed32 => {
                let (number, rest) = take_array(packed)?;
                (Value::Fixed32(u32::from_le_bytes(number)), rest)
            }
            _ => {
                let (number, rest) = take_varint(packed)?;
                (Value::Varint(number), rest)
            }
        })
    }
}

impl Field {
    /// Its name in JSON, byte by byte: the letter after an underscore is upper case.
    pub(super) fn json_name(&self) -> impl Iterator<Item = u8> + use<> {
        let mut bytes = self.name.bytes();
        std::iter::from_fn(move || match bytes.next()? {
            b'_' => bytes.next().map(|byte| byte.to_ascii_uppercase()),
            byte => Some(byte),
        })
    }

    fn is_called(&self, key: &[u8]) -> bool {
        self.name.as_bytes() == key || self.json_name().eq(key.iter().copied())
    }
}

/// A field's name, derived from its constant.
const fn lowercase<const N: usize>(name: &str) -> [u8; N] {
    let mut lower = [0; N];
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    lower
}

impl Names {
    /// The number with this name. OTLP allows only numbers, but protobuf's own JSON writes names. Senders that use it
    /// are understood, as in otelcol, so that their data is not lost.
    pub(super) fn number(self, name: &str) -> Option<usize> {
        let name = name.strip_prefix(self.prefix)?;
        self.names.iter().position(|known| *known == name)
    }
}
