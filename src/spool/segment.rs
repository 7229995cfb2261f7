//! Segments: their names and their beginning.

use std::io;

use super::frame::{Seed, aligned, u32_at};
use super::{File, Files, Position};

/// The first bytes of a segment.
const MAGIC: [u8; 8] = *b"ccrunlog";

/// The version of the format.
const VERSION: u32 = 1;

/// The length of the part before the row, in bytes.
const BEFORE: usize = 16;

/// The longest row, in bytes: a session's selection and a hundred destinations are far smaller.
const MAXIMUM_ROW: u32 = 1 << 20;

/// A segment's name in its session's directory.
pub fn name(worker: u32, number: u32) -> String {
    format!("{worker}-{number}")
}

fn parse(name: &str) -> Option<(u32, u32)> {
    let (worker, number) = name.split_once('-')?;
    let parsed = (worker.parse().ok()?, number.parse().ok()?);
    // A number has only one valid spelling.
    (self::name(parsed.0, parsed.1) == name).then_some(parsed)
}

/// The segments of a session, in the order in which they were written.
pub fn segments(files: &impl Files, session: &str) -> io::Result<Vec<(u32, u32)>> {
    let mut found: Vec<_> = files.list(session)?.iter().filter_map(|name| parse(name)).collect();
    found.sort_unstable();
    Ok(found)
}

/// The beginning of a segment, with the row of its session.
pub(super) fn beginning(seed: Seed, row: &[u8]) -> Vec<u8> {
    let length = u32::try_from(row.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(BEFORE + row.len() + 12);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(row);
    let crc = seed.crc(0, &[&bytes]);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.resize(usize::try_from(aligned(bytes.len() as u64)).unwrap_or(bytes.len()), 0);
    bytes
}

/// A segment, opened for reading.
#[derive(Debug)]
pub struct Segment<F> {
    pub(super) file: F,
    pub(super) seed: Seed,
    /// Worker and number.
    pub id: (u32, u32),
    /// Where its first frame begins, or is searched for.
    first: u64,
    /// The row of its session; `None` if it cannot be read.
    pub row: Option<Vec<u8>>,
}

impl<F: File> Segment<F> {
    /// Opens a segment; `None` if it does not exist.
    pub fn open<S: Files<File = F>>(files: &S, session: &str, id: (u32, u32)) -> io::Result<Option<Self>> {
        let file = match files.open(session, &name(id.0, id.1)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let seed = Seed::new(session, id);
        let row = row(&file, seed)?;
        // Frames after a damaged beginning are still found.
        let first = row.as_ref().map_or(BEFORE as u64, |row| aligned((BEFORE + row.len() + 4) as u64));
        Ok(Some(Self { file, seed, id, first, row }))
    }

    /// Where its first frame begins.
    pub(super) fn start(&self) -> Position {
        Position::of_segment(self.id.0, self.id.1).at(self.first)
    }
}

/// The row at the beginning of a segment.
fn row(file: &impl File, seed: Seed) -> io::Result<Option<Vec<u8>>> {
    let mut before = [0; BEFORE];
    if file.read_at(&mut before, 0)? < BEFORE || before[..8] != MAGIC || u32_at(&before, 8) != Some(VERSION) {
        return Ok(None);
    }
    let Some(length) = u32_at(&before, 12).filter(|length| *length <= MAXIMUM_ROW) else { return Ok(None) };
    let mut rest = vec![0; length as usize + 4];
    if file.read_at(&mut rest, BEFORE as u64)? < rest.len() {
        return Ok(None);
    }
    let crc = u32_at(&rest, length as usize);
    rest.truncate(length as usize);
    Ok((crc == Some(seed.crc(0, &[&before, &rest]))).then_some(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_segments_are_parsed() {
        for (text, expected) in [("1-2", Some((1, 2))), ("10-3", Some((10, 3)))] {
            assert_eq!(parse(text), expected);
        }
        for text in ["", "1", "1-", "01-2", "1-2.tmp", "1-2-3", "-1-2", "+1-2", "4294967296-1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
