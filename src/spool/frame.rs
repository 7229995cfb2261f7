//! Frames as bytes. The module page of [`spool`](super) has the table.

use crc32fast::Hasher;

use super::Position;
use crate::otlp::Signal;

/// The length of a frame's header, in bytes.
pub(super) const HEADER: usize = 48;

/// The length of the CRC behind the parts.
const TRAILER: u64 = 4;

/// The first bytes of a frame.
pub(super) const MAGIC: [u8; 4] = *b"CFR1";

/// The alignment of all frames.
pub(super) const ALIGN: u64 = 8;

/// The next multiple of [`ALIGN`].
pub(super) fn aligned(offset: u64) -> u64 {
    offset.div_ceil(ALIGN).saturating_mul(ALIGN)
}

/// The seed of a segment's CRCs, with which frames of another segment are invalid here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seed(u32);

impl Seed {
    pub(super) fn new(session: &str, segment: (u32, u32)) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(session.as_bytes());
        hasher.update(&segment.0.to_le_bytes());
        hasher.update(&segment.1.to_le_bytes());
        Self(hasher.finalize())
    }

    /// The CRC of these parts at an offset.
    pub(super) fn crc(self, offset: u64, parts: &[&[u8]]) -> u32 {
        let mut hasher = Hasher::new_with_initial(self.0);
        hasher.update(&offset.to_le_bytes());
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize()
    }
}

/// A frame's description of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The request's signal.
    pub signal: Signal,
    /// When it was received, in Unix milliseconds.
    pub time: i64,
    /// How many log records, data points or spans it holds.
    pub records: u32,
    /// How many more records the profile refused.
    pub refused: u32,
    /// The length of the ledger's part, in bytes.
    pub ledger: u32,
    /// The length of the request, in bytes.
    pub body: u32,
    /// The offset up to which the segment was synced when this frame was written.
    pub durable: u64,
}

/// A frame that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its header.
    pub header: Header,
    /// Where it begins.
    pub position: Position,
    /// Where the next frame may begin.
    pub end: Position,
}

fn code(signal: Signal) -> u8 {
    match signal {
        Signal::Metrics => 0,
        Signal::Logs => 1,
        Signal::Traces => 2,
    }
}

fn signal(code: u8) -> Option<Signal> {
    Signal::ALL.into_iter().find(|signal| self::code(*signal) == code)
}

impl Header {
    /// Whether the frame is empty, which closes its segment.
    pub(super) fn is_closing(&self) -> bool {
        self.records == 0 && self.refused == 0 && self.ledger == 0 && self.body == 0
    }

    /// The bytes that the whole frame takes, including the padding before the next one.
    pub(super) fn frame_length(&self) -> u64 {
        frame_length(u64::from(self.ledger), u64::from(self.body))
    }

    /// The header's bytes at an offset.
    pub(super) fn encode(&self, seed: Seed, offset: u64) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = code(self.signal);
        bytes[8..12].copy_from_slice(&self.ledger.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.body.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.time.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.records.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.refused.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.durable.to_le_bytes());
        let crc = seed.crc(offset, &[&bytes[..44]]);
        bytes[44..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header at an offset; `None` if there is none.
    pub(super) fn decode(bytes: &[u8; HEADER], seed: Seed, offset: u64) -> Option<Self> {
        if bytes[..4] != MAGIC || seed.crc(offset, &[&bytes[..44]]) != u32_at(bytes, 44)? {
            return None;
        }
        Some(Self {
            signal: signal(bytes[4])?,
            ledger: u32_at(bytes, 8)?,
            body: u32_at(bytes, 12)?,
            time: u64_at(bytes, 16)?.cast_signed(),
            records: u32_at(bytes, 24)?,
            refused: u32_at(bytes, 28)?,
            durable: u64_at(bytes, 32)?,
        })
    }
}

/// The bytes that a frame with parts of these lengths takes.
pub(super) fn frame_length(ledger: u64, body: u64) -> u64 {
    aligned(HEADER as u64 + ledger + body + TRAILER)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        let signal = Signal::Logs;
        Header { signal, time: -7, records: 3, refused: 1, ledger: 5, body: 1000, durable: 4096 }
    }

    #[test]
    fn a_header_is_valid_only_in_its_original_place() {
        let seed = Seed::new("session", (1, 2));
        let bytes = header().encode(seed, 64);
        assert_eq!(Header::decode(&bytes, seed, 64), Some(header()));
        assert_eq!(Header::decode(&bytes, seed, 72), None, "another offset");
        for other in [Seed::new("other", (1, 2)), Seed::new("session", (2, 2)), Seed::new("session", (1, 3))] {
            assert_eq!(Header::decode(&bytes, other, 64), None, "another segment");
        }
        assert_eq!(Header::decode(&[0; HEADER], seed, 64), None);
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_detected(bit in 0..HEADER * 8) {
            let seed = Seed::new("session", (1, 2));
            let mut bytes = header().encode(seed, 64);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Header::decode(&bytes, seed, 64), None);
        }
    }
}
