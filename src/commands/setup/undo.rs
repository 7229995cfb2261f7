//! Remembers what was there before, to restore it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::secret::command::FetchContext;
use crate::secret::keyring::Fault;
use crate::secret::{Secret, keyring};
use crate::state;

/// Files and keyring entries before the change.
#[derive(Debug, Default)]
pub(super) struct Undo {
    files: Vec<(PathBuf, Option<Vec<u8>>)>,
    secrets: Vec<(String, Option<Secret>)>,
}

impl Undo {
    /// Remembers a file before it is written.
    pub(super) fn file(&mut self, path: &Path) -> Result<()> {
        let before = match std::fs::read(path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
        };
        self.files.push((path.to_owned(), before));
        Ok(())
    }

    /// Remembers a keyring entry before it is written. An entry that exists but cannot be read could not be restored,
    /// so it is an error.
    pub(super) fn secret(&mut self, entry: &str, context: FetchContext<'_>) -> Result<(), Fault> {
        let before = match keyring::get(entry, context) {
            Err(Fault::NoEntry(_)) => None,
            read => Some(read?),
        };
        self.secrets.push((entry.to_owned(), before));
        Ok(())
    }

    /// Restores everything, as far as possible.
    pub(super) fn all(self, context: FetchContext<'_>) {
        for (path, before) in self.files {
            drop(match before {
                Some(bytes) => state::write(&path, &bytes),
                None => state::remove(&path),
            });
        }
        for (entry, before) in self.secrets {
            drop(match before {
                Some(secret) => keyring::set(&entry, secret, context),
                None => keyring::remove(&entry, context),
            });
        }
    }
}
