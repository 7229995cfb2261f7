//! Notes about replaced databases: a small file beside each one, for later diagnosis.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::state;
use crate::system::bounded;

/// The largest note, in bytes.
const MAXIMUM: u64 = 4096;

/// The suffix of a note, after the name of the file that it describes.
const SUFFIX: &str = ".note";

/// A damaged database and the result of its replacement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// The kind of database: the store or the ledger.
    pub name: String,
    /// Where the damaged file is now.
    pub aside: PathBuf,
    /// The number of rows that were carried over.
    pub rows: u64,
    /// Whether these are all rows.
    pub is_whole: bool,
}

impl Replaced {
    /// The message for the user, in one line.
    pub fn line(&self) -> String {
        let Self { name, aside, .. } = self;
        let place = aside.display();
        format!("the {name} was damaged and was replaced: {}; the damaged file is `{place}`", self.outcome())
    }

    /// What was carried over, in words.
    pub fn outcome(&self) -> String {
        match (self.rows, self.is_whole) {
            (0, _) => "nothing could be read".to_owned(),
            (rows, true) => format!("all {rows} rows were carried over"),
            (1, false) => "1 row was carried over; others could not be read".to_owned(),
            (rows, false) => format!("{rows} rows were carried over; others could not be read"),
        }
    }

    /// Writes the note.
    pub(super) fn write(&self) -> io::Result<()> {
        state::write(&path(&self.aside), &serde_json::to_vec(self)?)
    }

    /// Removes the damaged file, and all files that belong to it.
    pub(super) fn remove(&self) {
        for suffix in ["", "-wal", "-shm", SUFFIX] {
            // A file that remains is removed together with the next one.
            drop(std::fs::remove_file(with_suffix(&self.aside, suffix)));
        }
    }
}

fn path(aside: &Path) -> PathBuf {
    with_suffix(aside, SUFFIX)
}

/// A path with a suffix after its last component.
pub(in crate::store) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// The replaced databases in a directory, the oldest first.
pub fn notes(directory: &Path) -> Vec<Replaced> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> =
        entries.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(SUFFIX))).collect();
    paths.sort();
    let read = |path: PathBuf| serde_json::from_slice(&bounded::read(&path, MAXIMUM).ok()?).ok();
    paths.into_iter().filter_map(read).collect()
}
