//! What was there before, so that it can be there again.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::credential::Secret;
use crate::credential::keyring::{self, Fault};
use crate::helper::Ground;
use crate::state;

/// Files and entries as they were.
#[derive(Debug, Default)]
pub(super) struct Undo {
    files: Vec<(PathBuf, Option<Vec<u8>>)>,
    secrets: Vec<(String, Option<Secret>)>,
}

impl Undo {
    /// Remembers a file that is about to be written.
    pub(super) fn file(&mut self, path: &Path) -> Result<()> {
        let before = match std::fs::read(path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
        };
        self.files.push((path.to_owned(), before));
        Ok(())
    }

    /// Remembers an entry of the keyring that is about to be written.
    /// One that is there and cannot be read could not be put back, and is a fault.
    pub(super) fn secret(&mut self, entry: &str, ground: Ground<'_>) -> Result<(), Fault> {
        let before = match keyring::get(entry, ground) {
            Err(Fault::NoEntry(_)) => None,
            read => Some(read?),
        };
        self.secrets.push((entry.to_owned(), before));
        Ok(())
    }

    /// Puts everything back, as far as it can be.
    pub(super) fn all(self, ground: Ground<'_>) {
        for (path, before) in self.files {
            drop(match before {
                Some(bytes) => state::write(&path, &bytes),
                None => std::fs::remove_file(&path),
            });
        }
        for (entry, before) in self.secrets {
            drop(match before {
                Some(secret) => keyring::set(&entry, secret, ground),
                None => keyring::remove(&entry, ground),
            });
        }
    }
}
