//! Records what `ccrun` has written into other programs' settings, how those were before, and the link that they use.
//!
//! A record is written before the file that it describes and deleted after it. If the process is interrupted in
//! between, no file has anything from `ccrun` without a record.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use serde::{Deserialize, Serialize};

use crate::state;
use crate::system::bounded;
use crate::wiring::entry::Piece;

/// The name of a link to the binary that stands for `ccrun wrap`, for settings that accept only a path.
pub const LINK: &str = "ccrun-wrap";

/// The maximum size of a record or a backup, in bytes.
const MAXIMUM_SIZE: u64 = 32 << 20;

/// The program that the settings belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// An editor's.
    Code,
    /// Claude Code's own.
    Claude,
    /// The status line in Claude Code's own.
    StatusLine,
}

impl Target {
    /// What makes a change take effect.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Code => "reload the editor's windows",
            Self::Claude | Self::StatusLine => "it applies to new sessions",
        }
    }

    /// The beginning of its records' names. A file may have a record of each.
    fn prefix(self) -> &'static str {
        match self {
            Self::Code | Self::Claude => "settings",
            Self::StatusLine => "statusline",
        }
    }
}

/// What is wired in a file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// The program that it belongs to.
    pub target: Target,
    /// Its path without links.
    pub path: PathBuf,
    /// Whether it existed before.
    pub existed: bool,
    /// What was written, in order.
    pub pieces: Vec<Piece>,
    /// The SHA-256 of the file after the change.
    after: String,
}

impl Record {
    /// A record of a file that is about to be written.
    pub fn new(target: Target, path: PathBuf, existed: bool, pieces: Vec<Piece>, after: &[u8]) -> Self {
        Self { target, path, existed, pieces, after: hash(after) }
    }

    /// Whether a file is as `ccrun` left it.
    pub fn left(&self, bytes: &[u8]) -> bool {
        self.after == hash(bytes)
    }
}

/// The records of a user.
#[derive(Debug)]
pub struct Records {
    directory: PathBuf,
    /// Held for the lifetime of the value, or `None` for reading.
    _lock: Option<File>,
}

impl Records {
    /// The records in a directory, for reading.
    pub fn look(directory: PathBuf) -> Self {
        Self { directory, _lock: None }
    }

    /// The records in a directory, which is created if needed, for a change. Waits for other changes.
    pub fn open(directory: PathBuf) -> Result<Self> {
        let lock = || -> Result<File> {
            state::private_directory(&directory)?;
            let file = File::options().create(true).truncate(false).write(true).open(directory.join("lock"))?;
            file.lock()?;
            Ok(file)
        };
        let lock = lock().with_context(|| format!("cannot use `{}`", directory.display()))?;
        Ok(Self { directory, _lock: Some(lock) })
    }

    /// The wired files of a program.
    pub fn all(&self, target: Target) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten().map(|entry| entry.path());
        let records = entries.filter(|path| path.extension().is_some_and(|end| end == "record"));
        let records = records.filter_map(|path| read(&path)).filter(|record| record.target == target);
        let mut paths: Vec<_> = records.map(|record| record.path).collect();
        paths.sort();
        paths
    }

    /// The record of a file for a program.
    pub fn of(&self, path: &Path, target: Target) -> Option<Record> {
        read(&self.named(path, target, "record")).filter(|record| record.path == path && record.target == target)
    }

    /// The content of a file before it was wired.
    pub fn before(&self, record: &Record) -> Result<Vec<u8>> {
        let path = self.backup(&record.path, record.target);
        bounded::read(&path, MAXIMUM_SIZE).with_context(|| format!("cannot read `{}`", path.display()))
    }

    /// The path of that copy.
    pub fn backup(&self, path: &Path, target: Target) -> PathBuf {
        self.named(path, target, "before")
    }

    /// Records what a file is about to become, and what it was.
    pub fn keep(&self, record: &Record, before: &[u8]) -> Result<()> {
        let write = || -> Result<()> {
            state::write(&self.backup(&record.path, record.target), before)?;
            let path = self.named(&record.path, record.target, "record");
            Ok(state::write(&path, &serde_json::to_vec_pretty(record)?)?)
        };
        write().with_context(|| format!("cannot write to `{}`", self.directory.display()))
    }

    /// Deletes the record of a file.
    pub fn forget(&self, path: &Path, target: Target) -> Result<()> {
        for path in [self.named(path, target, "record"), self.backup(path, target)] {
            match state::remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove `{}`", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The path of the link.
    pub fn link(&self) -> PathBuf {
        self.directory.join(LINK)
    }

    /// Points the link to a program.
    pub fn set_link(&self, program: &Path) -> Result<()> {
        let set = || -> io::Result<()> {
            if fs::read_link(self.link()).is_ok_and(|there| there == program) {
                return Ok(());
            }
            // An editor may start it at any moment.
            let directory = tempfile::tempdir_in(&self.directory)?;
            let new = directory.path().join(LINK);
            symlink(program, &new)?;
            fs::rename(new, self.link())?;
            state::sync_entry(&self.link())
        };
        set().with_context(|| format!("cannot create the link `{}`", self.link().display()))
    }

    /// Removes the link.
    pub fn remove_link(&self) {
        // A leftover link is harmless.
        drop(fs::remove_file(self.link()));
    }

    fn named(&self, path: &Path, target: Target, end: &str) -> PathBuf {
        let hash = hash(path.as_os_str().as_bytes());
        self.directory.join(format!("{}-{}.{end}", target.prefix(), &hash[..16]))
    }
}

/// An unreadable record counts as none.
fn read(path: &Path) -> Option<Record> {
    serde_json::from_slice(&bounded::read(path, MAXIMUM_SIZE).ok()?).ok()
}

fn hash(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, bytes))
}
