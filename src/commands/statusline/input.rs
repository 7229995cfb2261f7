//! Reads the JSON on standard input, which may stay open.

use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::de::IgnoredAny;

/// How long to wait for the JSON.
const LIMIT: Duration = Duration::from_secs(1);

/// The maximum size of the JSON, in bytes. The client writes two thousand.
const MAXIMUM: usize = 1 << 20;

/// What is on standard input, up to the end of a JSON value. A terminal has none.
pub(super) fn read() -> Vec<u8> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Vec::new();
    }
    read_until(&mut stdin.lock(), Instant::now() + LIMIT)
}

fn read_until(input: &mut (impl Read + AsFd), deadline: Instant) -> Vec<u8> {
    let (mut read, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    while read.len() < MAXIMUM && is_ready(input, deadline) {
        match input.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => {
                read.extend_from_slice(&piece[..length]);
                if is_whole(&read) {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    read
}

/// Whether this is an object to its end.
fn is_whole(json: &[u8]) -> bool {
    json.trim_ascii_end().ends_with(b"}") && serde_json::from_slice::<IgnoredAny>(json).is_ok()
}

/// Waits until there is something to read, or the end.
fn is_ready(input: &impl AsFd, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut watched = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
        match poll(&mut watched, PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)) {
            Ok(found) => return found > 0,
            Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeWriter, Write, pipe};

    use super::*;

    fn piped(texts: &[&[u8]]) -> (io::PipeReader, PipeWriter) {
        let (reader, mut writer) = pipe().unwrap();
        for text in texts {
            writer.write_all(text).unwrap();
        }
        (reader, writer)
    }

    #[test]
    fn reading_ends_with_the_value_though_the_input_stays_open() {
        let far = Instant::now() + Duration::from_hours(1);
        let (mut reader, _open) = piped(&[b"{\"a\": {}", b"}\n"]);
        assert_eq!(read_until(&mut reader, far), b"{\"a\": {}}\n");
        let (mut reader, writer) = piped(&[b"{\"a\": "]);
        drop(writer);
        assert_eq!(read_until(&mut reader, far), b"{\"a\": ");
    }

    #[test]
    fn reading_ends_at_the_deadline() {
        let (mut reader, _open) = piped(&[b"{\"a\": "]);
        assert_eq!(read_until(&mut reader, Instant::now()), b"{\"a\": ");
        assert_eq!(read_until(&mut reader, Instant::now()), b"");
    }
}
