//! What is to be said at the next launch: a small file, so that no launch has to open the store.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::bounded;
use crate::surroundings::Places;

/// How much waits to be said at most, in bytes. Whoever launches nothing for months need not read a book.
const MAXIMUM: u64 = 4096;

/// Leaves a line for the next launch. What waits to be said already is not said twice.
pub fn leave(places: &Places, line: &str) {
    // A notice that cannot be left is in the session's log all the same.
    drop(append(&places.notice(), line));
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let line = crate::printable::visible(line);
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
}
