//! OTLP's messages as a table: what each field is called, what it holds, and how often.

mod messages;

pub(super) use messages::request;

use super::wire::{Malformed, Value, take_array, take_varint};

/// How deep messages may lie in each other, the request itself not counted: as deep as protobuf's own readers go.
pub(super) const MAX_DEPTH: usize = 100;

/// A message and its fields.
pub(super) struct Message {
    /// In the order in which JSON gets them.
    pub(super) fields: &'static [Field],
}

/// A field of a message.
pub(super) struct Field {
    /// Its number on the wire.
    pub(super) number: u32,
    /// Its name in the protobuf definition: `time_unix_nano`. Its name in JSON follows: `timeUnixNano`.
    pub(super) name: &'static str,
    /// What it holds.
    pub(super) kind: Kind,
    /// How often, and when it counts as there.
    pub(super) rule: Rule,
}

/// What a field holds; protobuf's types, but for the two ids.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    String,
    /// Base64 in JSON.
    Bytes,
    /// Bytes that are hexadecimal in JSON: of this many, or none.
    Id(usize),
    Bool,
    Double,
    Fixed32,
    Fixed64,
    /// With the number of the double that stands instead of it, and takes what is too large for it: JavaScript's
    /// exporters take every number without a fraction for an integer, 1e300 too.
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

/// The names of an enumeration's values, which are numbered from zero without a gap, and what each begins with.
#[derive(Clone, Copy)]
pub(super) struct Names {
    pub(super) prefix: &'static str,
    pub(super) names: &'static [&'static str],
}

/// How often a field may be there, and when it counts as there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Once; a default value is as good as none. A message has no default value and counts whenever it is given.
    Plain,
    /// Once; a default value counts.
    Optional,
    /// As `Optional`, and instead of the message's other fields of this rule. No message of OTLP has two such groups.
    OneOf,
    /// A list; numbers are packed.
    Repeated,
}

impl Message {
    /// The place in the table of the field that JSON calls so.
    ///
    /// The names of the protobuf definition are taken, too, as other receivers do (otelcol's among them). The
    /// specification calls them invalid; but to pass them over would acknowledge data and lose it.
    pub(super) fn place_by_name(&self, key: &[u8]) -> Option<usize> {
        self.fields.iter().position(|field| field.is_called(key))
    }

    /// The place in the table of the field with that number.
    pub(super) fn place(&self, number: u32) -> Option<usize> {
        self.fields.iter().position(|field| field.number == number)
    }

    /// The field with that number.
    pub(super) fn field(&self, number: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}

impl Kind {
    /// The first number of a packed list, and what follows it.
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
    /// Its name in JSON, letter by letter: what follows an underscore is a capital.
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

impl Names {
    /// The number that has this name. OTLP allows only numbers, but protobuf's own JSON writes names: a sender that
    /// uses that is understood, as otelcol understands it, rather than made to lose its data.
    pub(super) fn number(self, name: &str) -> Option<usize> {
        let name = name.strip_prefix(self.prefix)?;
        self.names.iter().position(|known| *known == name)
    }
}
