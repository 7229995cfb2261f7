//! A session's log: the events of its collector, for later diagnosis. A few lines if all is well.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::state::{self, Places};
use crate::system::bounded;
use crate::terminal::printable::visible;

/// The maximum size of a session's log, in bytes. Nothing is added to a larger one.
const MAXIMUM: u64 = 64 * 1024;

/// A handle to the log. The first line creates the file.
#[derive(Clone, Debug)]
pub struct Log {
    path: Arc<Path>,
}

impl Log {
    /// The log of a session.
    pub fn of(places: &Places, session: &str) -> Self {
        Self { path: places.log(session).into() }
    }

    /// Adds a line with the time and the process. It must not contain secrets.
    pub fn note(&self, text: &str) {
        // A failure to write the log must not affect anything else.
        drop(self.append(text));
    }

    fn append(&self, text: &str) -> io::Result<()> {
        let size = fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        if size >= MAXIMUM {
            return Ok(());
        }
        #[expect(clippy::disallowed_methods, reason = "the moment at which it happens")]
        let now = Timestamp::now();
        let mut line = format!("{now:.3} {} {}\n", std::process::id(), visible(text));
        if size + line.len() as u64 >= MAXIMUM {
            line.push_str("the log is full\n");
        }
        let open = || OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path);
        let mut file = match open() {
            // The directory was removed under a running session.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let directory = self.path.parent().unwrap_or(&self.path);
                state::private_directory(directory).map_err(io::Error::other)?;
                open()?
            }
            opened => opened?,
        };
        // A single write, because keeper and worker share the file.
        file.write_all(line.as_bytes())
    }

    /// Logs panics in this process from now on.
    pub fn note_panics(self) {
        std::panic::set_hook(Box::new(move |panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            self.note(&format!("a fault of ccrun's own at {place}: {}", panic.payload_as_str().unwrap_or_default()));
        }));
    }

    /// The path of the log.
    pub fn path(&self) -> PathBuf {
        self.path.to_path_buf()
    }
}

/// The last lines of a log, at most `most`, unchanged. Empty if there is no log.
pub fn last_lines(path: &Path, most: usize) -> Vec<String> {
    // The last line may begin before the limit, and another process may be writing one.
    let text = bounded::read(path, 2 * MAXIMUM).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(most)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_bounded_and_says_when_it_is_full() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::below(directory.path());
        fs::create_dir_all(places.logs()).unwrap();
        let log = Log::of(&places, "0123456789abcdef");
        for number in 0..3000 {
            log.note(&format!("line {number}\nwith a break"));
        }
        let text = fs::read_to_string(log.path()).unwrap();
        assert!((MAXIMUM..MAXIMUM + 200).contains(&(text.len() as u64)), "{}", text.len());
        assert!(text.lines().next().unwrap().ends_with("line 0\\nwith a break"), "{text}");
        assert_eq!(text.lines().filter(|line| line.ends_with("the log is full")).count(), 1);
    }
}
