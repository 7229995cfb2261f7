//! Helper commands: an argv, never a shell, whose stdout is a value. Bounded in time and in what it may print.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How much a helper may print, in bytes.
const MAXIMUM_OUTPUT: u64 = 64 * 1024;

/// The pause between two looks at a helper that runs.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// Where helpers run.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// Their working directory: the user's home.
    pub home: &'a Path,
    /// The user's environment.
    pub variables: &'a BTreeMap<String, String>,
}

impl Ground<'_> {
    /// A variable that is not empty.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).filter(|value| !value.is_empty()).cloned()
    }
}

/// Runs a helper and gives what it printed, without the line break at its end. One that takes longer than `timeout` is
/// killed with all its children.
///
/// Errors begin as what is said of the command: `exited with 1: …`.
pub fn run(argv: &[String], ground: Ground<'_>, timeout: Duration) -> Result<String, String> {
    let Some((program, arguments)) = argv.split_first() else { return Err("names no program".to_owned()) };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(ground.home).env_clear().envs(environment(ground.variables));
    // A group of its own, so that all of it can be killed, and no terminal's signal ends it.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot be run: {error}"))?;
    let group = Pid::from_raw(child.id().try_into().unwrap_or(i32::MAX));
    running().insert(group.as_raw());
    let (output, errors) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let status = wait(&mut child, timeout);
    // Whoever still holds the pipes belongs to the group; if nobody is left in it there is nobody to kill.
    let _nobody_left = killpg(group, Signal::SIGKILL);
    running().remove(&group.as_raw());
    drop(child.wait());
    let (output, errors) = (collected(output), collected(errors));
    // First, for whoever prints into a pipe that nobody reads any more ends by that.
    if output.len() as u64 > MAXIMUM_OUTPUT {
        return Err(format!("printed more than {MAXIMUM_OUTPUT} bytes"));
    }
    match status {
        None => Err(format!("took longer than {} s", timeout.as_secs())),
        Some(status) if !status.success() => {
            let said = String::from_utf8_lossy(&errors);
            let said = crate::printable::printable(said.trim());
            let separator = if said.is_empty() { "" } else { ": " };
            Err(format!("ended with {status}{separator}{said}"))
        }
        Some(_) => {
            let text = String::from_utf8(output).map_err(|_| "printed what is not UTF-8".to_owned())?;
            Ok(text.trim_end_matches(['\n', '\r']).to_owned())
        }
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

/// The user's environment without what is about telemetry or ours, and a PATH without relative entries: what runs must
/// not depend on the directory somebody happens to be in.
pub(crate) fn environment(variables: &BTreeMap<String, String>) -> impl Iterator<Item = (String, String)> {
    let passed = variables.iter().filter(|(name, _)| !name.starts_with("OTEL_") && !name.starts_with("CCRUN_"));
    passed.map(|(name, value)| {
        let value = if name == "PATH" { absolute_entries(value) } else { value.clone() };
        (name.clone(), value)
    })
}

fn absolute_entries(path: &str) -> String {
    let entries = path.split(':').filter(|entry| Path::new(entry).is_absolute());
    entries.collect::<Vec<_>>().join(":")
}

/// A program as a file names it: one with a slash starts at the file's directory, any other is looked for on the PATH.
pub fn located(program: &str, directory: Option<&Path>) -> PathBuf {
    match directory {
        Some(directory) if program.contains('/') => directory.join(program),
        _ => PathBuf::from(program),
    }
}

type Reading = Option<std::thread::JoinHandle<Vec<u8>>>;

/// Reads on a thread of its own, so that a helper that prints much is not held up, and its pipe's end is noticed.
fn reader(pipe: Option<impl Read + Send + 'static>) -> Reading {
    let pipe = pipe?;
    let read = move || {
        let mut bytes = Vec::new();
        // What cannot be read is as good as not printed.
        drop(pipe.take(MAXIMUM_OUTPUT + 1).read_to_end(&mut bytes));
        bytes
    };
    std::thread::Builder::new().spawn(read).ok()
}

fn collected(reading: Reading) -> Vec<u8> {
    reading.and_then(|reading| reading.join().ok()).unwrap_or_default()
}

fn wait(child: &mut Child, timeout: Duration) -> Option<std::process::ExitStatus> {
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
mod tests {
    use super::*;

    fn sh(script: &str, timeout: Duration) -> Result<String, String> {
        let variables = [("PATH", "/usr/bin:.:/bin"), ("OTEL_X", "1"), ("CCRUN_X", "1"), ("MINE", "2")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let ground = Ground { home: Path::new("/"), variables: &variables };
        run(&["sh".to_owned(), "-c".to_owned(), script.to_owned()], ground, timeout)
    }

    #[test]
    fn what_it_prints_is_the_value() {
        let second = Duration::from_mins(1);
        let script = "echo $PATH $OTEL_X $CCRUN_X $MINE; pwd; cat";
        assert_eq!(sh(script, second).unwrap(), "/usr/bin:/bin 2\n/");
        assert_eq!(sh("echo no >&2; exit 3", second).unwrap_err(), "ended with exit status: 3: no");
        assert!(sh("head -c 70000 /dev/zero", second).unwrap_err().contains("printed more than"));
        assert!(sh("printf '\\377'", second).unwrap_err().contains("not UTF-8"));
    }

    #[test]
    fn one_that_takes_too_long_is_killed_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let script = format!("sh -c 'echo $$ > {}; exec sleep 600' & wait", file.display());
        assert_eq!(sh(&script, Duration::from_secs(1)).unwrap_err(), "took longer than 1 s");
        let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        let child = crate::process::Process { pid, started: None };
        child.watch().wait();
        assert!(!child.lives());
    }
}
