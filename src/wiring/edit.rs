//! Plans the change of one settings file before it is made.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

use super::jsonc::{Refusal, Spot};
use super::records::{Record, Records, Target};
use super::settings_file::{SettingsFile, text};
use crate::terminal::printable::printable;
use crate::wiring::entry;
use crate::wiring::entry::Entry;

/// A file, and the planned change.
#[derive(Debug)]
pub struct Edit {
    file: SettingsFile,
    target: Target,
    /// What it was before `ccrun` changed it, as far as that is known.
    before: Option<Vec<u8>>,
    after: Option<Vec<u8>>,
    /// What `ccrun` has put into it so far.
    old: Option<Record>,
    /// What will be in it from `ccrun` afterwards.
    record: Option<Record>,
    /// Places where the user has since replaced what `ccrun` had written.
    pub left: Vec<Spot>,
}

impl Edit {
    /// A file with these entries for a program, and no others. They are chosen by the file's text without `ccrun`.
    pub fn wire(
        path: &Path,
        entries: impl FnOnce(&str) -> Result<Vec<Entry>, Refusal>,
        target: Target,
        records: &Records,
    ) -> Result<Self> {
        let edit = Self::out(SettingsFile::read(path)?, target, records)?;
        let shown = || path.display();
        let (mark, before) =
            text(edit.before.as_deref().unwrap_or_default()).map_err(|error| anyhow!("`{}`: {error}", shown()))?;
        let wired = entries(before).and_then(|entries| entry::wire(before, &entries));
        let (after, pieces) = wired.map_err(|refusal| refused(path, &refusal))?;
        let after = format!("{mark}{after}").into_bytes();
        let record = Record::new(target, edit.file.path.clone(), edit.before.is_some(), pieces, &after);
        Ok(Self { after: Some(after), record: Some(record), ..edit })
    }

    /// A file with nothing from `ccrun` for a program; `None` if there is nothing to remove.
    pub fn unwire(path: &Path, target: Target, records: &Records) -> Result<Option<Self>> {
        let file = match SettingsFile::read(path) {
            // If the editor's directory is gone, so is everything in it.
            Err(_) if !path.parent().is_some_and(Path::exists) => SettingsFile::gone(path),
            read => read?,
        };
        let edit = Self::out(file, target, records)?;
        Ok(Some(edit).filter(|edit| edit.old.is_some()))
    }

    fn out(file: SettingsFile, target: Target, records: &Records) -> Result<Self> {
        let old = records.of(&file.path, target);
        let (before, left) = without(&file, old.as_ref(), records)?;
        Ok(Self { after: before.clone(), before, old, record: None, left, file, target })
    }

    /// Whether the file would change.
    pub fn changes(&self) -> bool {
        self.after != self.file.bytes
    }

    /// Makes the change. A file never contains anything from `ccrun` without a record of it.
    pub fn carry_out(&self, records: &Records) -> Result<()> {
        if self.record.is_some() {
            self.note(self.record.as_ref(), records)?;
        }
        if self.changes()
            && let Err(error) = self.file.replace(self.after.as_deref())
        {
            self.note(self.old.as_ref(), records)?;
            return Err(error);
        }
        if self.record.is_none() { self.note(None, records) } else { Ok(()) }
    }

    fn note(&self, record: Option<&Record>, records: &Records) -> Result<()> {
        match record {
            Some(record) => records.keep(record, self.before.as_deref().unwrap_or_default()),
            None => records.forget(&self.file.path, self.target),
        }
    }

    /// Where a wired file no longer has what was put there. Fails if the file cannot be read.
    pub fn missing(record: &Record) -> Result<Vec<Spot>> {
        let file = SettingsFile::read(&record.path)?;
        let bytes = file.bytes.unwrap_or_default();
        let (_, now) = text(&bytes).map_err(|error| anyhow!("`{}`: {error}", record.path.display()))?;
        entry::missing(now, &record.pieces).map_err(|refusal| refused(&record.path, &refusal))
    }

    /// The path of a copy of the file as it was.
    pub fn backup(&self, records: &Records) -> PathBuf {
        records.backup(&self.file.path, self.target)
    }
}

/// The file without `ccrun`: restored exactly if it has not changed since, else without what is still as it was
/// written.
fn without(file: &SettingsFile, record: Option<&Record>, records: &Records) -> Result<(Option<Vec<u8>>, Vec<Spot>)> {
    let (Some(record), Some(bytes)) = (record, &file.bytes) else {
        return Ok((file.bytes.clone(), Vec::new()));
    };
    if record.left(bytes)
        && let Ok(before) = records.before(record)
    {
        return Ok((record.existed.then_some(before), Vec::new()));
    }
    let (mark, now) = text(bytes).map_err(|error| anyhow!("`{}`: {error}", file.path.display()))?;
    let (rest, left) = entry::unwire(now, &record.pieces).map_err(|refusal| refused(&file.path, &refusal))?;
    Ok((Some(format!("{mark}{rest}").into_bytes()), left))
}

/// The error for an entry that cannot be written.
fn refused(path: &Path, refusal: &Refusal) -> anyhow::Error {
    let path = path.display();
    match refusal {
        Refusal::Broken { .. } => {
            anyhow!("{path}{refusal}; correct it, then run this again: this file was not changed")
        }
        Refusal::Taken { key, value } => {
            // A variable's value may be a secret.
            let value = value.as_str().map(|value| format!(", `{}`", printable(value))).unwrap_or_default();
            anyhow!("`{path}` already has `{key}`{value}, which is not from ccrun: remove it, or keep it")
        }
        Refusal::Other | Refusal::OtherUnder(..) => anyhow!("`{path}`{refusal}; this file was not changed"),
    }
}
