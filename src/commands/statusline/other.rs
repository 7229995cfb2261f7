//! Runs the command of another status line as Claude Code would, within a limit.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::NESTED;
use crate::system::signals::Interrupts;

/// How long the command may take.
const LIMIT: Duration = Duration::from_secs(2);

/// How much it may print, in bytes.
const MAXIMUM: usize = 64 * 1024;

/// The interval between checks of whether it has ended, or this process is to end, in milliseconds.
const INTERVAL: u16 = 10;

/// A running command.
pub(super) struct Other {
    child: Child,
    output: ChildStdout,
    /// Claude Code ends a line that takes too long; the command must not outlive this process then.
    interrupts: Option<Interrupts>,
    deadline: Instant,
}

/// How reading ended.
enum Ended {
    /// The command has ended, or closed its output.
    Itself,
    /// It took too long, printed too much, or this process is to end.
    Not,
}

impl Other {
    /// Starts a shell's command line with this standard input.
    pub(super) fn start(command: &str, json: Vec<u8>) -> Option<Self> {
        let interrupts = Interrupts::hold().ok();
        let spawned = Command::new("/bin/sh")
            .args(["-c", command])
            .env(NESTED, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let mut child = spawned.ok()?;
        let input = child.stdin.take();
        // The command may not read all of it.
        let write = move || drop(input.map(|mut input| input.write_all(&json)));
        drop(std::thread::Builder::new().stack_size(64 * 1024).spawn(write));
        let output = child.stdout.take()?;
        Some(Self { child, output, interrupts, deadline: Instant::now() + LIMIT })
    }

    /// Its lines; none if it fails, takes too long or prints too much.
    pub(super) fn lines(mut self) -> String {
        let mut read = Vec::new();
        let ended = self.read(&mut read);
        let status = match ended {
            Ended::Itself => self.status(),
            Ended::Not => None,
        };
        let Some(status) = status else {
            self.end();
            return String::new();
        };
        let text = String::from_utf8_lossy(&read);
        let text = text.trim_end();
        if status.success() && !text.is_empty() { format!("{text}\n") } else { String::new() }
    }

    fn read(&mut self, read: &mut Vec<u8>) -> Ended {
        let mut piece = [0; 4096];
        loop {
            // Checked first: what it wrote before is then in the pipe.
            let has_ended = !matches!(self.child.try_wait(), Ok(None));
            let is_ready = is_ready(&self.output, if has_ended { 0 } else { INTERVAL });
            match if is_ready { self.output.read(&mut piece) } else { Err(io::ErrorKind::WouldBlock.into()) } {
                Ok(0) => return Ended::Itself,
                Ok(length) => read.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A process that it left behind may keep its output open.
                Err(_) if has_ended => return Ended::Itself,
                Err(_) => {}
            }
            if read.len() >= MAXIMUM || self.is_over() {
                return Ended::Not;
            }
        }
    }

    /// Its exit status, within the time that it has.
    fn status(&mut self) -> Option<std::process::ExitStatus> {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if !self.is_over() => std::thread::sleep(Duration::from_millis(1)),
                _ => return None,
            }
        }
    }

    fn is_over(&mut self) -> bool {
        Instant::now() >= self.deadline || self.interrupts.as_mut().is_some_and(Interrupts::came)
    }

    /// Ends it with all that it has started.
    fn end(&mut self) {
        let group = Pid::from_raw(self.child.id().try_into().unwrap_or(i32::MAX));
        // It may have ended in the meantime.
        let _already_gone = killpg(group, Signal::SIGKILL);
        drop(self.child.wait());
    }
}

fn is_ready(output: &ChildStdout, wait: u16) -> bool {
    let mut watched = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
    poll(&mut watched, PollTimeout::from(wait)).is_ok_and(|found| found > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(command: &str) -> String {
        Other::start(command, b"{\"a\": 1}".to_vec()).unwrap().lines()
    }

    #[test]
    fn its_lines_are_those_that_it_prints_for_the_same_input() {
        assert_eq!(lines("cat; echo; printf '\\033[31mred\\033[0m\\n\\n'"), "{\"a\": 1}\n\u{1b}[31mred\u{1b}[0m\n");
        assert_eq!(lines("echo \"$CCRUN_STATUSLINE\""), "1\n");
        assert_eq!(lines(":"), "");
        assert_eq!(lines("printf 'bad \\377'"), "bad \u{fffd}\n");
    }

    #[test]
    fn a_command_that_fails_has_no_lines() {
        assert_eq!(lines("echo half; exit 3"), "");
        assert_eq!(lines("/nonexistent/line"), "");
    }

    #[test]
    fn one_that_leaves_something_behind_is_not_waited_for() {
        let before = Instant::now();
        assert_eq!(lines("echo here; sleep 60 & echo $! > /dev/null"), "here\n");
        assert!(before.elapsed() < LIMIT);
    }

    #[test]
    fn one_that_takes_too_long_is_killed_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let (fifo, path) = (directory.path().join("fifo"), directory.path().display().to_string());
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // The child holds the pipe open for as long as it lives.
        let reader = std::thread::spawn(move || std::fs::read(fifo).unwrap());
        assert_eq!(lines(&format!("echo half; sh -c 'exec 3>{path}/fifo; sleep 600; :'")), "");
        assert!(reader.join().unwrap().is_empty());
    }

    #[test]
    fn output_without_end_is_not_shown() {
        assert_eq!(lines("yes"), "");
    }
}
