//! Processes that are not our children: whether one lives, and waiting for its end.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use waitpid_any::WaitHandle;

/// The pause between two looks at a process that cannot be waited for.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// A process. A pid alone may be another process's tomorrow: the start time tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Process {
    /// Its pid.
    pub pid: i32,
    /// When it started, in clock ticks since the machine did; `None` where the system does not say.
    pub started: Option<u64>,
}

impl Process {
    /// The process that asks.
    pub fn current() -> Self {
        let pid = nix::unistd::getpid().as_raw();
        Self { pid, started: start_time(pid) }
    }

    /// Whether it lives: it is there, is no zombie, and started when it should have.
    pub fn lives(self) -> bool {
        if cfg!(target_os = "linux") && Path::new("/proc/self/stat").exists() {
            return start_time(self.pid).is_some_and(|found| self.started.is_none_or(|started| started == found));
        }
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid), None) != Err(nix::errno::Errno::ESRCH)
    }

    /// Begins to watch it. From here on the watch means this process, whoever gets its pid.
    pub fn watch(self) -> Watch {
        let handle = WaitHandle::open(self.pid).ok();
        // Compared after opening, or the handle might mean a successor.
        Watch { process: self, lived: self.lives(), handle }
    }
}

/// A process that is being watched.
#[derive(Debug)]
pub struct Watch {
    process: Process,
    lived: bool,
    handle: Option<WaitHandle>,
}

impl Watch {
    /// Blocks until it has ended. Through pidfd or kqueue, and where neither is to be had by looking each second.
    pub fn wait(mut self) {
        let waited = self.lived && self.handle.as_mut().is_some_and(|handle| handle.wait().is_ok());
        while self.lived && !waited && self.process.lives() {
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }

    /// Waits for its end on a thread of its own.
    pub async fn ended(self) {
        let process = self.process;
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let wait = move || {
            self.wait();
            drop(sender);
        };
        let thread = std::thread::Builder::new().stack_size(64 * 1024).spawn(wait);
        if thread.is_ok() {
            // The sender is only ever dropped: that is the news.
            drop(receiver.await);
        }
        while thread.is_err() && process.lives() {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}

/// Field 22 of `/proc/PID/stat`, unless the process is a zombie (proc(5)).
#[cfg(target_os = "linux")]
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, field 2, is in parentheses and may hold anything, parentheses included.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    if matches!(state, "Z" | "X") { None } else { fields.nth(18)?.parse().ok() }
}

/// Not to be had without unsafe code elsewhere; the collector opens its handle while the launcher still waits for it.
#[cfg(not(target_os = "linux"))]
pub fn start_time(_pid: i32) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start() {
        let me = Process::current();
        assert!(me.lives());
        if cfg!(target_os = "linux") {
            assert!(!Process { started: Some(1), ..me }.lives());
        }
    }

    #[test]
    fn without_a_handle_it_is_looked_for() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let watch = Watch { process: Process { pid, started: start_time(pid) }, lived: true, handle: None };
        let waiter = std::thread::spawn(move || watch.wait());
        drop(child.stdin.take());
        waiter.join().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_end_of_a_process_is_noticed() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let process = Process { pid, started: start_time(pid) };
        let waiter = std::thread::spawn(move || process.watch().wait());
        drop(child.stdin.take());
        waiter.join().unwrap();
        child.wait().unwrap();
        assert!(!process.lives());
    }
}
