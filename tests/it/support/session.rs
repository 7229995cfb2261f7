//! A session that lives as long as a test needs it, and the two processes of its collector.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use ccrun::system::process::{Process, start_time};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::emitter::Emitter;
use super::sandbox::{Sandbox, parent, pids, text, wait_until};

/// The program of a session. It prints its endpoint and session, and runs until its stdin is closed.
const PROGRAM: [&str; 3] = ["sh", "-c", r#"echo "$OTEL_EXPORTER_OTLP_ENDPOINT $CCRUN_SESSION"; cat"#];

/// A running session. It is killed when dropped.
pub struct Session {
    program: Child,
    stdin: Option<ChildStdin>,
    /// The program's `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: String,
    /// Its id.
    pub id: String,
    /// The keeper, dead or alive.
    pub keeper: Process,
    /// The worker that was found last.
    last_worker: Process,
}

impl Session {
    /// Starts a session with these options of `ccrun`.
    pub fn start(sandbox: &Sandbox, options: &[&str]) -> Self {
        Self::start_by(sandbox.ccrun(options))
    }

    /// Starts a session with the profile `otlp`, which sends everything at once.
    pub fn to(sandbox: &Sandbox, endpoint: &str) -> Self {
        sandbox.profile("otlp", "[destination.otlp]\nbatch = \"1ms\"\n");
        Self::start(sandbox, &["-p", "otlp", "--var", &format!("endpoint={endpoint}")])
    }

    /// Starts a session with a command that runs `ccrun` with the arguments appended here.
    pub fn start_by(mut command: Command) -> Self {
        let command = command.args(PROGRAM).stdin(Stdio::piped());
        let mut program = command.spawn().unwrap();
        let stdin = program.stdin.take();
        let mut line = String::new();
        BufReader::new(program.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let Some((endpoint, id)) = line.trim().split_once(' ').filter(|(endpoint, _)| !endpoint.is_empty()) else {
            drop(stdin);
            panic!("the session did not start: {line} {}", text(&program.wait_with_output().unwrap().stderr));
        };
        // The keeper holds this file and writes its pid there. The path is as the program sees it, because its mounts
        // may differ.
        let home = command.get_envs().find_map(|(name, value)| value.filter(|_| name == "HOME")).unwrap();
        let root = format!("/proc/{}/root{}", program.id(), home.display());
        let lock = Path::new(&root).join(".local/state/ccrun/locks").join(id);
        let keeper = || living(std::fs::read_to_string(&lock).ok()?.trim().parse().ok()?);
        // On a slow machine, the collector may start after the launcher has stopped waiting for it.
        let mut both = None;
        wait_until("keeper and worker", || {
            both = keeper().and_then(|keeper| Some((keeper, child(keeper.pid)?)));
            both.is_some()
        });
        let (keeper, last_worker) = both.unwrap();
        let (endpoint, id) = (endpoint.to_owned(), id.to_owned());
        Self { program, stdin, endpoint, id, keeper, last_worker }
    }

    /// A client of its collector.
    pub fn client(&self) -> Emitter {
        Emitter::new(&self.endpoint)
    }

    /// The current worker. After the keeper's death, the last known worker.
    pub fn worker(&mut self) -> Process {
        if self.keeper.lives() {
            wait_until("a worker", || child(self.keeper.pid).is_some());
            self.last_worker = child(self.keeper.pid).unwrap_or(self.last_worker);
        }
        self.last_worker
    }

    /// Ends the worker with a signal and waits until it is gone.
    pub fn end_worker(&mut self, by: Signal) {
        end(self.worker(), by);
    }

    /// Kills the keeper and waits until it is gone.
    pub fn kill_keeper(&mut self) {
        self.worker();
        end(self.keeper, Signal::SIGKILL);
    }

    /// Kills keeper and worker. The keeper goes first because it would replace the worker.
    pub fn kill_both(&mut self) {
        self.kill_keeper();
        end(self.last_worker, Signal::SIGKILL);
    }

    /// Ends the program as its user would, and checks that it printed no messages. The collector finishes by itself.
    pub fn end(self) {
        assert_eq!(self.end_saying(), "");
    }

    /// Ends the program, and returns its messages. A launch may report on earlier sessions.
    pub fn end_saying(mut self) -> String {
        drop(self.stdin.take());
        assert!(self.program.wait().unwrap().success());
        let mut said = String::new();
        std::io::Read::read_to_string(self.program.stderr.as_mut().unwrap(), &mut said).unwrap();
        said
    }

    /// The program's pid.
    pub fn pid(&self) -> u32 {
        self.program.id()
    }
}

impl Drop for Session {
    /// Kills only the program. The sandbox kills the collectors, which finish after their program.
    fn drop(&mut self) {
        drop(self.stdin.take());
        drop(self.program.kill());
        drop(self.program.wait());
    }
}

/// Sends a signal to a process and waits until it is gone.
fn end(process: Process, by: Signal) {
    send(process, by);
    wait_until("the process to exit", || !process.lives() && threads(process.pid) <= 1);
}

/// The number of threads of a process. After a kill, threads may outlive the first one and keep files open: a thread
/// that waits for a disk ends when the disk has answered.
fn threads(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// Sends a signal. A process that is already gone is not an error.
pub fn send(process: Process, by: Signal) {
    if process.lives() {
        let _ = kill(Pid::from_raw(process.pid), by);
    }
}

/// The child of a process, unless it is a zombie.
pub fn child(of: i32) -> Option<Process> {
    pids().filter(|pid| parent(*pid) == of).find_map(living)
}

fn living(pid: i32) -> Option<Process> {
    start_time(pid).map(|started| Process { pid, started: Some(started) })
}
