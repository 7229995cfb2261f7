//! Notices for the next launch, or for the end of a launch that stays. They are in a small file, so that a launch need
//! not open the store.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use crate::state::{self, Places, unkept};
use crate::system::bounded;
use crate::system::hex::hex;
use crate::terminal::printable::visible;

/// The maximum size of pending notices, in bytes, so that they do not accumulate over months without a launch.
const MAXIMUM: u64 = 4096;

/// The file's name in the state directory.
pub(super) const NAME: &str = "notice";

/// Separates the subject of a line from its text. Lines without a subject have no separator, and texts never contain
/// it, because invisible characters are escaped.
const ABOUT: char = '\t';

/// Leaves a line for the next launch, unless the same line is pending already.
pub fn leave(places: &Places, line: &str) {
    // The notice is in the session's log as well.
    drop(append(&places.notice(), &visible(line)));
}

/// The same, given only the state directory.
pub fn leave_in(state: &Path, line: &str) {
    drop(append(&state.join(NAME), &visible(line)));
}

/// Leaves a line for the next launch about undelivered data for the destination with this fingerprint. [`withdraw`] can
/// take it back.
pub fn leave_about(places: &Places, fingerprint: &[u8], line: &str) {
    drop(append(&places.notice(), &format!("{}{ABOUT}{}", about(fingerprint), visible(line))));
}

/// A short form of a destination's fingerprint that is sufficient to distinguish it.
fn about(fingerprint: &[u8]) -> String {
    hex(&fingerprint[..fingerprint.len().min(8)])
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let waiting = bounded::read(path, MAXIMUM).unwrap_or_default();
    let is_known = String::from_utf8_lossy(&waiting).lines().any(|known| known == line);
    if is_known || (waiting.len() + line.len()) as u64 >= MAXIMUM {
        return Ok(());
    }
    if let Some(directory) = path.parent().filter(|directory| !directory.is_dir()) {
        state::private_directory(directory).map_err(io::Error::other)?;
    }
    state::append(path, format!("{line}\n").as_bytes())
}

/// Takes the pending lines without duplicates. If two launches run at once, only one gets them.
pub fn take(places: &Places) -> Vec<String> {
    let mut said = Vec::new();
    for line in take_lines(places) {
        let text = line.split_once(ABOUT).map_or(line.as_str(), |(_, text)| text).to_owned();
        if !said.contains(&text) {
            said.push(text);
        }
    }
    said.extend(unkept::say(places).iter().map(|line| visible(line)));
    said
}

/// Whether a pending line concerns undelivered data for a destination.
pub fn speaks_of_deliveries(places: &Places) -> bool {
    bounded::read(&places.notice(), MAXIMUM).unwrap_or_default().contains(&(ABOUT as u8))
}

/// Takes back lines about destinations without undelivered data. `left` has the fingerprints of those that still have
/// some.
pub fn withdraw<'a>(places: &Places, left: impl IntoIterator<Item = &'a [u8]>) {
    let left: BTreeSet<_> = left.into_iter().map(about).collect();
    let stays = |line: &str| line.split_once(ABOUT).is_none_or(|(about, _)| left.contains(about));
    let waiting = bounded::read(&places.notice(), MAXIMUM).unwrap_or_default();
    if String::from_utf8_lossy(&waiting).lines().all(stays) {
        // The file must not be missing for a concurrent launch.
        return;
    }
    for line in take_lines(places).into_iter().filter(|line| stays(line)) {
        drop(append(&places.notice(), &line));
    }
}

/// Takes the file's lines. If two processes do so at once, only one gets them.
fn take_lines(places: &Places) -> Vec<String> {
    let path = places.notice();
    if !path.exists() {
        return Vec::new();
    }
    let mine = path.with_extension(std::process::id().to_string());
    if fs::rename(&path, &mine).is_err() {
        return Vec::new();
    }
    let text = bounded::read(&mine, MAXIMUM).unwrap_or_default();
    // A remaining file is never read again.
    drop(fs::remove_file(&mine));
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_notice_is_shown_once() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::below(directory.path());
        fs::create_dir_all(&places.state).unwrap();
        assert!(take(&places).is_empty());
        for line in ["one", "two\x1b[31m", "one"] {
            leave(&places, line);
        }
        assert_eq!(take(&places), ["one", "two\\u{1b}[31m"]);
        assert!(take(&places).is_empty());
        for number in 0..1000 {
            leave(&places, &format!("line {number}"));
        }
        assert!(fs::metadata(places.notice()).unwrap().len() < MAXIMUM);
    }

    #[test]
    fn a_notice_about_a_destination_is_withdrawn_when_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::below(directory.path());
        fs::create_dir_all(&places.state).unwrap();
        withdraw(&places, []);
        leave(&places, "of no destination");
        assert!(!speaks_of_deliveries(&places));
        for (fingerprint, line) in [([1; 32], "for one"), ([2; 32], "for two"), ([3; 32], "for two")] {
            leave_about(&places, &fingerprint, line);
        }
        assert!(speaks_of_deliveries(&places));
        withdraw(&places, [[2; 32].as_slice(), &[3; 32]]);
        assert_eq!(take(&places), ["of no destination", "for two"]);
        assert!(take(&places).is_empty());
    }
}
