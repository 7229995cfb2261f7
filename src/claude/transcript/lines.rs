//! Lines of a file, in bounded memory.

use std::io::{self, Read};

/// The longest line that is read whole, in bytes. Claude Code's longest hold a pasted image or two.
const LONGEST: usize = 16 << 20;

/// How much is read at once, in bytes.
const READ: usize = 256 << 10;

/// Reads lines. One that is longer than the limit is passed over in constant memory, and counted.
pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    /// What of the buffer is filled and not given yet.
    filled: std::ops::Range<usize>,
    /// What of it is known to hold no line's end.
    searched: usize,
    skips: bool,
    /// How many lines were too long.
    pub too_long: u64,
    /// How many bytes were read.
    pub bytes: u64,
}

impl<R: Read> Lines<R> {
    /// Reads from the start of `reader`. `buffer` is one that an earlier reader has [left](Self::into_buffer), or empty.
    pub fn new(reader: R, mut buffer: Vec<u8>) -> Self {
        buffer.resize(READ, 0);
        Self { reader, buffer, filled: 0..0, searched: 0, skips: false, too_long: 0, bytes: 0 }
    }

    /// The buffer, for the next file: a new one costs as much as reading a short file.
    pub fn into_buffer(mut self) -> Vec<u8> {
        self.buffer.truncate(READ);
        self.buffer.shrink_to(READ);
        self.buffer
    }

    /// The next line, without its end. The last one may have none.
    #[expect(clippy::should_implement_trait, reason = "a line borrows from the reader")]
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            let unsearched = self.filled.start + self.searched..self.filled.end;
            if let Some(end) = memchr::memchr(b'\n', &self.buffer[unsearched.clone()]) {
                let line = self.filled.start..unsearched.start + end;
                self.filled.start = line.end + 1;
                self.searched = 0;
                if std::mem::take(&mut self.skips) {
                    continue;
                }
                return Ok(Some(&self.buffer[line]));
            }
            self.searched = self.filled.len();
            if self.fill()? == 0 {
                let line = std::mem::take(&mut self.filled);
                self.searched = 0;
                let is_whole = !std::mem::take(&mut self.skips);
                return Ok((is_whole && !line.is_empty()).then(|| &self.buffer[line]));
            }
        }
    }

    /// Reads more, and says how much.
    fn fill(&mut self) -> io::Result<usize> {
        if self.skips || self.filled.len() >= LONGEST {
            self.too_long += u64::from(!self.skips);
            self.skips = true;
            self.filled = 0..0;
            self.searched = 0;
        }
        self.buffer.copy_within(self.filled.clone(), 0);
        self.filled = 0..self.filled.len();
        if self.filled.end + READ / 2 > self.buffer.len() {
            self.buffer.resize((self.buffer.len() * 2).min(LONGEST + READ), 0);
        }
        loop {
            match self.reader.read(&mut self.buffer[self.filled.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => {
                    let read = read?;
                    self.filled.end += read;
                    self.bytes += read as u64;
                    return Ok(read);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives a few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn all(reader: impl Read) -> (Vec<Vec<u8>>, u64) {
        let mut lines = Lines::new(reader, Vec::new());
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(line.to_vec());
        }
        (all, lines.too_long)
    }

    #[test]
    fn a_line_of_two_gigabytes_is_skipped_in_constant_memory() {
        let long = io::repeat(b'x').take(2 << 30);
        let mut lines = Lines::new(b"first\n".chain(long).chain(&b"\nlast"[..]), Vec::new());
        assert_eq!(lines.next().unwrap(), Some(&b"first"[..]));
        assert_eq!(lines.next().unwrap(), Some(&b"last"[..]));
        assert_eq!(lines.next().unwrap(), None);
        assert_eq!(lines.too_long, 1);
        assert!(lines.buffer.len() <= LONGEST + READ, "{}", lines.buffer.len());
        assert_eq!(lines.bytes, (2 << 30) + 11);
    }

    #[test]
    fn only_lines_within_the_limit_are_read() {
        let long = io::repeat(b'x').take(LONGEST as u64 + 1);
        assert_eq!(all(b"a\n".chain(long)), (vec![b"a".to_vec()], 1));
        let fits = io::repeat(b'x').take(LONGEST as u64 / 2);
        assert_eq!(all(fits.chain(&b"\n"[..])).0[0].len(), LONGEST / 2);
    }

    proptest! {
        #[test]
        fn lines_are_split_as_by_the_standard_library(text in "[a\n]{0,200}", step in 1..40_usize) {
            let expected: Vec<_> = text.split_terminator('\n').map(|line| line.as_bytes().to_vec()).collect();
            prop_assert_eq!(all(Slow(text.as_bytes(), step)).0, expected);
        }
    }
}
