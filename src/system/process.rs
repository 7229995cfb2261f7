//! Processes that are not our children: whether they live, and waiting for their end.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use waitpid_any::WaitHandle;

use super::bounded;

/// The pause between two checks of a process that cannot be waited for.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// The maximum size of an environment, in bytes: Linux's default limit for variables and arguments together.
const MAXIMUM_ENVIRONMENT: u64 = 2 << 20;

/// A process. A pid alone may be reused later, so the start time is needed to identify it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Process {
    /// The pid.
    pub pid: i32,
    /// The start time in clock ticks since boot; `None` if the system does not report it.
    pub started: Option<u64>,
}

impl Process {
    /// The current process.
    pub fn current() -> Self {
        let pid = nix::unistd::getpid().as_raw();
        Self { pid, started: start_time(pid) }
    }

    /// Whether it lives: it exists, is not a zombie, and has the expected start time.
    pub fn lives(self) -> bool {
        if cfg!(target_os = "linux") && Path::new("/proc/self/stat").exists() {
            return start_time(self.pid).is_some_and(|found| self.started.is_none_or(|started| started == found));
        }
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid), None) != Err(nix::errno::Errno::ESRCH)
    }

    /// Starts watching it. From here on the watch refers to this process, even if its pid is reused.
    pub fn watch(self) -> Watch {
        let handle = WaitHandle::open(self.pid).ok();
        // Compared after opening, because the handle might refer to a successor.
        Watch { process: self, lived: self.lives(), handle }
    }
}

/// The environment that a process was started with, on Linux and if this user may read it.
pub fn environment(pid: i32) -> Option<Environment> {
    bounded::read(format!("/proc/{pid}/environ").as_ref(), MAXIMUM_ENVIRONMENT).ok().map(Environment)
}

/// The environment of another process. It may contain secrets.
pub struct Environment(Vec<u8>);

impl Environment {
    /// The value of a variable.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        let mut variables = self.0.split(|byte| *byte == 0);
        variables.find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    }
}

impl From<Vec<u8>> for Environment {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// A watch on a process.
#[derive(Debug)]
pub struct Watch {
    process: Process,
    lived: bool,
    handle: Option<WaitHandle>,
}

impl Watch {
    /// Blocks until the process has ended. Uses pidfd or kqueue, or polls every second if neither is available.
    pub fn wait(mut self) {
        let waited = self.lived && self.handle.as_mut().is_some_and(|handle| handle.wait().is_ok());
        while self.lived && !waited && self.process.lives() {
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }

    /// Waits for the end of the process on a separate thread.
    pub async fn ended(self) {
        let process = self.process;
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let wait = move || {
            self.wait();
            drop(sender);
        };
        let thread = std::thread::Builder::new().stack_size(64 * 1024).spawn(wait);
        if thread.is_ok() {
            // The sender never sends; dropping it is the signal.
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

/// Unavailable without unsafe code elsewhere. The collector opens its handle while the launcher still waits for it.
#[cfg(not(target_os = "linux"))]
pub fn start_time(_pid: i32) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_identified_by_its_start_time() {
        let me = Process::current();
        assert!(me.lives());
        if cfg!(target_os = "linux") {
            assert!(!Process { started: Some(1), ..me }.lives());
        }
    }

    #[test]
    fn without_a_handle_it_is_polled() {
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
