//! Where the wire form grows: messages are closed when their length is known.

use crate::otlp::wire::put_varint;

/// The bytes of a message that is being written.
pub(super) struct Sink {
    pub(super) bytes: Vec<u8>,
    /// How many of them there may be.
    limit: usize,
    /// How many messages are open, the outermost not counted.
    depth: usize,
}

/// Something that was begun.
#[must_use]
pub(super) struct Open {
    /// Where its field begins.
    field: usize,
    /// Where its content begins.
    content: usize,
}

impl Sink {
    /// An empty one for at most `limit` bytes, with room for `expected`.
    pub(super) fn new(limit: usize, expected: usize) -> Self {
        Self { bytes: Vec::with_capacity(expected.min(limit)), limit, depth: 0 }
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Whether there are more bytes than there may be.
    pub(super) fn is_over(&self) -> bool {
        self.bytes.len() > self.limit
    }

    pub(super) fn put_tag(&mut self, number: u32, wire_type: u8) {
        put_varint(&mut self.bytes, u64::from(number) << 3 | u64::from(wire_type));
    }

    /// Begins field `number`, whose length [`Sink::close`] writes.
    pub(super) fn open(&mut self, number: u32) -> Open {
        let field = self.bytes.len();
        self.put_tag(number, 2);
        // Most lengths fit one byte; the others make room for themselves.
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

    /// The same, unless nothing has been written in it: then it has never been.
    pub(super) fn close_unless_empty(&mut self, open: Open) {
        if self.bytes.len() > open.content {
            return self.close(open);
        }
        self.depth -= 1;
        self.bytes.truncate(open.field);
    }
}
