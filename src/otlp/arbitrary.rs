//! Generates requests from bytes. Any input of proptest or a fuzzer becomes a message of the schema, and a smaller
//! message when it shrinks.

use super::schema::{Field, Kind, Message, Rule, array_value, key_value, key_value_list, request};
use super::signal::Signal;
use super::wire::{put_message, put_varint};

/// The maximum nesting of messages.
const DEPTH: usize = 50;

/// Fields that the types crate's own JSON does not know, or does not read back.
const FOREIGN: [&str; 3] = ["entity_refs", "key_strindex", "string_value_strindex"];

/// An `Export…ServiceRequest` in protobuf. If `plain`, it omits what the types crate's own JSON gets wrong: NaN,
/// infinities, empty arrays and maps, and attributes without a key or a value.
pub fn arbitrary(signal: Signal, bytes: &[u8], plain: bool) -> Vec<u8> {
    let mut out = Vec::new();
    Source { bytes, plain }.message(&mut out, request(signal), 0);
    out
}

/// Generates values until its bytes are used up, and defaults afterwards.
struct Source<'a> {
    bytes: &'a [u8],
    plain: bool,
}

impl Source<'_> {
    fn message(&mut self, out: &mut Vec<u8>, message: &'static Message, depth: usize) {
        let members: Vec<_> = message.fields.iter().filter(|field| field.rule == Rule::OneOf).collect();
        let member = self.choice(members.len() + 1).checked_sub(1).map(|index| members[index].number);
        for field in message.fields {
            let is_message = matches!(field.kind, Kind::Message(_));
            let times = match field.rule {
                _ if self.plain && FOREIGN.contains(&field.name) || is_message && depth == DEPTH => 0,
                _ if self.plain && is_wanted(message, field) => 1,
                Rule::OneOf => usize::from(member == Some(field.number)),
                Rule::Repeated => self.choice(4),
                Rule::Plain if !is_message => 1,
                Rule::Plain | Rule::Optional => self.choice(2),
            };
            self.field(out, field, times, depth);
        }
    }

    fn field(&mut self, out: &mut Vec<u8>, field: &Field, times: usize, depth: usize) {
        let mut packed = Vec::new();
        for _ in 0..times {
            match field.kind {
                Kind::Message(below) => {
                    let mut inner = Vec::new();
                    self.message(&mut inner, below, depth + 1);
                    put_message(out, field.number, &inner);
                }
                Kind::String => put_message(out, field.number, self.string(field).as_bytes()),
                Kind::Bytes => put_message(out, field.number, &self.id(3)),
                Kind::Id(length) => put_message(out, field.number, &self.id(length)),
                kind => {
                    let (wire_type, number) = self.number(kind);
                    if field.rule == Rule::Repeated {
                        packed.extend(number);
                    } else {
                        put_varint(out, u64::from(field.number) << 3 | wire_type);
                        out.extend(number);
                    }
                }
            }
        }
        if !packed.is_empty() {
            put_message(out, field.number, &packed);
        }
    }

    /// A number, preceded by its wire type.
    fn number(&mut self, kind: Kind) -> (u64, Vec<u8>) {
        let varint = |number: u64| {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, number);
            (0, bytes)
        };
        match kind {
            Kind::Double => (1, self.double().to_le_bytes().to_vec()),
            Kind::Fixed64 | Kind::Sfixed64(_) => (1, self.u64().to_le_bytes().to_vec()),
            Kind::Fixed32 => (5, self.u32().to_le_bytes().to_vec()),
            Kind::Bool => varint(self.choice(2) as u64),
            // Negative numbers take ten bytes.
            Kind::Int32 | Kind::Enum(_) => varint(i64::from(self.u32().cast_signed()).cast_unsigned()),
            Kind::Uint32 | Kind::Sint32 => varint(self.u32().into()),
            _ => varint(self.u64()),
        }
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    /// A choice from zero up to but not including `of`.
    fn choice(&mut self, of: usize) -> usize {
        // A single option takes no byte.
        if of == 1 { 0 } else { usize::from(self.byte()) % of }
    }

    fn u32(&mut self) -> u32 {
        match self.byte() % 4 {
            0 => 0,
            1 => self.byte().into(),
            2 => u32::MAX,
            _ => u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()]),
        }
    }

    fn u64(&mut self) -> u64 {
        u64::from(self.u32()) << 32 | u64::from(self.u32())
    }

    fn double(&mut self) -> f64 {
        let odd = [0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::MAX];
        let number = match self.byte() {
            choice @ 0..6 => odd[usize::from(choice)],
            _ => f64::from_bits(self.u64()),
        };
        if number.is_nan() && !self.plain {
            return f64::NAN;
        }
        // Encoders that omit defaults omit zeros of either sign.
        if self.plain && !number.is_finite() || number == 0.0 { 0.0 } else { number }
    }

    fn id(&mut self, length: usize) -> Vec<u8> {
        let length = self.choice(2) * length;
        (0..length).map(|_| self.byte()).collect()
    }

    fn string(&mut self, field: &Field) -> String {
        if self.plain && field.name == "key" {
            return "key".to_owned();
        }
        let length = self.choice(6);
        (0..length).map(|_| char::from_u32(self.u32() % 0x11_0000).unwrap_or('\u{fffd}')).collect()
    }
}

/// Whether the types crate's own JSON requires a field: the value of an attribute, or a value in a list.
fn is_wanted(message: &'static Message, field: &Field) -> bool {
    let lists = [&array_value::TABLE, &key_value_list::TABLE];
    lists.iter().any(|list| std::ptr::eq(*list, message))
        || std::ptr::eq(message, &raw const key_value::TABLE) && field.number == key_value::VALUE
}
