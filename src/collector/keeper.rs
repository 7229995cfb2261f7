//! The keeper holds the listener and the plan, and replaces a worker that has died. If the port refused connections
//! even for a moment, Claude Code would lose a batch. While either process lives, connections wait in the listener's
//! backlog.

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

use super::plan::{Role, SessionPlan};
use super::private::keep_private;
use super::{placeholder, worker};
use crate::claude;
use crate::state::log::Log;
use crate::state::{SessionLock, notice};

/// How many workers may die within [`CRASHES_WITHIN`] before the keeper gives up.
const MAXIMUM_CRASHES: usize = 5;

/// See [`MAXIMUM_CRASHES`].
const CRASHES_WITHIN: Duration = Duration::from_mins(10);

/// The maximum size of a plan, in bytes.
const MAXIMUM_PLAN: u64 = 16 << 20;

/// The exit status of a process that has finished its work.
const OVER: i32 = 0;

/// The exit status of a process that could not start and has reported why. A panic or a signal gives another one.
const FAILED: i32 = 1;

/// Whether a worker is executed instead of only forked: on macOS, Keychain and Security fail after a bare fork.
const EXECUTED: bool = cfg!(target_os = "macos");

/// What the launcher passed on the three standard streams.
struct Handed {
    plan: SessionPlan,
    /// The connection to the launcher, which gets one answer. A launcher that stays sends more, and waits for the end.
    launcher: Option<UnixStream>,
    listener: TcpListener,
}

/// The entry point of `ccrun collector`; returns the process's exit status. The spawned process returns as soon as it
/// has forked, for the launcher to reap. Keeper and worker return when the session is over.
pub fn run() -> i32 {
    let Ok((launcher, pipe, listener)) = take_over() else { return FAILED };
    // First, before there is anything to protect.
    keep_private();
    let plan = match read_plan(pipe) {
        Ok(plan) => plan,
        Err(error) => return refuse(Some(&launcher), &format!("{error:#}")),
    };
    let launcher = Some(launcher);
    if plan.role == Role::Worker {
        return work(Handed { plan, launcher, listener });
    }
    // A session of its own, so that terminal signals and job control do not reach the collector.
    match fork::setsid().and_then(|_| fork::fork()) {
        Ok(Fork::Parent(_)) => OVER,
        Ok(Fork::Child) => keep(Handed { plan, launcher, listener }),
        Err(error) => refuse(launcher.as_ref(), &format!("cannot fork: {error}")),
    }
}

/// Moves the passed descriptors away from the standard streams, redirects those to nothing, and closes all other
/// inherited descriptors.
fn take_over() -> io::Result<(UnixStream, File, TcpListener)> {
    let launcher = io::stdin().as_fd().try_clone_to_owned()?;
    let plan = io::stdout().as_fd().try_clone_to_owned()?;
    let listener = io::stderr().as_fd().try_clone_to_owned()?;
    fork::redirect_stdio()?;
    close_others(&[launcher.as_raw_fd(), plan.as_raw_fd(), listener.as_raw_fd()]);
    Ok((launcher.into(), plan.into(), listener.into()))
}

/// Closes every descriptor above the standard ones except these.
fn close_others(own: &[RawFd]) {
    let directory = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    let Ok(open) = std::fs::read_dir(directory) else { return };
    let open: Vec<RawFd> = open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2 && !own.contains(descriptor)) {
        // The one that listed the directory is already closed.
        let _closed_before = nix::unistd::close(descriptor);
    }
}

fn read_plan(pipe: File) -> Result<SessionPlan> {
    let mut text = Vec::new();
    pipe.take(MAXIMUM_PLAN).read_to_end(&mut text).context("cannot read the plan")?;
    serde_json::from_slice(&text).context("cannot read the plan")
}

/// Keeps a worker running until the session is over. Holds the session's lock, which forked workers share: it is
/// released when the last of them exits.
fn keep(mut handed: Handed) -> i32 {
    let lock = match lock(&handed.plan) {
        Ok(lock) => lock,
        Err(error) => return refuse(handed.launcher.as_ref(), &format!("{error:#}")),
    };
    let log = Log::of(&handed.plan.workspace.places, &handed.plan.session.id);
    let mut crashes: Vec<Instant> = Vec::new();
    let mut is_first = true;
    while crashes.len() <= MAXIMUM_CRASHES {
        handed.plan.worker = handed.plan.worker.saturating_add(1);
        let ended = if EXECUTED {
            execute(&handed)
        } else {
            match fork::fork() {
                Ok(Fork::Child) => return work(handed),
                Ok(Fork::Parent(worker)) => {
                    // A launcher that becomes the program sends nothing more, and learns of a failure from the closed
                    // channel.
                    handed.launcher = handed.launcher.filter(|_| handed.plan.stays);
                    fork::waitpid(worker).map(Ending::from_status)
                }
                Err(error) => Err(error),
            }
        };
        match ended {
            Ok(Ending::Exited(OVER)) => {
                // A launcher that stays learns of the end from the closed channel when this process exits.
                std::mem::forget(handed.launcher.take());
                return OVER;
            }
            // The launcher knows, and the program runs without telemetry, so a replacement would be unused.
            Ok(Ending::Exited(FAILED)) if is_first => return FAILED,
            Ok(ending) => log.note(&format!("a worker exited {ending}")),
            Err(error) => {
                log.note(&format!("cannot start a worker: {error}"));
                // Memory or processes are exhausted for the moment.
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        is_first = false;
        let now = Instant::now();
        crashes.retain(|crash| now.duration_since(*crash) < CRASHES_WITHIN);
        crashes.push(now);
    }
    give_up(&handed.plan, &log);
    // Others may deliver what is left, and a launcher that stays need not wait for it.
    drop((lock, handed.launcher.take()));
    placeholder::hold(&handed.listener, &handed.plan);
    handed.plan.settings.iter().for_each(|settings| claude::end_settings(settings));
    FAILED
}

/// Reports in the log and at the next launch that the session no longer has a collector.
fn give_up(plan: &SessionPlan, log: &Log) {
    let times = MAXIMUM_CRASHES + 1;
    log.note(&format!("worker exited {times} times in {} min; giving up", CRASHES_WITHIN.as_secs() / 60));
    notice::leave(
        &plan.workspace.places,
        &format!(
            "the collector of a session with profile `{}` exited {times} times and gave up; later telemetry is \
             lost: see `{}`",
            plan.session.profile,
            log.path().display()
        ),
    );
}

/// How a worker exited.
enum Ending {
    /// With an exit code.
    Exited(i32),
    /// By a signal.
    Signalled(Option<i32>),
}

impl Ending {
    /// From a status of waitpid(2).
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

fn lock(plan: &SessionPlan) -> Result<SessionLock> {
    let path = plan.workspace.places.lock(&plan.session.id);
    SessionLock::begin(&path).with_context(|| format!("cannot use `{}`", path.display()))
}

/// Runs a worker by executing this binary again with the same descriptors as from the launcher. Returns how it exited.
fn execute(handed: &Handed) -> io::Result<Ending> {
    let (reader, mut writer) = io::pipe()?;
    let launcher = handed.launcher.as_ref().map(UnixStream::try_clone).transpose()?;
    #[expect(clippy::disallowed_methods, reason = "needed here, and there is no other source")]
    let executable = std::env::current_exe()?;
    let mut worker = Command::new(executable)
        .arg(super::WORD)
        .stdin(launcher.map_or_else(Stdio::null, |launcher| OwnedFd::from(launcher).into()))
        .stdout(reader)
        .stderr(OwnedFd::from(handed.listener.try_clone()?))
        .spawn()?;
    let plan = SessionPlan { role: Role::Worker, ..handed.plan.clone() };
    writer.write_all(&serde_json::to_vec(&plan)?)?;
    drop(writer);
    let status = worker.wait()?;
    Ok(status.code().map_or(Ending::Signalled(status.signal()), Ending::Exited))
}

/// The whole life of a worker process.
fn work(handed: Handed) -> i32 {
    let Handed { plan, launcher, listener } = handed;
    match worker::run(listener, plan, launcher.as_ref()) {
        Ok(()) => OVER,
        Err(error) => refuse(launcher.as_ref(), &format!("{error:#}")),
    }
}

/// Tells the launcher why there is no collector, and returns the exit status of a failed process.
fn refuse(launcher: Option<&UnixStream>, reason: &str) -> i32 {
    if let Some(mut launcher) = launcher {
        // A launcher that no longer listens has continued without an answer.
        drop(launcher.write_all(reason.as_bytes()));
    }
    FAILED
}
