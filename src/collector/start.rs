//! The launcher's side: starting the collector and hearing that it listens.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::news;
use super::plan::Plan;
use crate::process::Process;
use crate::surroundings::Surroundings;

/// How long the launcher waits for the collector's answer.
const DEADLINE: Duration = Duration::from_millis(500);

/// The longest answer, in bytes.
const MAXIMUM_ANSWER: usize = 4096;

/// Variables that the collector's libraries read: where the trusted certificates, the keyring and the time zone are.
const PASSED_ON: [&str; 10] = [
    "HOME",
    "LANG",
    "PATH",
    "TMPDIR",
    "TZ",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "DBUS_SESSION_BUS_ADDRESS",
    "XDG_RUNTIME_DIR",
    "USER",
];

/// What glibc's allocator reads; others pass over it. One arena for the few threads that there are, instead of one for
/// each; and what is large is given back to the system as soon as it is free, however much there was of it before.
const ALLOCATOR: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "131072")];

/// The launcher's way to its collector. It is closed when the launcher becomes the program, and at its end.
#[derive(Debug)]
pub struct Channel {
    stream: UnixStream,
    /// Whether children are reaped by the kernel, so that nobody can wait for one: SIGCHLD was ignored before us.
    pub reaps_itself: bool,
}

impl Channel {
    /// Says which process is the program.
    pub fn launched(&mut self, program: Process) {
        self.say(&news::program(program));
    }

    /// Says that the program has ended, and the session with it.
    pub fn over(&mut self) {
        self.say(&news::over());
    }

    fn say(&mut self, line: &str) {
        // A collector that has gone has nothing to hear.
        drop(self.stream.write_all(line.as_bytes()));
    }

    /// Whether the collector has gone. To be asked when [`AsFd`] is readable; whatever it says meanwhile is dropped.
    pub fn is_closed(&mut self) -> bool {
        !matches!(self.stream.read(&mut [0; 256]), Ok(1..))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Starts a collector for a plan. On return it listens, or lives and will: exports wait in the listener's backlog.
pub fn start(surroundings: &Surroundings, listener: TcpListener, plan: &Plan) -> Result<Channel> {
    // Written at once, where a piece at a time would be a thousand system calls, and as many for its reader.
    let plan = serde_json::to_vec(plan).context("cannot write the plan")?;
    let (plan_reader, mut plan_writer) = io::pipe().context("cannot make a pipe")?;
    let (mut stream, theirs) = UnixStream::pair().context("cannot make a socket")?;
    let variables = surroundings.variables.iter();
    let passed_on = variables.filter(|(name, _)| PASSED_ON.iter().any(|passed| name.as_os_str() == *passed));
    // The three standard streams are the three descriptors that a spawned process takes without unsafe code. The
    // collector moves them out of the way first thing.
    let child = Command::new(&surroundings.executable)
        .arg(super::WORD)
        .env_clear()
        .envs(passed_on)
        .envs(ALLOCATOR)
        .stdin(OwnedFd::from(theirs))
        .stdout(plan_reader)
        .stderr(Stdio::from(OwnedFd::from(listener)))
        .current_dir("/")
        .spawn()
        .with_context(|| format!("cannot run `{}`", surroundings.executable.display()))?;
    let written = plan_writer.write_all(&plan);
    drop(plan_writer);
    let answer = match written {
        Ok(()) => answer(&mut stream),
        Err(error) => Err(error).context("the collector did not take its plan"),
    };
    let reaps_itself = !reap(child)?;
    answer.map(|()| Channel { stream, reaps_itself })
}

/// Waits for `ready` or for what went wrong.
fn answer(stream: &mut UnixStream) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    let mut answer = Vec::new();
    let mut closed = false;
    // One that listens says so and goes on; one that cannot says why and goes.
    while !closed && answer != super::READY.as_bytes() && answer.len() < MAXIMUM_ANSWER {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) if answer.is_empty() => return Ok(()),
            Ok(0) => break,
            Ok(_) => {
                let mut some = [0; 512];
                let length = stream.read(&mut some).context("the collector's answer is unreadable")?;
                answer.extend_from_slice(&some[..length]);
                closed = length == 0;
            }
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => bail!("cannot wait for the collector: {error}"),
        }
    }
    match String::from_utf8_lossy(&answer).trim() {
        "ready" => Ok(()),
        "" => bail!("the collector ended before it listened"),
        error => bail!("{error}"),
    }
}

/// Reaps the process that was spawned, so that the program finds no child that it did not start. It has forked and
/// ended by now; one that has not is stuck, and is ended together with the attempt. False where the kernel does it.
fn reap(mut child: Child) -> Result<bool> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match child.try_wait() {
            Ok(Some(_)) => return Ok(true),
            Ok(None) => {}
            Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ECHILD as i32) => return Ok(false),
            Err(error) => return Err(error).context("cannot wait for the collector"),
        }
        if Instant::now() >= deadline {
            child.kill().and_then(|()| child.wait().map(drop)).context("cannot end the collector")?;
            bail!("the collector did not start within {} ms", DEADLINE.as_millis());
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// Binds the session's port: loopback only, and a port that the kernel chooses.
pub fn bind() -> Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0)).context("cannot listen on 127.0.0.1")
}
