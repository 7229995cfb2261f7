//! Reads a session's log from a position on.

use std::io;

use bytes::Bytes;
use memchr::memmem;

use super::frame::{ALIGN, HEADER, Header, MAGIC, aligned, u32_at};
use super::segment::Segment;
use super::takeover::has_taken_over;
use super::{File, Files, Frame, Position, segments};

/// How much is read at once to look at a header, in bytes: enough for several small frames.
const GLANCE: usize = 1 << 10;

/// How much is read at once to search for a header, in bytes.
const WINDOW: usize = 16 << 10;

/// How far a log is known to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Nothing more is written to it: the reader holds the session's lock.
    Ended,
    /// A worker may still write to it.
    Live,
    /// This worker writes to it, and its log is on the disk up to this position.
    Durable(Position),
}

/// An item that a reader finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A frame.
    Frame(Frame),
    /// One or several acknowledged frames that cannot be read any more.
    Damaged {
        /// Where the log continues.
        end: Position,
    },
}

/// Reads the frames of a session in order.
pub struct Reader<S: Files> {
    files: S,
    session: String,
    bound: Bound,
    /// The remaining segments, including the open one.
    segments: Vec<(u32, u32)>,
    open: Option<Opened<S::File>>,
    position: Position,
}

/// A segment that is being read.
struct Opened<F> {
    segment: Segment<F>,
    /// The offset up to which frames are known to have been acknowledged.
    proof: u64,
    /// The bytes that were read last to look at headers, and their offset.
    window: (u64, Vec<u8>),
}

impl<S: Files> Reader<S> {
    /// A reader of the log from a position on. A missing segment is passed over.
    pub fn open(files: &S, session: &str, from: Position, bound: Bound) -> io::Result<Self> {
        let mut segments = segments(files, session)?;
        segments.retain(|segment| *segment >= from.segment());
        Ok(Self { files: files.clone(), session: session.to_owned(), bound, segments, open: None, position: from })
    }

    /// Where the next frame is searched for.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Looks for segments that were started since the reader was opened, and for additions to the current one. The
    /// current one is read to its end even if it has been removed.
    pub fn look_again(&mut self) -> io::Result<()> {
        let current = self.position.segment();
        let mut segments = segments(&self.files, &self.session)?;
        segments.retain(|segment| *segment >= current);
        if let Some(open) = &mut self.open {
            open.window = (0, Vec::new());
            let is_there = segments.first() == Some(&current);
            if open.segment.id == current && !is_there {
                segments.insert(0, current);
            }
            // Its beginning may not have been written yet when it was opened.
            if is_there && open.segment.row.is_none() && self.position == open.segment.start() {
                self.open = None;
            }
        }
        self.segments = segments;
        Ok(())
    }

    /// The row at the beginning of the current segment.
    pub fn row(&self) -> Option<&[u8]> {
        self.open.as_ref()?.segment.row.as_deref()
    }

    /// The next frame; `None` if there is none yet.
    #[expect(clippy::should_implement_trait, reason = "an error ends no iteration")]
    pub fn next(&mut self) -> io::Result<Option<Found>> {
        while self.enter()? {
            let is_finished = self.is_finished()?;
            let limit = self.limit();
            let Some(open) = &mut self.open else { return Ok(None) };
            let at = self.position;
            if at.offset >= limit {
                return Ok(None);
            }
            let found = open.frame(at)?.filter(|frame| frame.end.offset <= limit);
            if let Some(frame) = found {
                let is_whole = frame.end.offset <= open.proof || open.is_sound(&frame)?;
                if !is_whole && !is_finished {
                    return Ok(None);
                }
                self.position = frame.end;
                if is_whole && !frame.header.is_closing() {
                    return Ok(Some(Found::Frame(frame)));
                }
                continue;
            }
            let was_acknowledged = at.offset < open.proof;
            if !is_finished && !was_acknowledged {
                return Ok(None);
            }
            match open.find(at.offset + ALIGN)?.filter(|offset| *offset < limit) {
                Some(offset) => self.position = at.at(offset),
                None if limit < u64::MAX => self.position = at.at(limit),
                None if !self.leave() => return Ok(None),
                None => {}
            }
            if was_acknowledged {
                return Ok(Some(Found::Damaged { end: self.position }));
            }
        }
        Ok(None)
    }

    /// A frame's parts: the ledger's and the request. `None` if they are damaged, or the segment is gone.
    pub fn parts(&mut self, frame: &Frame) -> io::Result<Option<(Bytes, Bytes)>> {
        if self.open.as_ref().is_none_or(|open| open.segment.id != frame.position.segment()) {
            let Some(open) = self.opened(frame.position.segment())? else { return Ok(None) };
            self.open = Some(open);
        }
        self.open.as_ref().map_or(Ok(None), |open| open.parts(frame))
    }

    /// Opens the segment of the position, or the next one that exists.
    fn enter(&mut self) -> io::Result<bool> {
        loop {
            let Some(&id) = self.segments.first() else { return Ok(false) };
            if id < self.position.segment() {
                self.segments.remove(0);
                continue;
            }
            if let Bound::Durable(durable) = self.bound
                && id > durable.segment()
            {
                return Ok(false);
            }
            if self.open.as_ref().is_none_or(|open| open.segment.id != id) {
                let Some(open) = self.opened(id)? else {
                    self.segments.remove(0);
                    continue;
                };
                self.open = Some(open);
            }
            let start = self.open.as_ref().map_or(self.position, |open| open.segment.start());
            self.position = self.position.max(start);
            return Ok(true);
        }
    }

    fn opened(&self, id: (u32, u32)) -> io::Result<Option<Opened<S::File>>> {
        let Some(segment) = Segment::open(&self.files, &self.session, id)? else { return Ok(None) };
        let mut open = Opened { segment, proof: 0, window: (0, Vec::new()) };
        open.proof = match self.bound {
            // This worker knows what it wrote.
            Bound::Durable(durable) if durable.segment() == id => durable.offset,
            _ => open.proven()?,
        };
        Ok(Some(open))
    }

    /// Goes on to the next segment; returns false if there is none.
    fn leave(&mut self) -> bool {
        let Some(next) = self.segments.get(1) else { return false };
        self.position = Position::of_segment(next.0, next.1);
        true
    }

    /// The offset up to which the segment may be read.
    fn limit(&self) -> u64 {
        match self.bound {
            Bound::Durable(durable) if durable.segment() == self.position.segment() => durable.offset,
            _ => u64::MAX,
        }
    }

    /// Whether the segment is closed to writing. An earlier worker may still write until a later one has taken over.
    fn is_finished(&self) -> io::Result<bool> {
        match self.bound {
            Bound::Ended => Ok(true),
            Bound::Durable(durable) if has_taken_over(durable) => Ok(self.position.segment() < durable.segment()),
            Bound::Durable(_) | Bound::Live => {
                // A segment that was prepared in advance is empty.
                for id in self.segments.iter().skip(1) {
                    if let Some(segment) = Segment::open(&self.files, &self.session, *id)? {
                        let start = segment.start();
                        let mut next = Opened { segment, proof: 0, window: (0, Vec::new()) };
                        if next.frame(start)?.is_some() {
                            return Ok(true);
                        }
                    }
                }
                Ok(false)
            }
        }
    }
}

impl<F: File> Opened<F> {
    /// The bytes at an offset, as many as exist.
    fn bytes(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let (begin, window) = &self.window;
        let within =
            usize::try_from(offset.wrapping_sub(*begin)).ok().filter(|at| at.saturating_add(length) <= window.len());
        let at = if let Some(at) = within {
            at
        } else {
            let mut window = std::mem::take(&mut self.window.1);
            window.resize(length.max(GLANCE), 0);
            let read = self.segment.file.read_at(&mut window, offset)?;
            window.truncate(read);
            self.window = (offset, window);
            0
        };
        let window = &self.window.1;
        Ok(&window[at..window.len().min(at + length)])
    }

    /// The frame at a position, if its header is valid.
    fn frame(&mut self, position: Position) -> io::Result<Option<Frame>> {
        let seed = self.segment.seed;
        let Ok(bytes) = self.bytes(position.offset, HEADER)?.try_into() else { return Ok(None) };
        let header = Header::decode(bytes, seed, position.offset);
        Ok(header.map(|header| {
            let end = position.at(position.offset.saturating_add(header.frame_length()));
            Frame { header, position, end }
        }))
    }

    /// The first valid header from an offset on.
    fn find(&mut self, from: u64) -> io::Result<Option<u64>> {
        let mut offset = aligned(from);
        loop {
            let bytes = self.bytes(offset, WINDOW)?;
            if bytes.len() < HEADER {
                return Ok(None);
            }
            let Some(candidate) = memmem::find(bytes, &MAGIC) else {
                // The last bytes may be the beginning of a header.
                offset += (bytes.len() - MAGIC.len() + 1) as u64 / ALIGN * ALIGN;
                continue;
            };
            let at = offset + candidate as u64;
            offset = aligned(at);
            if offset != at {
                continue;
            }
            let (worker, number) = self.segment.id;
            if self.frame(Position { worker, number, offset })?.is_some() {
                return Ok(Some(offset));
            }
            offset += ALIGN;
        }
    }

    /// The offset up to which the segment's headers prove that it was synced.
    fn proven(&mut self) -> io::Result<u64> {
        let (mut at, mut proof) = (self.segment.start(), 0);
        loop {
            match self.frame(at)? {
                Some(frame) => {
                    proof = proof.max(frame.header.durable);
                    at = frame.end;
                }
                None => match self.find(at.offset + ALIGN)? {
                    Some(offset) => at = at.at(offset),
                    None => return Ok(proof),
                },
            }
        }
    }

    fn is_sound(&self, frame: &Frame) -> io::Result<bool> {
        Ok(self.parts(frame)?.is_some())
    }

    fn parts(&self, frame: &Frame) -> io::Result<Option<(Bytes, Bytes)>> {
        let (ledger, body) = (frame.header.ledger as usize, frame.header.body as usize);
        let mut bytes = vec![0; ledger + body + 4];
        let offset = frame.position.offset;
        if self.segment.file.read_at(&mut bytes, offset + HEADER as u64)? < bytes.len() {
            return Ok(None);
        }
        let crc = self.segment.seed.crc(offset, &[&bytes[..ledger + body]]);
        if u32_at(&bytes, ledger + body) != Some(crc) {
            return Ok(None);
        }
        bytes.truncate(ledger + body);
        let mut bytes = Bytes::from(bytes);
        let ledger = bytes.split_to(ledger);
        Ok(Some((ledger, bytes)))
    }
}
