//! A settings file of another program, read as it is and replaced as a whole.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::state;
use crate::system::bounded;

/// The maximum size, in bytes.
const MAXIMUM_SIZE: u64 = 4 << 20;

/// The byte order mark that some editors write.
const MARK: &str = "\u{feff}";

/// A settings file as it was read.
#[derive(Debug)]
pub(super) struct SettingsFile {
    /// Its path without links.
    pub(super) path: PathBuf,
    /// Its content, or `None` if it does not exist.
    pub(super) bytes: Option<Vec<u8>>,
    /// Its permissions.
    mode: u32,
}

impl SettingsFile {
    /// Reads a file. Its directory must exist.
    pub(super) fn read(path: &Path) -> Result<Self> {
        Self::read_as_it_is(path).with_context(|| format!("`{}`", path.display()))
    }

    /// A file that does not exist, and whose directory does not either.
    pub(super) fn gone(path: &Path) -> Self {
        Self { path: path.to_owned(), bytes: None, mode: 0o600 }
    }

    fn read_as_it_is(path: &Path) -> Result<Self> {
        let path = match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if path.is_symlink() {
                    bail!("it is a dangling link");
                }
                let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
                    bail!("it is not a file")
                };
                let path = directory.canonicalize().context("there is no such directory")?.join(name);
                return Ok(Self { path, bytes: None, mode: 0o600 });
            }
            other => other?,
        };
        let (bytes, metadata) = match bounded::read_foreign(&path, MAXIMUM_SIZE) {
            Ok(read) => read,
            Err(refusal) => bail!("the file {refusal}"),
        };
        // Replacing it would change its owner.
        if metadata.uid() != nix::unistd::geteuid().as_raw() {
            bail!("it belongs to another user");
        }
        Ok(Self { path, bytes: Some(bytes), mode: metadata.mode() & 0o7777 })
    }

    /// Replaces the file atomically and keeps its permissions; `None` removes it. Fails if it has changed since it was
    /// read.
    pub(super) fn replace(&self, bytes: Option<&[u8]>) -> Result<()> {
        let replace = || -> Result<()> {
            if Self::read_as_it_is(&self.path)?.bytes != self.bytes {
                bail!("it was changed in the meantime: try again");
            }
            match bytes {
                Some(bytes) => Ok(state::write_as(&self.path, bytes, self.mode)?),
                None => Ok(state::remove(&self.path)?),
            }
        };
        replace().with_context(|| format!("cannot change `{}`", self.path.display()))
    }
}

/// The text of a settings file, and its byte order mark.
pub(super) fn text(bytes: &[u8]) -> Result<(&str, &str)> {
    let text = std::str::from_utf8(bytes).context("it is not UTF-8")?;
    Ok(text.split_at(if text.starts_with(MARK) { MARK.len() } else { 0 }))
}
