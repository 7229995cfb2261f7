//! The launcher's side: starting the collector and hearing that it listens.

use std::io::{self, PipeReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::plan::Plan;
use crate::surroundings::Surroundings;

/// How long the launcher waits for the collector's answer.
const DEADLINE: Duration = Duration::from_millis(500);

/// The longest answer, in bytes.
const MAXIMUM_ANSWER: u64 = 4096;

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

/// Starts a collector for a plan. On return it listens, or lives and will: exports wait in the listener's backlog.
pub fn start(surroundings: &Surroundings, listener: TcpListener, plan: &Plan) -> Result<()> {
    let (plan_reader, mut plan_writer) = io::pipe().context("cannot make a pipe")?;
    let (ready_reader, ready_writer) = io::pipe().context("cannot make a pipe")?;
    let variables = surroundings.variables.iter();
    let passed_on = variables.filter(|(name, _)| PASSED_ON.iter().any(|passed| name.as_os_str() == *passed));
    // The three standard streams are the three descriptors that a spawned process takes without unsafe code. The
    // collector moves them out of the way first thing.
    let child = Command::new(&surroundings.executable)
        .arg("collector")
        .env_clear()
        .envs(passed_on)
        .stdin(plan_reader)
        .stdout(ready_writer)
        .stderr(Stdio::from(OwnedFd::from(listener)))
        .current_dir("/")
        .spawn()
        .with_context(|| format!("cannot run `{}`", surroundings.executable.display()))?;
    let written =
        serde_json::to_writer(&mut plan_writer, plan).map_err(io::Error::from).and_then(|()| plan_writer.flush());
    drop(plan_writer);
    let answer = match written {
        Ok(()) => answer(ready_reader),
        Err(error) => Err(error).context("the collector did not take its plan"),
    };
    reap(child)?;
    answer
}

/// Waits for `ready` or for what went wrong.
fn answer(mut pipe: PipeReader) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Ok(()),
            Ok(_) => break,
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => bail!("cannot wait for the collector: {error}"),
        }
    }
    let mut text = String::new();
    // The collector writes its whole answer at once and closes the pipe.
    pipe.by_ref().take(MAXIMUM_ANSWER).read_to_string(&mut text).context("the collector's answer is unreadable")?;
    match text.trim() {
        "ready" => Ok(()),
        "" => bail!("the collector ended before it listened"),
        error => bail!("{error}"),
    }
}

/// Reaps the process that was spawned, so that the program finds no child that it did not start. It has forked and
/// ended by now; one that has not is stuck, and is ended together with the attempt.
fn reap(mut child: Child) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    while child.try_wait().context("cannot wait for the collector")?.is_none() {
        if Instant::now() >= deadline {
            child.kill().and_then(|()| child.wait().map(drop)).context("cannot end the collector")?;
            bail!("the collector did not start within {} ms", DEADLINE.as_millis());
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}

/// Binds the session's port: loopback only, and a port that the kernel chooses.
pub fn bind() -> Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0)).context("cannot listen on 127.0.0.1")
}
