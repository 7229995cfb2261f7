//! The writer of one worker: appends frames, and reports which are on the disk.

use std::io;

use super::entry::{Entry, Frames};
use super::frame::Seed;
use super::prepare::{Made, Place};
use super::segment::{beginning, name};
use super::takeover::{Standing, is_taken_over, seal_earlier, taken_over};
use super::{File, Files, Position};

/// The size of a worker's first segment, in bytes.
const FIRST: u64 = 64 << 10;

/// The size of its largest segment, in bytes. A request that does not fit gets a segment of its own.
const LARGEST: u64 = 4 << 20;

/// The factor by which each next segment is larger.
const GROWTH: u64 = 4;

/// How often a group is written again because its file was unlinked in the meantime.
const UNLINKED: usize = 3;

/// The segment that is being written.
struct Open<F> {
    made: Made<F>,
    /// The offset up to which it is written and synced.
    durable: u64,
}

impl<F: File> Open<F> {
    fn standing(&self) -> io::Result<Standing> {
        let standing = self.made.file.standing()?;
        Ok(if standing == Standing::Sealed && !self.made.is_sealable { Standing::Good } else { standing })
    }

    /// Writes the frame that closes the segment, and returns where the segment ends. It is not synced: it reveals
    /// damage to acknowledged frames, and acknowledges nothing.
    fn finish(&self) -> u64 {
        let (at, seed) = (self.durable, self.made.seed);
        if at <= self.made.first {
            return at;
        }
        let mut frames = Frames::new(&self.made.file, seed, at, &[Entry::CLOSING]);
        frames.push(&Entry::CLOSING, at).and_then(|_| frames.finish()).unwrap_or(at)
    }
}

/// Appends to a session's log.
pub struct Writer<S: Files> {
    place: Place<S>,
    open: Option<Open<S::File>>,
    /// The prepared segment, which is used next.
    spare: Option<Made<S::File>>,
    /// The number of the last opened segment.
    last: u32,
    /// The number of the next segment to make.
    number: u32,
    /// Its size.
    size: u64,
    succession: Succession,
}

/// A worker's relation to those before and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Succession {
    /// Earlier workers may still write.
    Joining,
    /// Only this worker writes.
    Current,
    /// Another worker has taken over.
    Over,
}

impl<S: Files> Writer<S> {
    /// A writer of the segments of one worker of a session, each of which begins with this row. No segment is made
    /// before the first append.
    pub fn new(files: S, session: &str, worker: u32, row: Vec<u8>) -> Self {
        let place = Place { files, session: session.to_owned(), worker, row };
        let succession = if worker <= 1 { Succession::Current } else { Succession::Joining };
        Self { place, open: None, spare: None, last: 0, number: 1, size: FIRST, succession }
    }

    /// Appends a group, and returns for each entry where it ends, once it is on the disk. A failed entry is in no
    /// segment that is written to again. Whether it is found there later is unknown.
    pub fn append(&mut self, group: &[Entry<'_>]) -> Vec<io::Result<Position>> {
        let mut results = Vec::with_capacity(group.len());
        while let Some(first) = group.get(results.len()) {
            let rest = &group[results.len()..];
            let appended = self.ready(first.length()).and_then(|free| {
                let mut left = free;
                let fits = |entry: &&Entry<'_>| {
                    let fits = entry.length() <= left;
                    left = left.saturating_sub(entry.length());
                    fits
                };
                let some = &rest[..rest.iter().take_while(fits).count().max(1)];
                self.write(some)
            });
            match appended {
                Ok(ends) => results.extend(ends.into_iter().map(Ok)),
                Err(error) => {
                    // All entries of a group fail together, and the next group begins elsewhere.
                    results.extend(rest.iter().map(|_| Err(copy(&error))));
                }
            }
        }
        results
    }

    /// Makes sure that a segment with space for this many bytes is open, and returns its free space.
    fn ready(&mut self, needed: u64) -> io::Result<u64> {
        if let Some(open) = &self.open {
            let free = open.made.size.saturating_sub(open.durable);
            if free >= needed {
                return Ok(free);
            }
        }
        self.close();
        let made = match self.spare.take() {
            Some(spare) if spare.size.saturating_sub(spare.first) >= needed => spare,
            small => {
                if let Some(spare) = small {
                    self.discard(&spare);
                }
                self.make(needed)?
            }
        };
        if let Err(error) = self.succeed() {
            self.discard(&made);
            return Err(error);
        }
        self.last = made.number;
        let (durable, free) = (made.first, made.size.saturating_sub(made.first));
        self.open = Some(Open { made, durable });
        Ok(free)
    }

    /// Takes over from earlier workers before the first frame, and yields to a later one. This worker has a segment by
    /// then.
    fn succeed(&mut self) -> io::Result<()> {
        let Place { files, session, worker, .. } = &self.place;
        if self.succession == Succession::Over || is_taken_over(files, session, *worker)? {
            self.succession = Succession::Over;
            return Err(taken_over());
        }
        if self.succession == Succession::Joining {
            seal_earlier(files, session, *worker)?;
            self.succession = Succession::Current;
        }
        Ok(())
    }

    /// Whether another worker has taken over: nothing can be appended any more.
    pub fn is_over(&self) -> bool {
        self.succession == Succession::Over
    }

    /// Makes a segment of the next size: a smaller one if the disk has no space for it, and one of its own for a larger
    /// group.
    fn make(&mut self, needed: u64) -> io::Result<Made<S::File>> {
        let needed = needed + beginning(Seed::new("", (0, 0)), &self.place.row).len() as u64;
        let mut size = self.size.max(needed);
        loop {
            let number = self.number;
            self.number += 1;
            match self.place.make(number, size) {
                Ok(made) => {
                    self.size = self.next_size();
                    return Ok(made);
                }
                Err(error) if size > needed.max(FIRST) && is_full(&error) => size = (size / GROWTH).max(needed),
                Err(error) => return Err(error),
            }
        }
    }

    fn next_size(&self) -> u64 {
        (self.size * GROWTH).min(LARGEST)
    }

    /// Writes frames and syncs them. If the file was unlinked, writes them again in another segment and another
    /// directory.
    fn write(&mut self, group: &[Entry<'_>]) -> io::Result<Vec<Position>> {
        for _ in 0..UNLINKED {
            let ends = self.write_here(group);
            let standing = match (&ends, &self.open) {
                (Ok(_), Some(open)) => open.standing(),
                _ => Ok(Standing::Good),
            };
            match (ends, standing) {
                (Ok(ends), Ok(Standing::Good)) => return Ok(ends),
                (Ok(_), Ok(Standing::Sealed)) => {
                    self.open = None;
                    self.succession = Succession::Over;
                    return Err(taken_over());
                }
                (Ok(_), Ok(Standing::Unlinked)) => {
                    // The prepared segment was removed with it.
                    (self.open, self.spare) = (None, None);
                    self.ready(group.iter().map(Entry::length).sum())?;
                }
                (Err(error), _) | (_, Err(error)) => {
                    self.abandon();
                    return Err(error);
                }
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "the spool is removed again and again"))
    }

    fn write_here(&mut self, group: &[Entry<'_>]) -> io::Result<Vec<Position>> {
        let Some(open) = &mut self.open else { return Err(io::ErrorKind::NotFound.into()) };
        let (seed, durable) = (open.made.seed, open.durable);
        let begin = Position::of_segment(self.place.worker, open.made.number).at(durable);
        let mut frames = Frames::new(&open.made.file, seed, durable, group);
        let mut ends = Vec::with_capacity(group.len());
        for entry in group {
            ends.push(begin.at(frames.push(entry, durable)?));
        }
        let end = frames.finish()?;
        open.made.file.sync()?;
        open.durable = end;
        Ok(ends)
    }

    /// Stops writing to a segment that could not be written or synced. Its acknowledged frames stay. The rest is cut
    /// off if the disk allows that.
    fn abandon(&mut self) {
        if let Some(open) = self.open.take() {
            drop(open.made.file.truncate(open.durable));
        }
    }

    /// Finishes the current segment and cuts it to its length. Later appends go into another one.
    pub fn close(&mut self) {
        if let Some(open) = self.open.take() {
            // A segment that keeps its full length is read all the same.
            drop(open.made.file.truncate(open.finish()));
        }
    }

    /// Ends the log: cuts the current segment and removes the prepared one.
    pub fn end(&mut self) {
        self.close();
        if let Some(spare) = self.spare.take() {
            self.discard(&spare);
        }
    }

    fn discard(&self, spare: &Made<S::File>) {
        drop(self.place.files.remove(&self.place.session, &name(self.place.worker, spare.number)));
    }

    /// The number of bytes that fit into the current segment.
    pub(super) fn free(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.made.size.saturating_sub(open.durable))
    }

    /// The segment to prepare in advance, once half of the current one is written.
    pub(super) fn wanted(&mut self) -> Option<(Place<S>, u32, u64)> {
        let open = self.open.as_ref().filter(|_| self.spare.is_none())?;
        if open.durable < open.made.size / 2 {
            return None;
        }
        let (number, size) = (self.number, self.size);
        self.number += 1;
        self.size = self.next_size();
        Some((self.place.clone(), number, size))
    }

    /// Takes a prepared segment, unless the log has gone on without it.
    pub(super) fn offer(&mut self, made: Made<S::File>) {
        if made.number > self.last {
            self.spare = Some(made);
        } else {
            self.discard(&made);
        }
    }

    /// The position before all frames of this worker.
    pub(super) fn begin(&self) -> Position {
        Position::of_segment(self.place.worker, 0)
    }

    /// The position up to which everything is on the disk.
    pub fn durable(&self) -> Option<Position> {
        let open = self.open.as_ref()?;
        Some(Position::of_segment(self.place.worker, open.made.number).at(open.durable))
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A copy of an error, for each of several callers.
pub(super) fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
