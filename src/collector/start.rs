//! The launcher's side: starts the collector and waits until it listens.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::plan::SessionPlan;
use crate::collector::control_channel;
use crate::system::process::Process;
use crate::system::process_environment::ProcessEnvironment;

/// How long the launcher waits for the collector's answer.
const DEADLINE: Duration = Duration::from_millis(500);

/// The maximum length of an answer, in bytes.
const MAXIMUM_ANSWER: usize = 4096;

/// Variables that the collector's libraries read: the places of trusted certificates, the keyring and the time zone.
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

/// Settings of glibc's allocator, ignored by others. One arena is enough for a few threads, and large blocks are
/// returned to the system as soon as they are freed.
const ALLOCATOR: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "131072")];

/// The launcher's connection to its collector. It is closed when the launcher becomes the program or exits.
#[derive(Debug)]
pub struct Channel {
    stream: UnixStream,
    /// Whether the kernel reaps children, because SIGCHLD was ignored, so that none can be waited for.
    pub reaps_itself: bool,
}

impl Channel {
    /// Reports which process is the program.
    pub fn launched(&mut self, program: Process) {
        self.say(&control_channel::program(program));
    }

    /// Reports that the program has exited, which ends the session.
    pub fn over(&mut self) {
        self.say(&control_channel::over());
    }

    fn say(&mut self, line: &str) {
        // A collector that has exited needs no message.
        drop(self.stream.write_all(line.as_bytes()));
    }

    /// Whether the collector has exited. Call when [`AsFd`] is readable. Any other messages are discarded.
    pub fn is_closed(&mut self) -> bool {
        !matches!(self.stream.read(&mut [0; 256]), Ok(1..))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Starts a collector for a plan. On return it listens, or is alive and will: exports wait in the listener's backlog.
pub fn start(process: &ProcessEnvironment, listener: TcpListener, plan: &SessionPlan) -> Result<Channel> {
    // Written in one piece, because many small writes would mean a thousand system calls on each side.
    let plan = serde_json::to_vec(plan).context("cannot write the plan")?;
    let (plan_reader, mut plan_writer) = io::pipe().context("cannot create a pipe")?;
    let (mut stream, theirs) = UnixStream::pair().context("cannot create a socket")?;
    let variables = process.variables.iter();
    let passed_on = variables.filter(|(name, _)| PASSED_ON.iter().any(|passed| name.as_os_str() == *passed));
    // The three standard streams are the only descriptors that a spawned process can inherit without unsafe code. The
    // collector moves them first.
    let child = Command::new(&process.executable)
        .arg(super::WORD)
        .env_clear()
        .envs(passed_on)
        .envs(ALLOCATOR)
        .stdin(OwnedFd::from(theirs))
        .stdout(plan_reader)
        .stderr(Stdio::from(OwnedFd::from(listener)))
        .current_dir("/")
        .spawn()
        .with_context(|| format!("cannot run `{}`", process.executable.display()))?;
    let written = plan_writer.write_all(&plan);
    drop(plan_writer);
    let answer = match written {
        Ok(()) => answer(&mut stream),
        Err(error) => Err(error).context("the collector did not read its plan"),
    };
    let reaps_itself = !reap(child)?;
    answer.map(|()| Channel { stream, reaps_itself })
}

/// Waits for `ready` or an error.
fn answer(stream: &mut UnixStream) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    let mut answer = Vec::new();
    let mut closed = false;
    // A collector that listens answers and stays; one that cannot listen answers with the error and exits.
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
        "" => bail!("the collector exited before it listened"),
        error => bail!("{error}"),
    }
}

/// Reaps the spawned process, so that the program has no child that it did not start. It has forked and exited by now.
/// If not, it is stuck and is killed. Returns false if the kernel reaps it.
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

/// Binds the session's port: on loopback, chosen by the kernel.
pub fn bind() -> Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0)).context("cannot listen on 127.0.0.1")
}
