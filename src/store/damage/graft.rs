//! Replaces a damaged first page, which locates all tables. It is the same in every database of a schema, except for a
//! few counts.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::store::Schema;

/// The size of a page, in bytes.
const PAGE: usize = 4096;

/// Where the list of all tables begins on the first page (`SQLite`, *Database File Format*).
const LIST: usize = 100;

/// The type of the list's first page if the list continues on other pages.
const INTERIOR: u8 = 5;

/// Writes the pages that locate all tables over those of a damaged database, which is a copy. They come from a new
/// database, whose tables are created in the same order, and therefore begin at the same pages.
pub(super) fn graft(onto: &Path, new: &Path, schema: Schema) -> rusqlite::Result<()> {
    let connection = crate::store::open(new)?;
    crate::store::create(&connection, schema)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)?;
    copy(new, onto).map_err(crate::store::disk_error)
}

fn copy(new: &Path, onto: &Path) -> io::Result<()> {
    let (new, onto) = (File::open(new)?, OpenOptions::new().write(true).open(onto)?);
    let mut first = vec![0; PAGE];
    new.read_exact_at(&mut first, 0)?;
    for page in pages_of_list(&first) {
        let mut bytes = vec![0; PAGE];
        let offset = u64::from(page.saturating_sub(1)) * PAGE as u64;
        new.read_exact_at(&mut bytes, offset)?;
        onto.write_all_at(&bytes, offset)?;
    }
    // SQLite then derives the number of pages from the file's length, and treats none of them as free.
    for at in [28, 32, 36] {
        first[at..at + 4].fill(0);
    }
    onto.write_all_at(&first, 0)
}

/// The pages below the first that list the tables.
fn pages_of_list(first: &[u8]) -> Vec<u32> {
    if first[LIST] != INTERIOR {
        return Vec::new();
    }
    let u16_at = |at: usize| usize::from(u16::from_be_bytes([first[at], first[at + 1]]));
    let u32_at = |at: usize| u32::from_be_bytes([first[at], first[at + 1], first[at + 2], first[at + 3]]);
    let cells = u16_at(LIST + 3).min((PAGE - LIST - 12) / 2);
    let children = (0..cells).map(|cell| u16_at(LIST + 12 + 2 * cell)).filter(|at| at + 4 <= PAGE).map(u32_at);
    children.chain([u32_at(LIST + 8)]).collect()
}
