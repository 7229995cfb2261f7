//! Helper commands: an argument list, never a shell, whose stdout is a value. Time and output are bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::secret::Keyring;
use crate::terminal::printable::printable;

/// How much a helper may print, in bytes.
const MAXIMUM_OUTPUT: u64 = 64 * 1024;

/// The pause between two checks of a running helper.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// How long to wait for the rest of a helper's output. A process that it left behind, outside its group, may keep the
/// pipe open. Output that is already in the pipe is read at once.
const GRACE: Duration = Duration::from_secs(5);

/// The context in which values are fetched.
#[derive(Clone, Copy)]
pub struct FetchContext<'a> {
    /// The home directory, which is the working directory of helpers.
    pub home: &'a Path,
    /// The user's environment.
    pub variables: &'a BTreeMap<String, String>,
    /// Variables that headers are taken from. Helpers do not get them.
    pub withheld: Option<&'a BTreeSet<String>>,
    /// The root of the launch's project, without links. Nothing in it is on a helper's PATH.
    pub project: Option<&'a Path>,
    /// The keyring that entries are read from.
    pub keyring: Keyring,
    /// How long a keyring look-up, including a prompt, or a token request may take.
    pub patience: Duration,
}

/// Shows only the paths: environments contain secrets.
impl fmt::Debug for FetchContext<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("FetchContext");
        shown.field("home", &self.home).field("project", &self.project).field("keyring", &self.keyring);
        shown.finish_non_exhaustive()
    }
}

impl<'a> FetchContext<'a> {
    /// A context without a project, with the desktop's keyring and no patience for prompts.
    pub fn new(home: &'a Path, variables: &'a BTreeMap<String, String>) -> Self {
        Self { home, variables, withheld: None, project: None, keyring: Keyring::default(), patience: Duration::ZERO }
    }

    /// A variable that is not empty.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).filter(|value| !value.is_empty()).cloned()
    }
}

/// Runs a helper and returns its output without the final line break. A helper that takes longer than `timeout` is
/// killed with all its children.
///
/// Errors continue the name of the command: `ended with exit status: 1: …`.
pub fn run(argv: &[String], context: FetchContext<'_>, timeout: Duration) -> Result<String, String> {
    value(output(argv, None, context, timeout)?)
}

/// Runs a program with an input, and ignores its output. The input must fit a pipe: 64 KiB on Linux, 16 on macOS.
///
/// Errors are those of [`run`].
pub fn feed(argv: &[String], input: &[u8], context: FetchContext<'_>, timeout: Duration) -> Result<(), String> {
    output(argv, Some(input), context, timeout).map(drop)
}

fn output(
    argv: &[String],
    input: Option<&[u8]>,
    context: FetchContext<'_>,
    timeout: Duration,
) -> Result<Vec<u8>, String> {
    let mut command = command(argv, context)?;
    // A process group of its own, so that all of it can be killed and no terminal signal reaches it.
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    command.process_group(0).stdin(stdin).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot be run: {error}"))?;
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        // A program that does not read it may succeed as well.
        drop(pipe.write_all(input));
    }
    let group = Pid::from_raw(child.id().try_into().unwrap_or(i32::MAX));
    running().insert(group.as_raw());
    let (output, errors) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let status = wait(&mut child, timeout);
    // Processes that keep the pipes open belong to the group. If the group is empty, there is nothing to kill.
    let _already_gone = killpg(group, Signal::SIGKILL);
    running().remove(&group.as_raw());
    drop(child.wait());
    let until = Instant::now() + GRACE;
    let (output, errors) = (collected(&output, until), collected(&errors, until));
    // Checked first, because a helper whose output is no longer read ends with an error.
    if is_too_much(&output) {
        return Err(too_much());
    }
    match status {
        None => Err(took_longer(timeout)),
        Some(status) if !status.success() => Err(ended(status, &String::from_utf8_lossy(&errors))),
        Some(_) => Ok(output),
    }
}

/// Runs an interactive helper on the terminal. Its stdout is the value; its stderr and stdin are the terminal, even if
/// `ccrun`'s own streams are redirected, because those are meant for the launched program.
///
/// It stays in the process group of `ccrun`. Otherwise it would be stopped when it reads the terminal. An interrupt
/// ends both.
pub fn run_interactive(argv: &[String], context: FetchContext<'_>, timeout: Duration) -> Result<String, String> {
    let mut command = command(argv, context)?;
    let terminal = || File::options().read(true).write(true).open("/dev/tty");
    let (Ok(input), Ok(errors)) = (terminal(), terminal()) else {
        return Err("is interactive, and there is no terminal".to_owned());
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

/// The process groups of running helpers.
static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn running() -> MutexGuard<'static, BTreeSet<i32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills all running helpers before the process ends, because nothing would enforce their timeouts afterwards.
pub fn end_all() {
    for group in &*running() {
        // One may have ended in the meantime.
        let _already_gone = killpg(Pid::from_raw(*group), Signal::SIGKILL);
    }
}

fn command(argv: &[String], context: FetchContext<'_>) -> Result<Command, String> {
    let (program, arguments) = argv.split_first().ok_or("names no program")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(context.home).env_clear().envs(environment(context)).stdout(Stdio::piped());
    Ok(command)
}

/// The user's environment without telemetry variables, `ccrun`'s own and header values. The PATH is reduced to entries
/// on which a helper's meaning does not depend on the current directory.
fn environment(context: FetchContext<'_>) -> BTreeMap<String, String> {
    let is_withheld = |name: &String| context.withheld.is_some_and(|withheld| withheld.contains(name));
    let is_ours = |name: &String| name.starts_with("OTEL_") || name.starts_with("CCRUN_");
    let passed = context.variables.iter().filter(|(name, _)| !is_ours(name) && !is_withheld(name));
    let mut passed: BTreeMap<_, _> = passed.map(|(name, value)| (name.clone(), value.clone())).collect();
    if let Some(path) = passed.remove("PATH") {
        let entries: Vec<_> =
            path.split(':').filter(|entry| is_dependable(Path::new(entry), context.project)).collect();
        // An empty PATH means the working directory, and an unset one the system's default.
        if !entries.is_empty() {
            passed.insert("PATH".to_owned(), entries.join(":"));
        }
    }
    passed
}

/// Whether an entry of the PATH is absolute, and not in the project or a link into it.
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
    let text = String::from_utf8(output).map_err(|_| "printed invalid UTF-8".to_owned())?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// The program of a command in a file: with a slash, relative to the file's directory; otherwise found on PATH.
pub fn located(program: &str, directory: Option<&Path>) -> PathBuf {
    match directory {
        Some(directory) if program.contains('/') => directory.join(program),
        _ => PathBuf::from(program),
    }
}

/// The output of a pipe, piece by piece, until it is closed.
type Reading = Receiver<Vec<u8>>;

/// Reads on its own thread, so that a helper with much output is not blocked and the end of the pipe is noticed.
fn reader(pipe: Option<impl Read + Send + 'static>) -> Reading {
    let (sender, reading) = mpsc::channel();
    let read = move || {
        let Some(pipe) = pipe else { return };
        let mut pipe = pipe.take(MAXIMUM_OUTPUT + 1);
        let mut piece = [0; 4096];
        // A read error counts as the end.
        while let Ok(length @ 1..) = pipe.read(&mut piece)
            && sender.send(piece[..length].to_vec()).is_ok()
        {}
    };
    // Without a thread nothing is read, and the output is empty.
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
mod tests;
