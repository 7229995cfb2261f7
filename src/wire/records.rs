//! What `ccrun` has written into whose settings, how those were before, and the link by which they name it.
//!
//! A record is written before the file that it is about, and goes after it: whatever is interrupted in between, nothing
//! of ours stands anywhere without one.

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

use super::wiring::Piece;
use crate::cli::LINK;
use crate::{bounded, state};

/// How much of a record, or of what a file was before, is read, in bytes.
const MAXIMUM_SIZE: u64 = 32 << 20;

/// Whose settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// An editor's.
    Code,
    /// Claude Code's own.
    Claude,
}

impl Target {
    /// What has to be done for a change to be seen.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Code => "reload the editor's windows",
            Self::Claude => "it holds for what is started from now on",
        }
    }
}

/// What is wired in a file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// Whose it is.
    pub target: Target,
    /// Where it really is.
    pub path: PathBuf,
    /// Whether it was there before.
    pub existed: bool,
    /// What was put in, in that order.
    pub pieces: Vec<Piece>,
    /// The SHA-256 of the file as it was left.
    after: String,
}

impl Record {
    /// Of a file that is about to be left like this.
    pub fn new(target: Target, path: PathBuf, existed: bool, pieces: Vec<Piece>, after: &[u8]) -> Self {
        Self { target, path, existed, pieces, after: hash(after) }
    }

    /// Whether a file is as it was left.
    pub fn left(&self, bytes: &[u8]) -> bool {
        self.after == hash(bytes)
    }
}

/// The records of a user.
#[derive(Debug)]
pub struct Records {
    directory: PathBuf,
    /// Held as long as the value lives; none where nothing is to be written.
    _lock: Option<File>,
}

impl Records {
    /// Those in a directory, to be looked at alone.
    pub fn look(directory: PathBuf) -> Self {
        Self { directory, _lock: None }
    }

    /// Those in a directory, which is made if need be, to be changed. Waits for others that change some.
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

    /// The files of a target's in which something is wired.
    pub fn all(&self, target: Target) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten().map(|entry| entry.path());
        let records = entries.filter(|path| path.extension().is_some_and(|end| end == "record"));
        let records = records.filter_map(|path| read(&path)).filter(|record| record.target == target);
        let mut paths: Vec<_> = records.map(|record| record.path).collect();
        paths.sort();
        paths
    }

    /// That of a file.
    pub fn of(&self, path: &Path) -> Option<Record> {
        read(&self.named(path, "record")).filter(|record| record.path == path)
    }

    /// What a file was before it was wired.
    pub fn before(&self, record: &Record) -> Result<Vec<u8>> {
        let path = self.backup(&record.path);
        bounded::read(&path, MAXIMUM_SIZE).with_context(|| format!("cannot read `{}`", path.display()))
    }

    /// Where that is kept.
    pub fn backup(&self, path: &Path) -> PathBuf {
        self.named(path, "before")
    }

    /// Notes what a file is about to be, and was before.
    pub fn keep(&self, record: &Record, before: &[u8]) -> Result<()> {
        let write = || -> Result<()> {
            state::write(&self.backup(&record.path), before)?;
            Ok(state::write(&self.named(&record.path, "record"), &serde_json::to_vec_pretty(record)?)?)
        };
        write().with_context(|| format!("cannot write to `{}`", self.directory.display()))
    }

    /// Forgets a file.
    pub fn forget(&self, path: &Path) -> Result<()> {
        for path in [self.named(path, "record"), self.backup(path)] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove `{}`", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Where the link is that stands for a program.
    pub fn link(&self) -> PathBuf {
        self.directory.join(LINK)
    }

    /// Lets the link lead to a program, whatever it led to.
    pub fn set_link(&self, program: &Path) -> Result<()> {
        let set = || -> io::Result<()> {
            if fs::read_link(self.link()).is_ok_and(|there| there == program) {
                return Ok(());
            }
            // Somebody may start it at any moment.
            let directory = tempfile::tempdir_in(&self.directory)?;
            let new = directory.path().join(LINK);
            symlink(program, &new)?;
            fs::rename(new, self.link())
        };
        set().with_context(|| format!("cannot make the link `{}`", self.link().display()))
    }

    /// Removes the link.
    pub fn remove_link(&self) {
        // One that stays is harmless.
        drop(fs::remove_file(self.link()));
    }

    fn named(&self, path: &Path, end: &str) -> PathBuf {
        self.directory.join(format!("settings-{}.{end}", &hash(path.as_os_str().as_bytes())[..16]))
    }
}

/// A record that cannot be read is none.
fn read(path: &Path) -> Option<Record> {
    serde_json::from_slice(&bounded::read(path, MAXIMUM_SIZE).ok()?).ok()
}

fn hash(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, bytes))
}
