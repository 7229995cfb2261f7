//! Entries on their way into a segment: each becomes a frame, and a group of small ones is one write.

use std::io;

use super::File;
use super::frame::{Header, Seed, frame_length};
use crate::otlp::Signal;

/// The size in bytes from which a part is written from its own memory instead of being copied beside the others.
const LARGE: usize = 256 << 10;

/// An entry to append.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The request's signal.
    pub signal: Signal,
    /// When it was received, in Unix milliseconds.
    pub time: i64,
    /// How many log records, data points or spans it holds.
    pub records: u32,
    /// How many more records the profile refused.
    pub refused: u32,
    /// The part for the ledger only.
    pub ledger: &'a [u8],
    /// The rewritten request.
    pub body: &'a [u8],
}

impl Entry<'_> {
    /// The entry that closes a segment.
    pub(super) const CLOSING: Self =
        Self { signal: Signal::Metrics, time: 0, records: 0, refused: 0, ledger: b"", body: b"" };

    /// The length of its frame, in bytes.
    pub(super) fn length(&self) -> u64 {
        frame_length(self.ledger.len() as u64, self.body.len() as u64)
    }

    fn header(&self, durable: u64) -> io::Result<Header> {
        let length = |part: &[u8]| {
            u32::try_from(part.len()).map_err(|_| io::Error::new(io::ErrorKind::FileTooLarge, "a request of 4 GiB"))
        };
        let (ledger, body) = (length(self.ledger)?, length(self.body)?);
        let Self { signal, time, records, refused, .. } = *self;
        Ok(Header { signal, time, records, refused, ledger, body, durable })
    }
}

/// Frames on their way into a file: small ones are joined, so that a group is one write.
pub(super) struct Frames<'a, F> {
    file: &'a F,
    seed: Seed,
    /// The offset for `bytes`.
    at: u64,
    bytes: Vec<u8>,
}

impl<'a, F: File> Frames<'a, F> {
    /// Writes to a file from this offset on. `group` is what will be pushed, to reserve memory for it at once.
    pub(super) fn new(file: &'a F, seed: Seed, at: u64, group: &[Entry<'_>]) -> Self {
        let together = group.iter().filter(|entry| entry.body.len() < LARGE).map(Entry::length).sum::<u64>();
        let bytes = Vec::with_capacity(usize::try_from(together).unwrap_or_default());
        Self { file, seed, at, bytes }
    }

    /// Adds a frame and returns where it ends.
    pub(super) fn push(&mut self, entry: &Entry<'_>, durable: u64) -> io::Result<u64> {
        let offset = self.at + self.bytes.len() as u64;
        let header = entry.header(durable)?;
        self.bytes.extend_from_slice(&header.encode(self.seed, offset));
        self.bytes.extend_from_slice(entry.ledger);
        if entry.body.len() >= LARGE {
            self.flush()?;
            self.file.write_at(entry.body, self.at)?;
            self.at += entry.body.len() as u64;
        } else {
            self.bytes.extend_from_slice(entry.body);
        }
        let crc = self.seed.crc(offset, &[entry.ledger, entry.body]);
        self.bytes.extend_from_slice(&crc.to_le_bytes());
        let end = offset + entry.length();
        self.bytes.resize(usize::try_from(end - self.at).unwrap_or(self.bytes.len()), 0);
        Ok(end)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.bytes.is_empty() {
            self.file.write_at(&self.bytes, self.at)?;
            self.at += self.bytes.len() as u64;
            self.bytes.clear();
        }
        Ok(())
    }

    /// Writes what is left, and returns where the last frame ends.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.flush()?;
        Ok(self.at)
    }
}
