//! A settings file of somebody's: read as it is, and replaced whole.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::bounded;

/// How large one may be, in bytes.
const MAXIMUM_SIZE: u64 = 4 << 20;

/// What some editors write in front.
const MARK: &str = "\u{feff}";

/// A settings file as it was read.
#[derive(Debug)]
pub(super) struct SettingsFile {
    /// Where it really is: a link to it stays one.
    pub(super) path: PathBuf,
    /// All that is in it; nothing if it is not there.
    pub(super) bytes: Option<Vec<u8>>,
    /// Its permissions.
    mode: u32,
}

impl SettingsFile {
    /// Reads one. Its directory has to be there.
    pub(super) fn read(path: &Path) -> Result<Self> {
        Self::read_as_it_is(path).with_context(|| format!("`{}`", path.display()))
    }

    /// One that is not there, and whose directory is not either.
    pub(super) fn gone(path: &Path) -> Self {
        Self { path: path.to_owned(), bytes: None, mode: 0o600 }
    }

    fn read_as_it_is(path: &Path) -> Result<Self> {
        let path = match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if path.is_symlink() {
                    bail!("it is a link that leads nowhere");
                }
                let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { bail!("it is no file") };
                let path = directory.canonicalize().context("there is no such directory")?.join(name);
                return Ok(Self { path, bytes: None, mode: 0o600 });
            }
            other => other?,
        };
        let (bytes, metadata) = match bounded::read_foreign(&path, MAXIMUM_SIZE) {
            Ok(read) => read,
            Err(refusal) => bail!("the file {refusal}"),
        };
        // Replaced, it would be ours from then on.
        if metadata.uid() != nix::unistd::geteuid().as_raw() {
            bail!("it belongs to another user");
        }
        Ok(Self { path, bytes: Some(bytes), mode: metadata.mode() & 0o7777 })
    }

    /// Puts another in its place, whole or not at all, with its permissions; `None` removes it. Refuses if somebody has
    /// changed it since it was read.
    pub(super) fn replace(&self, bytes: Option<&[u8]>) -> Result<()> {
        let replace = || -> Result<()> {
            if Self::read_as_it_is(&self.path)?.bytes != self.bytes {
                bail!("somebody has changed it just now: try again");
            }
            let Some(bytes) = bytes else { return Ok(fs::remove_file(&self.path)?) };
            let mut file = tempfile::NamedTempFile::new_in(self.path.parent().unwrap_or(Path::new("/")))?;
            file.write_all(bytes)?;
            file.as_file().set_permissions(Permissions::from_mode(self.mode))?;
            file.as_file().sync_all()?;
            file.persist(&self.path).map_err(|error| error.error)?;
            Ok(())
        };
        replace().with_context(|| format!("cannot change `{}`", self.path.display()))
    }
}

/// What the bytes of a settings file say, and the mark in front of that.
pub(super) fn text(bytes: &[u8]) -> Result<(&str, &str)> {
    let text = std::str::from_utf8(bytes).context("it is not UTF-8")?;
    Ok(text.split_at(if text.starts_with(MARK) { MARK.len() } else { 0 }))
}
