//! What was shown, kept for the next run.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::super::complain;
use crate::report::metrics::Kept;
use crate::state::{self, Places};
use crate::system::bounded;
use crate::system::digest::digest;
use crate::system::hex::hex;
use crate::terminal::printable::visible;

/// How large the file may be, in bytes. With the largest number of series it has one million.
const MAXIMUM: u64 = 8 << 20;

/// How often it is written if only amounts have grown. After a crash they grow again from there, and nothing is lost.
const INTERVAL: Duration = Duration::from_mins(10);

/// The file of one address or text file, and when it was written.
pub(super) struct Memory {
    path: Option<PathBuf>,
    written: Instant,
    is_changed: bool,
}

impl Memory {
    /// The memory for these words, what is in it, and the key for it. Without a state directory nothing is kept.
    pub(super) fn open(places: &Places, words: &[&str]) -> (Self, Option<Kept>, Vec<u8>) {
        let directory = places.metrics();
        let key = || -> Result<Vec<u8>> {
            state::private_directory(&places.state)?;
            state::private_directory(&directory)?;
            Ok(state::key(places)?.to_vec())
        };
        let key = key().inspect_err(|error| without(&format!("{error:#}"))).ok();
        let words: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
        let path = key.as_ref().map(|_| directory.join(hex(&digest(&words)[..8])));
        let read = path.as_ref().and_then(|path| bounded::read(path, MAXIMUM).ok());
        // A file that a power cut damaged is as good as none.
        let kept = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        (Self { path, written: Instant::now(), is_changed: false }, kept, key.unwrap_or_default())
    }

    /// Notes that there is something to keep, and keeps it if that is urgent or has waited long.
    pub(super) fn note(&mut self, is_urgent: bool, kept: impl FnOnce() -> Kept) {
        self.is_changed = true;
        if is_urgent || self.written.elapsed() >= INTERVAL {
            self.write(kept);
        }
    }

    /// Keeps what is not kept yet.
    pub(super) fn write(&mut self, kept: impl FnOnce() -> Kept) {
        let Some(path) = self.path.as_ref().filter(|_| self.is_changed) else { return };
        let bytes = serde_json::to_vec(&kept()).map_err(std::io::Error::other);
        match bytes.and_then(|bytes| state::write(path, &bytes)) {
            Ok(()) => (self.written, self.is_changed) = (Instant::now(), false),
            Err(error) => {
                without(&error);
                self.path = None;
            }
        }
    }
}

fn without(error: &dyn Display) {
    let text = format!("after a restart, counters may begin again, since what was shown cannot be kept: {error}");
    complain(&visible(&text));
}
