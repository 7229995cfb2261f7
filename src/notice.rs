//! What is to be said at the next launch, or at the end of one that stays: a small file, so that no launch has to open the store.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::bounded;
use crate::printable::visible;
use crate::surroundings::Places;

/// How much waits to be said at most, in bytes. Whoever launches nothing for months need not read a book.
const MAXIMUM: u64 = 4096;

/// What stands between what a line is about and the line itself. Lines that are about nothing in particular have none,
/// and no line has one of its own: what is invisible is escaped.
const ABOUT: char = '\t';

/// Leaves a line for the next launch. What waits to be said already is not said twice.
pub fn leave(places: &Places, line: &str) {
    // A notice that cannot be left is in the session's log all the same.
    drop(append(&places.notice(), &visible(line)));
}

/// Leaves a line for the next launch about what is left for the destination with this fingerprint, until [`withdraw`]
/// takes it back.
pub fn leave_about(places: &Places, fingerprint: &[u8], line: &str) {
    drop(append(&places.notice(), &format!("{}{ABOUT}{}", about(fingerprint), visible(line))));
}

/// What stands for a destination's fingerprint: enough of it to be told apart.
fn about(fingerprint: &[u8]) -> String {
    fingerprint.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let waiting = bounded::read(path, MAXIMUM).unwrap_or_default();
    let is_known = String::from_utf8_lossy(&waiting).lines().any(|known| known == line);
    if is_known || (waiting.len() + line.len()) as u64 >= MAXIMUM {
        return Ok(());
    }
    // One write, so that lines of two that come at once do not mix.
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)?.write_all(format!("{line}\n").as_bytes())
}

/// Takes what is to be said, each line once: of two launches at once one has it.
pub fn take(places: &Places) -> Vec<String> {
    let mut said = Vec::new();
    for line in take_lines(places) {
        let text = line.split_once(ABOUT).map_or(line.as_str(), |(_, text)| text).to_owned();
        if !said.contains(&text) {
            said.push(text);
        }
    }
    said
}

/// Takes back what is to be said about destinations for which nothing is left. `left` has the fingerprints of those for
/// which something is.
pub fn withdraw<'a>(places: &Places, left: impl IntoIterator<Item = &'a [u8]>) {
    let left: BTreeSet<_> = left.into_iter().map(about).collect();
    let stays = |line: &str| line.split_once(ABOUT).is_none_or(|(about, _)| left.contains(about));
    let waiting = bounded::read(&places.notice(), MAXIMUM).unwrap_or_default();
    if String::from_utf8_lossy(&waiting).lines().all(stays) {
        // A launch that looks meanwhile must not find the file gone.
        return;
    }
    for line in take_lines(places).into_iter().filter(|line| stays(line)) {
        drop(append(&places.notice(), &line));
    }
}

/// Takes the file's lines: of two that come at once one has them.
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
    // One that stays is never read again.
    drop(fs::remove_file(&mine));
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_said_once() {
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
    fn what_is_said_of_a_destination_is_taken_back_when_nothing_is_left_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::below(directory.path());
        fs::create_dir_all(&places.state).unwrap();
        withdraw(&places, []);
        leave(&places, "of no destination");
        for (fingerprint, line) in [([1; 32], "for one"), ([2; 32], "for two"), ([3; 32], "for two")] {
            leave_about(&places, &fingerprint, line);
        }
        withdraw(&places, [[2; 32].as_slice(), &[3; 32]]);
        assert_eq!(take(&places), ["of no destination", "for two"]);
        assert!(take(&places).is_empty());
    }
}
