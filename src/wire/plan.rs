//! What is to become of one settings file, before anything is done.

use std::path::Path;

use anyhow::{Result, anyhow};

use super::jsonc::{Refusal, Spot};
use super::records::{Record, Records, Target};
use super::settings_file::{SettingsFile, text};
use super::wiring::{self, Entry};
use crate::printable::printable;

/// A file, and what is to become of it.
#[derive(Debug)]
pub struct Plan {
    file: SettingsFile,
    /// What it was before anything of ours was in it, as far as that can be told.
    before: Option<Vec<u8>>,
    after: Option<Vec<u8>>,
    /// What is ours in it so far.
    old: Option<Record>,
    /// What is ours in it from then on.
    record: Option<Record>,
    /// Where somebody else has put something else in place of ours.
    pub left: Vec<Spot>,
}

impl Plan {
    /// A file with these entries, and nothing else of ours in it.
    pub fn wire(path: &Path, entries: &[Entry], target: Target, records: &Records) -> Result<Self> {
        let plan = Self::out(SettingsFile::read(path)?, records)?;
        let shown = || path.display();
        let (mark, before) =
            text(plan.before.as_deref().unwrap_or_default()).map_err(|error| anyhow!("`{}`: {error}", shown()))?;
        let (after, pieces) = wiring::wire(before, entries).map_err(|refusal| refused(path, &refusal))?;
        let after = format!("{mark}{after}").into_bytes();
        let record = Record::new(target, plan.file.path.clone(), plan.before.is_some(), pieces, &after);
        Ok(Self { after: Some(after), record: Some(record), ..plan })
    }

    /// A file with nothing of ours in it, and whose it is; nothing if nothing of ours is.
    pub fn unwire(path: &Path, records: &Records) -> Result<Option<(Self, Target)>> {
        let file = match SettingsFile::read(path) {
            // Whoever has removed the editor has removed ours, too.
            Err(_) if !path.parent().is_some_and(Path::exists) => SettingsFile::gone(path),
            read => read?,
        };
        let plan = Self::out(file, records)?;
        let target = plan.old.as_ref().map(|record| record.target);
        Ok(target.map(|target| (plan, target)))
    }

    fn out(file: SettingsFile, records: &Records) -> Result<Self> {
        let old = records.of(&file.path);
        let (before, left) = without(&file, old.as_ref(), records)?;
        Ok(Self { after: before.clone(), before, old, record: None, left, file })
    }

    /// Whether the file would be another.
    pub fn changes(&self) -> bool {
        self.after != self.file.bytes
    }

    /// Does it. Nothing of ours ever stands in a file without a record of it.
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
            None => records.forget(&self.file.path),
        }
    }

    /// The file without its links.
    pub fn path(&self) -> &Path {
        &self.file.path
    }
}

/// What a file is without us: as it was if nobody has touched it since, else without what is still as we put it in.
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
    let (rest, left) = wiring::unwire(now, &record.pieces).map_err(|refusal| refused(&file.path, &refusal))?;
    Ok((Some(format!("{mark}{rest}").into_bytes()), left))
}

/// What to do where something cannot be put in.
fn refused(path: &Path, refusal: &Refusal) -> anyhow::Error {
    let path = path.display();
    match refusal {
        Refusal::Broken { .. } => anyhow!("{path}{refusal}; mend it first, nothing was changed"),
        Refusal::Taken { key, value } => {
            // A variable's value may be a secret.
            let value = value.as_str().map(|value| format!(", `{}`", printable(value))).unwrap_or_default();
            anyhow!("`{path}` has `{key}` already{value}, which is not ours: take it out, or leave it at that")
        }
        Refusal::Other | Refusal::OtherUnder(..) => anyhow!("`{path}`{refusal}; nothing was changed"),
    }
}
