//! The launcher as the program's parent, where nothing would outlive it: in a container, in a job, with `--wait`.
//!
//! The program shares our process group, so that the terminal's signals reach it by themselves and a group that is
//! killed takes it along. What a process sends to us alone is passed on.

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

use super::signals::{Caught, Signals};
use super::{ExecError, Prepared, Program, command};
use crate::collector::Channel;
use crate::process::{Process, start_time};

/// Runs the program and gives its exit code, 128 + n where a signal ended it, once its collector has delivered what it
/// can, or after `patience`.
pub fn supervise(program: &Program, prepared: &Prepared, collector: Channel, drain: Drain) -> Result<u8, ExecError> {
    let failed = |error| ExecError::NotRunnable { program: program.path.clone(), error };
    // Before there is a child, so that nothing of it, and nothing for it, is missed.
    let (signals, before) = Signals::block().map_err(|error| failed(error.into()))?;
    let pid = start(program, prepared, &before).map_err(failed)?;
    let mut launcher = Launcher { program: Pid::from_raw(pid), signals, collector: Some(collector) };
    launcher.tell(|collector| collector.launched(Process { pid, started: start_time(pid) }));
    let code = launcher.until_it_ends();
    launcher.let_it_drain(drain);
    Ok(code)
}

/// Starts the program with the signals blocked that were blocked before us, and gives its pid. By forking: a spawned
/// process would have ours blocked.
fn start(program: &Program, prepared: &Prepared, blocked: &SigSet) -> io::Result<i32> {
    let (mut reader, mut writer) = io::pipe()?;
    match fork::fork()? {
        Fork::Parent(pid) => {
            drop(writer);
            let mut failure = [0; 4];
            // It is closed as the program begins.
            if reader.read_exact(&mut failure).is_err() {
                return Ok(pid);
            }
            waitpid(Pid::from_raw(pid), None)?;
            Err(io::Error::from_raw_os_error(i32::from_ne_bytes(failure)))
        }
        Fork::Child => {
            let unblocked = blocked.thread_set_mask();
            let failure = unblocked.map_or_else(io::Error::from, |()| command(program, prepared).exec());
            drop(writer.write_all(&failure.raw_os_error().unwrap_or(Errno::EIO as i32).to_ne_bytes()));
            std::process::exit(1)
        }
    }
}

/// What is waited for once the program has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// The session ends with the program, and its collector has this long.
    For(Duration),
    /// The session goes on until nobody sends any more, as an editor's does, and is waited for.
    UntilNobodySends,
}

struct Launcher {
    program: Pid,
    signals: Signals,
    /// Nothing once it has gone.
    collector: Option<Channel>,
}

impl Launcher {
    fn tell(&mut self, say: impl FnOnce(&mut Channel)) {
        if let Some(collector) = &mut self.collector {
            say(collector);
        }
    }

    /// Passes signals on and reaps, until the program has ended.
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

    /// Lets the collector do what it can. Whoever asks us to end then, ends us: what is left is in the store.
    fn let_it_drain(&mut self, drain: Drain) {
        let deadline = match drain {
            Drain::For(patience) => {
                self.tell(Channel::over);
                Instant::now().checked_add(patience)
            }
            Drain::UntilNobodySends => None,
        };
        while self.collector.is_some() && deadline.is_none_or(|deadline| Instant::now() < deadline) {
            if self.next(deadline).iter().any(|caught| caught.asks_to_end()) {
                return;
            }
            self.reap();
        }
    }

    /// Waits until there is something new, and gives the signals that came.
    fn next(&mut self, deadline: Option<Instant>) -> Vec<Caught> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.map_or(PollTimeout::NONE, |left| {
            // Rounded up, or the last millisecond would be spent looking.
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

    /// What a process sent to us was meant for the program; what a terminal sends reaches its whole process group. A
    /// terminal that goes tells the leader of its session alone.
    fn pass_on(&self, caught: Caught) {
        let leads = || getsid(None) == Ok(getpid());
        if caught.by_a_process || (caught.signal == Signal::SIGHUP && leads()) {
            // One that has ended is reaped next.
            let _gone = kill(self.program, caught.signal);
        }
    }

    /// Reaps whoever has ended, as pid 1 must, and gives the program's exit code if it is among them.
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
                // Nobody is left.
                Err(_) => return code.or(Some(1)),
            }
        }
    }
}

/// Stops as the program has stopped: a terminal's shell waits for us, and has to see that the job stands still. Without
/// a terminal nobody would start us again.
fn stand_still() {
    if File::open("/dev/tty").is_ok() {
        let _forbidden = raise(Signal::SIGSTOP);
    }
}

/// The low eight bits, which is all that a parent is told.
fn exit_code(status: i32) -> u8 {
    u8::try_from(status & 0xff).unwrap_or(1)
}
