//! The keeper: holds the listener and the plan, and replaces a worker that died. A port that refuses for a moment is a
//! batch that Claude Code loses, and the listener's backlog refuses nobody while one of the two lives.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fork::{Fork, WEXITSTATUS, WIFEXITED, WTERMSIG};

use super::plan::{Plan, Role};
use super::private::keep_private;
use super::worker;
use crate::log::Log;
use crate::notice;
use crate::state::SessionLock;

/// How many workers may die within [`CRASHES_WITHIN`] before the keeper gives up.
const MAXIMUM_CRASHES: usize = 5;

/// See [`MAXIMUM_CRASHES`].
const CRASHES_WITHIN: Duration = Duration::from_mins(10);

/// The largest plan, in bytes.
const MAXIMUM_PLAN: u64 = 16 << 20;

/// The exit status of a process whose work is done.
const OVER: i32 = 0;

/// The exit status of one that could not begin and has said so. One that panics, or that a signal ends, has another.
const FAILED: i32 = 1;

/// Whether a worker is executed instead of merely forked: on macOS the Keychain and Security fail after a bare fork.
const EXECUTED: bool = cfg!(target_os = "macos");

/// What was handed over on the three standard streams.
struct Handed {
    plan: Plan,
    /// The way to the launcher, which is answered once. One that stays has more to say, and waits for its end.
    launcher: Option<UnixStream>,
    listener: TcpListener,
}

/// The entry of `ccrun collector`; gives the process's exit status. In the process that was spawned it returns as soon
/// as that has forked, for the launcher to reap; in keeper and worker when the session is over.
pub fn run() -> i32 {
    let Ok((launcher, pipe, listener)) = take_over() else { return FAILED };
    // Before there is anything to keep.
    keep_private();
    let plan = match read_plan(pipe) {
        Ok(plan) => plan,
        Err(error) => return refuse(Some(&launcher), &format!("{error:#}")),
    };
    let launcher = Some(launcher);
    if plan.role == Role::Worker {
        return work(Handed { plan, launcher, listener });
    }
    // A session of its own: no terminal's signal, and no job control, reaches the collector.
    match fork::setsid().and_then(|_| fork::fork()) {
        Ok(Fork::Parent(_)) => OVER,
        Ok(Fork::Child) => keep(Handed { plan, launcher, listener }),
        Err(error) => refuse(launcher.as_ref(), &format!("cannot fork: {error}")),
    }
}

/// Moves what was handed over away from the standard streams, points these at nothing, and closes everything else
/// that came along.
fn take_over() -> io::Result<(UnixStream, File, TcpListener)> {
    let launcher = io::stdin().as_fd().try_clone_to_owned()?;
    let plan = io::stdout().as_fd().try_clone_to_owned()?;
    let listener = io::stderr().as_fd().try_clone_to_owned()?;
    fork::redirect_stdio()?;
    close_others(&[launcher.as_raw_fd(), plan.as_raw_fd(), listener.as_raw_fd()]);
    Ok((launcher.into(), plan.into(), listener.into()))
}

/// Closes every descriptor above the standard ones but these.
fn close_others(own: &[RawFd]) {
    let directory = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    let Ok(open) = std::fs::read_dir(directory) else { return };
    let open: Vec<RawFd> = open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2 && !own.contains(descriptor)) {
        // The one that listed the directory is closed already.
        let _closed_before = nix::unistd::close(descriptor);
    }
}

fn read_plan(pipe: File) -> Result<Plan> {
    let mut text = Vec::new();
    pipe.take(MAXIMUM_PLAN).read_to_end(&mut text).context("cannot read the plan")?;
    serde_json::from_slice(&text).context("cannot read the plan")
}

/// Keeps a worker running until the session is over. It holds the session's lock, which forked workers share: it is
/// free when the last of them has ended.
fn keep(mut handed: Handed) -> i32 {
    let _lock = match lock(&handed.plan) {
        Ok(lock) => lock,
        Err(error) => return refuse(handed.launcher.as_ref(), &format!("{error:#}")),
    };
    let log = Log::of(&handed.plan.setting.places, &handed.plan.session.id);
    let mut crashes: Vec<Instant> = Vec::new();
    let mut is_first = true;
    while crashes.len() <= MAXIMUM_CRASHES {
        let ended = if EXECUTED {
            execute(&handed)
        } else {
            match fork::fork() {
                Ok(Fork::Child) => return work(handed),
                Ok(Fork::Parent(worker)) => {
                    // One that becomes the program has no more to say, and hears of a failure by the end of the line.
                    handed.launcher = handed.launcher.filter(|_| handed.plan.stays);
                    fork::waitpid(worker).map(Ending::from_status)
                }
                Err(error) => Err(error),
            }
        };
        match ended {
            Ok(Ending::Exited(OVER)) => {
                // A launcher that stays hears of the end by the end of this process, and finds nobody there.
                std::mem::forget(handed.launcher.take());
                return OVER;
            }
            // The launcher has heard of it, and the program runs without telemetry: nobody would use another.
            Ok(Ending::Exited(FAILED)) if is_first => return FAILED,
            Ok(ending) => log.note(&format!("a worker ended {ending}")),
            Err(error) => {
                log.note(&format!("no worker could be started: {error}"));
                // Memory or processes are short for the moment.
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        is_first = false;
        let now = Instant::now();
        crashes.retain(|crash| now.duration_since(*crash) < CRASHES_WITHIN);
        crashes.push(now);
    }
    give_up(&handed.plan, &log);
    FAILED
}

/// Says that the session has no collector any more, in its log and at the next launch.
fn give_up(plan: &Plan, log: &Log) {
    let times = MAXIMUM_CRASHES + 1;
    log.note(&format!("workers ended {times} times within {} min: this is the end", CRASHES_WITHIN.as_secs() / 60));
    notice::leave(
        &plan.setting.places,
        &format!(
            "the collector of a session with profile `{}` ended {times} times and gave up, and what came after is \
             lost: `{}` says why",
            plan.session.profile,
            log.path().display()
        ),
    );
}

/// How a worker ended.
enum Ending {
    /// By itself, with an exit status.
    Exited(i32),
    /// By a signal.
    Signalled(Option<i32>),
}

impl Ending {
    /// Of a status as waitpid(2) gives it.
    fn from_status(status: i32) -> Self {
        if WIFEXITED(status) { Self::Exited(WEXITSTATUS(status)) } else { Self::Signalled(Some(WTERMSIG(status))) }
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(formatter, "with exit code {code}"),
            Self::Signalled(Some(signal)) => write!(formatter, "by signal {signal}"),
            Self::Signalled(None) => formatter.write_str("by a signal"),
        }
    }
}

fn lock(plan: &Plan) -> Result<SessionLock> {
    let path = plan.setting.places.lock(&plan.session.id);
    SessionLock::begin(&path).with_context(|| format!("cannot use `{}`", path.display()))
}

/// Runs a worker as this binary once more, handed everything as the launcher does. Gives how it ended.
fn execute(handed: &Handed) -> io::Result<Ending> {
    let (reader, mut writer) = io::pipe()?;
    let launcher = handed.launcher.as_ref().map(UnixStream::try_clone).transpose()?;
    let mut worker = Command::new(std::env::current_exe()?)
        .arg(super::WORD)
        .stdin(launcher.map_or_else(Stdio::null, |launcher| OwnedFd::from(launcher).into()))
        .stdout(reader)
        .stderr(OwnedFd::from(handed.listener.try_clone()?))
        .spawn()?;
    let plan = Plan { role: Role::Worker, ..handed.plan.clone() };
    writer.write_all(&serde_json::to_vec(&plan)?)?;
    drop(writer);
    let status = worker.wait()?;
    Ok(status.code().map_or(Ending::Signalled(status.signal()), Ending::Exited))
}

/// The worker's process, from its first to its last moment.
fn work(handed: Handed) -> i32 {
    let Handed { plan, launcher, listener } = handed;
    match worker::run(listener, plan, launcher.as_ref()) {
        Ok(()) => OVER,
        Err(error) => refuse(launcher.as_ref(), &format!("{error:#}")),
    }
}

/// Tells the launcher why there is no collector, and gives the exit status of a process that has failed.
fn refuse(launcher: Option<&UnixStream>, reason: &str) -> i32 {
    if let Some(mut launcher) = launcher {
        // One that no longer listens has gone on without an answer.
        drop(launcher.write_all(reason.as_bytes()));
    }
    FAILED
}
