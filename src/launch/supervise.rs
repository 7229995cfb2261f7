//! The launcher as the program's parent, when nothing would outlive it: in a container, in a job, with `--wait`.
//!
//! The program shares the launcher's process group, so the terminal's signals reach it directly, and killing the group
//! kills it too. Signals sent only to the launcher are passed on.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use fork::Fork;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, getsid};

use super::{ExecError, PreparedLaunch, Program, command};
use crate::collector::Channel;
use crate::system::inheritance;
use crate::system::process::{Process, start_time};
use crate::system::signals::{CaughtSignal, Signals};

/// Runs the program and returns its exit code, 128 + n after a signal, once its collector has delivered what it can, or
/// after `patience`.
pub fn supervise(
    program: &Program,
    prepared: &PreparedLaunch,
    collector: Channel,
    drain: Drain,
) -> Result<u8, ExecError> {
    let failed = |error| ExecError::NotRunnable { program: program.path.clone(), error };
    // Done before there is a child, so that no signal of or for it is missed.
    let (signals, before) = Signals::block().map_err(|error| failed(error.into()))?;
    let pid = start(program, prepared, &before).map_err(failed)?;
    let mut launcher = Launcher { program: Pid::from_raw(pid), signals, collector: Some(collector) };
    launcher.tell(|collector| collector.launched(Process { pid, started: start_time(pid) }));
    let code = launcher.until_it_ends();
    launcher.let_it_drain(drain);
    Ok(code)
}

/// Starts the program with the signal mask that was set before, and returns its pid. It forks, because a spawned
/// process would inherit the blocked signals.
fn start(program: &Program, prepared: &PreparedLaunch, blocked: &SigSet) -> io::Result<i32> {
    let (mut reader, mut writer) = io::pipe()?;
    match fork::fork()? {
        Fork::Parent(pid) => {
            drop(writer);
            let mut failure = [0; 4];
            // The pipe is closed on exec.
            if reader.read_exact(&mut failure).is_err() {
                return Ok(pid);
            }
            waitpid(Pid::from_raw(pid), None)?;
            Err(io::Error::from_raw_os_error(i32::from_ne_bytes(failure)))
        }
        Fork::Child => {
            let unblocked = blocked.thread_set_mask();
            let exec = || inheritance::handing_on(|| command(program, prepared).exec());
            let failure = unblocked.map_or_else(io::Error::from, |()| exec());
            drop(writer.write_all(&failure.raw_os_error().unwrap_or(Errno::EIO as i32).to_ne_bytes()));
            std::process::exit(1)
        }
    }
}

/// What to wait for after the program has exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// The session ends with the program, and its collector has this long.
    For(Duration),
    /// The session continues until it is idle, as an editor's does.
    UntilIdle,
}

struct Launcher {
    program: Pid,
    signals: Signals,
    /// `None` once it is gone.
    collector: Option<Channel>,
}

impl Launcher {
    fn tell(&mut self, say: impl FnOnce(&mut Channel)) {
        if let Some(collector) = &mut self.collector {
            say(collector);
        }
    }

    /// Passes signals on and reaps children until the program has exited.
    fn until_it_ends(&mut self) -> u8 {
        loop {
            for caught in self.next(None) {
                self.pass_on(caught);
            }
            if let Some(code) = self.reap() {
                return code;
            }
        }
    }

    /// Lets the collector finish. A signal that asks to exit ends the wait: what is left is in the store.
    fn let_it_drain(&mut self, drain: Drain) {
        let deadline = match drain {
            Drain::For(patience) => {
                self.tell(Channel::over);
                Instant::now().checked_add(patience)
            }
            Drain::UntilIdle => None,
        };
        while self.collector.is_some() && deadline.is_none_or(|deadline| Instant::now() < deadline) {
            if self.next(deadline).iter().any(|caught| caught.asks_to_end()) {
                return;
            }
            self.reap();
        }
    }

    /// Waits for an event and returns the signals that arrived.
    fn next(&mut self, deadline: Option<Instant>) -> Vec<CaughtSignal> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.map_or(PollTimeout::NONE, |left| {
            // Rounded up, because the last millisecond would otherwise be spent polling.
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let closed = {
            let mut watched = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            watched.extend(self.collector.as_ref().map(|one| PollFd::new(one.as_fd(), PollFlags::POLLIN)));
            match poll(&mut watched, timeout) {
                Ok(_) => watched.get(1).is_some_and(|one| one.any() == Some(true)),
                Err(_) => false,
            }
        };
        if closed && self.collector.as_mut().is_some_and(Channel::is_closed) {
            self.collector = None;
        }
        self.signals.take()
    }

    /// Signals that a process sent here are meant for the program. Signals of a terminal reach its whole process group,
    /// but a hang-up reaches only the session leader.
    fn pass_on(&self, caught: CaughtSignal) {
        let leads = || getsid(None) == Ok(getpid());
        if caught.by_a_process || (caught.signal == Signal::SIGHUP && leads()) {
            // A process that has exited is reaped next.
            let _gone = kill(self.program, caught.signal);
        }
    }

    /// Reaps every child that has exited, as pid 1 must. Returns the program's exit code if it is among them.
    fn reap(&self) -> Option<u8> {
        let mut code = None;
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Exited(pid, status)) if pid == self.program => code = Some(exit_code(status)),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.program => {
                    code = Some(exit_code(128 + signal as i32));
                }
                Ok(WaitStatus::Stopped(pid, _)) if pid == self.program => stand_still(),
                Ok(WaitStatus::StillAlive) => return code,
                Ok(_) | Err(Errno::EINTR) => {}
                // No child is left.
                Err(_) => return code.or(Some(1)),
            }
        }
    }
}

/// Stops as the program has stopped: the terminal's shell waits for the launcher and must see that the job is stopped.
/// Without a terminal, nothing would resume it.
fn stand_still() {
    if File::open("/dev/tty").is_ok() {
        let _forbidden = raise(Signal::SIGSTOP);
    }
}

/// The low eight bits, which is all that a parent gets.
fn exit_code(status: i32) -> u8 {
    u8::try_from(status & 0xff).unwrap_or(1)
}
