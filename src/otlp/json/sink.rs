//! Writes the wire form. A message's length is filled in when it is closed.

use crate::otlp::wire::put_varint;

/// The bytes of a message during writing.
pub(super) struct Sink {
    pub(super) bytes: Vec<u8>,
    /// The maximum number of bytes.
    limit: usize,
    /// How many messages are open, not counting the outermost.
    depth: usize,
}

/// An open message.
#[must_use]
pub(super) struct Open {
    /// The start of its field.
    field: usize,
    /// The start of its content.
    content: usize,
}

impl Sink {
    /// An empty sink for at most `limit` bytes, with the capacity for `expected`.
    pub(super) fn new(limit: usize, expected: usize) -> Self {
        Self { bytes: Vec::with_capacity(expected.min(limit)), limit, depth: 0 }
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Whether the limit is exceeded.
    pub(super) fn is_over(&self) -> bool {
        self.bytes.len() > self.limit
    }

    pub(super) fn put_tag(&mut self, number: u32, wire_type: u8) {
        put_varint(&mut self.bytes, u64::from(number) << 3 | u64::from(wire_type));
    }

    /// Starts field `number`. [`Sink::close`] writes its length.
    pub(super) fn open(&mut self, number: u32) -> Open {
        let field = self.bytes.len();
        self.put_tag(number, 2);
        // Most lengths fit one byte. A longer length moves the content.
        self.bytes.push(0);
        self.depth += 1;
        Open { field, content: self.bytes.len() }
    }

    pub(super) fn close(&mut self, Open { content, .. }: Open) {
        self.depth -= 1;
        let length = self.bytes.len() - content;
        match u8::try_from(length) {
            Ok(short) if short < 0x80 => self.bytes[content - 1] = short,
            _ => {
                let mut long = Vec::with_capacity(5);
                put_varint(&mut long, length as u64);
                self.bytes.splice(content - 1..content, long);
            }
        }
    }

    /// The same, but removes the field if it has no content.
    pub(super) fn close_unless_empty(&mut self, open: Open) {
        if self.bytes.len() > open.content {
            return self.close(open);
        }
        self.depth -= 1;
        self.bytes.truncate(open.field);
    }
}
