//! Makes a segment ready for its first frame: created, filled with zeros and synced.

use std::io;

use super::frame::Seed;
use super::segment::{beginning, name};
use super::takeover::Standing;
use super::{File, Files};

/// How many zeros are written at once, in bytes: a larger write would delay a waiting request.
const STEP: usize = 256 << 10;

/// Where a writer's segments are stored, and how they begin.
#[derive(Clone, Debug)]
pub(super) struct Place<S> {
    pub(super) files: S,
    pub(super) session: String,
    pub(super) worker: u32,
    pub(super) row: Vec<u8>,
}

/// An empty segment that is made and on the disk.
#[derive(Debug)]
pub(super) struct Made<F> {
    pub(super) file: F,
    pub(super) number: u32,
    pub(super) seed: Seed,
    /// Where the first frame goes.
    pub(super) first: u64,
    pub(super) size: u64,
    /// Whether sealing can be detected: not if all files appear sealed.
    pub(super) is_sealable: bool,
}

impl<S: Files> Place<S> {
    /// Makes a segment, and its directory if it is missing, and syncs both to the disk. A segment that could not be
    /// completed is removed.
    pub(super) fn make(&self, number: u32, size: u64) -> io::Result<Made<S::File>> {
        self.files.make_directory(&self.session)?;
        let name = name(self.worker, number);
        let file = self.files.create(&self.session, &name)?;
        let seed = Seed::new(&self.session, (self.worker, number));
        let beginning = beginning(seed, &self.row);
        let first = beginning.len() as u64;
        let made = (|| {
            file.write_at(&beginning, 0)?;
            if self.files.is_filled() {
                fill(&file, first, size)?;
            }
            file.sync()?;
            self.files.sync_directory(&self.session)?;
            file.standing()
        })();
        match made {
            Ok(standing) => {
                let is_sealable = standing != Standing::Sealed;
                Ok(Made { file, number, seed, first, size: size.max(first), is_sealable })
            }
            Err(error) => {
                // An empty segment that remains is harmless.
                drop(self.files.remove(&self.session, &name));
                Err(error)
            }
        }
    }
}

fn fill(file: &impl File, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; STEP.min(usize::try_from(to.saturating_sub(from)).unwrap_or(STEP))];
    let mut offset = from;
    while offset < to {
        let length = usize::try_from(to - offset).unwrap_or(STEP).min(zeros.len());
        file.write_at(&zeros[..length], offset)?;
        offset += length as u64;
    }
    Ok(())
}
