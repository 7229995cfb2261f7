//! A session that lives for as long as a test wants, and its collector's two processes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use ccrun::process::{Process, start_time};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::emitter::Emitter;
use super::sandbox::{Sandbox, parent, pids, text, wait_until};

/// What a session runs: it says what it was given, and lives until its stdin is closed.
const PROGRAM: [&str; 3] = ["sh", "-c", r#"echo "$OTEL_EXPORTER_OTLP_ENDPOINT $CCRUN_SESSION"; cat"#];

/// A running session. Whatever is left of it is killed when it is dropped.
pub struct Session {
    program: Child,
    stdin: Option<ChildStdin>,
    /// What the program was given as `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: String,
    /// Its id.
    pub id: String,
    /// The keeper, dead or alive.
    pub keeper: Process,
    /// The last worker that was looked for.
    last_worker: Process,
}

impl Session {
    /// Starts one with these options of `ccrun`.
    pub fn start(sandbox: &Sandbox, options: &[&str]) -> Self {
        Self::start_by(sandbox.ccrun(options))
    }

    /// Starts one with the profile `otlp`, which sends at once what it is given.
    pub fn to(sandbox: &Sandbox, endpoint: &str) -> Self {
        sandbox.profile("otlp", "[destination.otlp]\nbatch = \"1ms\"\n");
        Self::start(sandbox, &["-p", "otlp", "--var", &format!("endpoint={endpoint}")])
    }

    /// Starts one by a command that runs `ccrun` with the words that are added to it.
    pub fn start_by(mut command: Command) -> Self {
        let command = command.args(PROGRAM).stdin(Stdio::piped());
        let mut program = command.spawn().unwrap();
        let stdin = program.stdin.take();
        let mut line = String::new();
        BufReader::new(program.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let Some((endpoint, id)) = line.trim().split_once(' ').filter(|(endpoint, _)| !endpoint.is_empty()) else {
            drop(stdin);
            panic!("there is no session: {line} {}", text(&program.wait_with_output().unwrap().stderr));
        };
        // Its keeper holds this file and says so in it. As the program sees it, which may have mounts of its own.
        let home = command.get_envs().find_map(|(name, value)| value.filter(|_| name == "HOME")).unwrap();
        let root = format!("/proc/{}/root{}", program.id(), home.display());
        let lock = Path::new(&root).join(".local/state/ccrun/locks").join(id);
        let keeper = || living(std::fs::read_to_string(&lock).ok()?.trim().parse().ok()?);
        // The launcher waits only so long for its collector, which on a slow machine may be there later.
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

    /// The worker, once there is one; after the keeper's death the last that was looked for.
    pub fn worker(&mut self) -> Process {
        if self.keeper.lives() {
            wait_until("a worker", || child(self.keeper.pid).is_some());
            self.last_worker = child(self.keeper.pid).unwrap_or(self.last_worker);
        }
        self.last_worker
    }

    /// Ends a worker by a signal and waits until it has gone.
    pub fn end_worker(&mut self, by: Signal) {
        end(self.worker(), by);
    }

    /// Kills the keeper and waits until it has gone.
    pub fn kill_keeper(&mut self) {
        self.worker();
        end(self.keeper, Signal::SIGKILL);
    }

    /// Kills keeper and worker, the keeper first, or it would replace the worker.
    pub fn kill_both(&mut self) {
        self.kill_keeper();
        end(self.last_worker, Signal::SIGKILL);
    }

    /// Ends the program as its user would, who sees nothing of all that. The collector goes on by itself.
    pub fn end(self) {
        assert_eq!(self.end_saying(), "");
    }

    /// The same where its launch may have been told of others that went before. Gives what it was.
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
    /// The program alone: the sandbox kills collectors, and a session that was ended well has one for a while yet.
    fn drop(&mut self) {
        drop(self.stdin.take());
        drop(self.program.kill());
        drop(self.program.wait());
    }
}

/// Sends a signal to a process and waits until it has gone.
fn end(process: Process, by: Signal) {
    send(process, by);
    wait_until("a process to end", || !process.lives() && threads(process.pid) <= 1);
}

/// How many threads of a process there are. Those of one that is killed may outlive its first, with all its files open:
/// one that waits for a disk ends when the disk has answered.
fn threads(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// Sends a signal; a process that has gone is all right.
pub fn send(process: Process, by: Signal) {
    if process.lives() {
        let _ = kill(Pid::from_raw(process.pid), by);
    }
}

/// The child of a process that is no zombie.
pub fn child(of: i32) -> Option<Process> {
    pids().filter(|pid| parent(*pid) == of).find_map(living)
}

fn living(pid: i32) -> Option<Process> {
    start_time(pid).map(|started| Process { pid, started: Some(started) })
}
