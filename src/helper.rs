//! Helper commands: an argv, never a shell, whose stdout is a value. Bounded in time and in what it may print.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::credential::Keyring;
use crate::printable::printable;

/// How much a helper may print, in bytes.
const MAXIMUM_OUTPUT: u64 = 64 * 1024;

/// The pause between two looks at a helper that runs.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// How long to wait for the rest of what an ended helper printed, if some process that it left behind, out of its
/// group, still holds the pipe. What is in the pipe by then is read at once.
const GRACE: Duration = Duration::from_secs(5);

/// Where values are fetched.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The user's home: the working directory of helpers.
    pub home: &'a Path,
    /// The user's environment.
    pub variables: &'a BTreeMap<String, String>,
    /// Variables that headers are taken from: no helper is given them.
    pub withheld: Option<&'a BTreeSet<String>>,
    /// The root of the project that the launch was in, without links: nothing of it is on a helper's PATH.
    pub project: Option<&'a Path>,
    /// The keyring that entries are read from.
    pub keyring: Keyring,
    /// How long a look-up in the keyring may take, its user's answer included, and asking a server for a token.
    pub patience: Duration,
}

/// Shows the places alone: there are secrets in every environment.
impl fmt::Debug for Ground<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Ground");
        shown.field("home", &self.home).field("project", &self.project).field("keyring", &self.keyring);
        shown.finish_non_exhaustive()
    }
}

impl<'a> Ground<'a> {
    /// One without a project, on which the keyring is the desktop's and nobody waits for it.
    pub fn new(home: &'a Path, variables: &'a BTreeMap<String, String>) -> Self {
        Self { home, variables, withheld: None, project: None, keyring: Keyring::default(), patience: Duration::ZERO }
    }

    /// A variable that is not empty.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).filter(|value| !value.is_empty()).cloned()
    }
}

/// Runs a helper and gives what it printed, without the line break at its end. One that takes longer than `timeout` is
/// killed with all its children.
///
/// Errors begin as what is said of the command: `ended with exit status: 1: …`.
pub fn run(argv: &[String], ground: Ground<'_>, timeout: Duration) -> Result<String, String> {
    let mut command = command(argv, ground)?;
    // A group of its own, so that all of it can be killed, and no terminal's signal ends it.
    command.process_group(0).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot be run: {error}"))?;
    let group = Pid::from_raw(child.id().try_into().unwrap_or(i32::MAX));
    running().insert(group.as_raw());
    let (output, errors) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let status = wait(&mut child, timeout);
    // Whoever still holds the pipes belongs to the group; if nobody is left in it there is nobody to kill.
    let _nobody_left = killpg(group, Signal::SIGKILL);
    running().remove(&group.as_raw());
    drop(child.wait());
    let until = Instant::now() + GRACE;
    let (output, errors) = (collected(&output, until), collected(&errors, until));
    // First, for whoever prints into a pipe that nobody reads any more ends by that.
    if is_too_much(&output) {
        return Err(too_much());
    }
    match status {
        None => Err(took_longer(timeout)),
        Some(status) if !status.success() => Err(ended(status, &String::from_utf8_lossy(&errors))),
        Some(_) => value(output),
    }
}

/// Runs a helper that talks to its user, on the terminal. What it prints to stdout is the value; all else goes to the
/// terminal, and what is typed there comes from it, wherever our own streams lead: they are meant for the program that
/// is launched.
///
/// It stays in our process group, or it would be stopped as soon as it reads the terminal, and an interrupt ends both.
pub fn run_interactive(argv: &[String], ground: Ground<'_>, timeout: Duration) -> Result<String, String> {
    let mut command = command(argv, ground)?;
    let terminal = || File::options().read(true).write(true).open("/dev/tty");
    let (Ok(input), Ok(errors)) = (terminal(), terminal()) else {
        return Err("wants to talk to its user, and there is no terminal".to_owned());
    };
    let spawned = command.stdin(input).stderr(errors).spawn();
    let mut child = spawned.map_err(|error| format!("cannot be run: {error}"))?;
    let output = reader(child.stdout.take());
    let status = wait(&mut child, timeout);
    drop(child.kill());
    drop(child.wait());
    let output = collected(&output, Instant::now() + GRACE);
    match status {
        _ if is_too_much(&output) => Err(too_much()),
        None => Err(took_longer(timeout)),
        Some(status) if !status.success() => Err(ended(status, "")),
        Some(_) => value(output),
    }
}

/// The process groups of helpers that run.
static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn running() -> MutexGuard<'static, BTreeSet<i32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills all helpers that run: the process ends, and nobody would be there to end them in time.
pub fn end_all() {
    for group in &*running() {
        // One that has ended meanwhile is all right.
        let _nobody_left = killpg(Pid::from_raw(*group), Signal::SIGKILL);
    }
}

fn command(argv: &[String], ground: Ground<'_>) -> Result<Command, String> {
    let (program, arguments) = argv.split_first().ok_or("names no program")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(ground.home).env_clear().envs(environment(ground)).stdout(Stdio::piped());
    Ok(command)
}

/// The user's environment without what is about telemetry or ours and without headers' values, and a PATH of which a
/// helper's meaning cannot depend on the directory that somebody happens to be in.
fn environment(ground: Ground<'_>) -> BTreeMap<String, String> {
    let is_withheld = |name: &String| ground.withheld.is_some_and(|withheld| withheld.contains(name));
    let is_ours = |name: &String| name.starts_with("OTEL_") || name.starts_with("CCRUN_");
    let passed = ground.variables.iter().filter(|(name, _)| !is_ours(name) && !is_withheld(name));
    let mut passed: BTreeMap<_, _> = passed.map(|(name, value)| (name.clone(), value.clone())).collect();
    if let Some(path) = passed.remove("PATH") {
        let entries: Vec<_> = path.split(':').filter(|entry| is_dependable(Path::new(entry), ground.project)).collect();
        // An empty one would stand for the working directory, and none for the system's own.
        if !entries.is_empty() {
            passed.insert("PATH".to_owned(), entries.join(":"));
        }
    }
    passed
}

/// Whether an entry of the PATH is absolute, and neither of the project nor a link into it.
fn is_dependable(entry: &Path, project: Option<&Path>) -> bool {
    let is_within = |path: &Path| project.is_some_and(|project| path.starts_with(project));
    let leads_within = || entry.canonicalize().is_ok_and(|path| is_within(&path));
    entry.is_absolute() && !is_within(entry) && !leads_within()
}

fn is_too_much(output: &[u8]) -> bool {
    output.len() as u64 > MAXIMUM_OUTPUT
}

fn too_much() -> String {
    format!("printed more than {MAXIMUM_OUTPUT} bytes")
}

fn took_longer(timeout: Duration) -> String {
    format!("took longer than {} s", timeout.as_secs())
}

fn ended(status: ExitStatus, said: &str) -> String {
    let said = printable(said.trim());
    let separator = if said.is_empty() { "" } else { ": " };
    format!("ended with {status}{separator}{said}")
}

fn value(output: Vec<u8>) -> Result<String, String> {
    let text = String::from_utf8(output).map_err(|_| "printed what is not UTF-8".to_owned())?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// A program as a file names it: one with a slash starts at the file's directory, any other is looked for on the PATH.
pub fn located(program: &str, directory: Option<&Path>) -> PathBuf {
    match directory {
        Some(directory) if program.contains('/') => directory.join(program),
        _ => PathBuf::from(program),
    }
}

/// What comes out of a pipe, piece by piece, until it is closed.
type Reading = Receiver<Vec<u8>>;

/// Reads on a thread of its own, so that a helper that prints much is not held up, and its pipe's end is noticed.
fn reader(pipe: Option<impl Read + Send + 'static>) -> Reading {
    let (sender, reading) = mpsc::channel();
    let read = move || {
        let Some(pipe) = pipe else { return };
        let mut pipe = pipe.take(MAXIMUM_OUTPUT + 1);
        let mut piece = [0; 4096];
        // What cannot be read is as good as not printed.
        while let Ok(length @ 1..) = pipe.read(&mut piece)
            && sender.send(piece[..length].to_vec()).is_ok()
        {}
    };
    // Without a thread nothing is read, which is an answer too.
    drop(std::thread::Builder::new().spawn(read));
    reading
}

fn collected(reading: &Reading, until: Instant) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        match reading.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(piece) => bytes.extend(piece),
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => return bytes,
        }
    }
}

fn wait(child: &mut Child, timeout: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + timeout;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(BETWEEN_LOOKS),
            _ => return None,
        }
    }
}

#[cfg(test)]
#[path = "helper_tests.rs"]
mod tests;
