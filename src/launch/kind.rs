//! Decides what kind of launch this is: without `ccrun`, a new session, or a repeated launch within a session.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use anyhow::Result;

use super::sentinel::{self, Caller, Nesting, Sentinel};
use super::{ExecError, Program, find, is_shim};
use crate::system::file_identity::file_identity;
use crate::system::process_environment::ProcessEnvironment;
use crate::workspace::{Config, Workspace};
use crate::{claude, environment};

/// The kind of a launch.
#[derive(Debug)]
pub enum LaunchKind {
    /// `ccrun` does nothing but exec.
    Off,
    /// A new session. What decides about it is read once, here.
    NewSession(Sentinel, Box<Result<(Workspace, Config)>>),
    /// The program ran `ccrun` again, as a shim does: the existing session continues.
    SameSession(Sentinel),
}

impl LaunchKind {
    fn new_session(sentinel: Sentinel, process: &ProcessEnvironment) -> Self {
        Self::NewSession(sentinel, Box::new(Workspace::gather(process)))
    }
}

/// Finds a program by name, and the kind of its launch. Skips a program that runs `ccrun` again.
pub fn locate(name: &OsStr, process: &ProcessEnvironment) -> Result<(PathBuf, LaunchKind), ExecError> {
    let path = find(name, process, |_| false)?;
    let file = file_identity(&path).filter(|_| !process.switch(OFF));
    let Some(file) = file else { return Ok((path, LaunchKind::Off)) };
    let is_claude = claude::is_claude(name);
    let next_is_shim = |last| {
        let found = find(name, process, |candidate| file_identity(candidate) != Some(last));
        found.is_ok_and(|path| is_shim(&path))
    };
    match Sentinel::judge(outer(process).as_ref(), Caller::current(), file, is_claude, next_is_shim) {
        Nesting::Session(sentinel) => Ok((path, LaunchKind::new_session(sentinel, process))),
        Nesting::Deep(outer) if !is_shim(&path) => {
            Ok((path, LaunchKind::SameSession(outer.deeper(Caller::current(), file, is_claude))))
        }
        Nesting::Deep(_) | Nesting::Endless(_) if !is_claude => Err(ExecError::Endless { program: path }),
        Nesting::Again(sentinel) | Nesting::Deep(sentinel) | Nesting::Endless(sentinel) => {
            let next = find(name, process, |candidate| sentinel.has_seen(candidate));
            // Every program found on this PATH so far runs `ccrun` again.
            let next = next.map_err(|_| ExecError::Endless { program: path.clone() })?;
            let file = file_identity(&next).filter(|_| !sentinel.has_seen(&next));
            let file = file.ok_or_else(|| ExecError::Endless { program: next.clone() })?;
            Ok((next, LaunchKind::SameSession(sentinel.and(file))))
        }
    }
}

/// The kind of launch for a program that an editor's extension passes by path. If that program is `ccrun`, it starts
/// the session itself.
pub fn kind_of_wrapped(program: &Program, process: &ProcessEnvironment) -> Result<LaunchKind, ExecError> {
    let file = file_identity(&program.path).filter(|_| !process.switch(OFF));
    let Some(file) = file.filter(|file| file_identity(&process.executable) != Some(*file)) else {
        return Ok(LaunchKind::Off);
    };
    let is_shim = is_shim(&program.path);
    match Sentinel::judge(outer(process).as_ref(), Caller::current(), file, true, |_| false) {
        Nesting::Session(sentinel) => {
            let found = Workspace::gather(process);
            let workspace = found.as_ref().ok().map(|(workspace, _)| workspace);
            if has_its_settings(&program.arguments, workspace, process) {
                return Ok(LaunchKind::SameSession(sentinel));
            }
            let sentinel = if is_shim { sentinel.of_shim() } else { sentinel };
            Ok(LaunchKind::NewSession(sentinel, Box::new(found)))
        }
        Nesting::Again(sentinel) if !sentinel.has_seen(&program.path) => {
            Ok(LaunchKind::SameSession(sentinel.and(file)))
        }
        // Claude Code relaunches itself in the same process, through its wrapper.
        Nesting::Again(sentinel) if !is_shim => Ok(LaunchKind::SameSession(sentinel)),
        Nesting::Deep(outer) if !is_shim => Ok(LaunchKind::SameSession(outer.deeper(Caller::current(), file, true))),
        Nesting::Again(_) | Nesting::Deep(_) | Nesting::Endless(_) => {
            Err(ExecError::Endless { program: program.path.clone() })
        }
    }
}

/// The variable that makes `ccrun` a plain exec.
pub const OFF: &str = "CCRUN_OFF";

/// The sentinel of the outer launch. If its process has ended, the launch is not nested: an editor passes on its
/// environment for longer.
fn outer(process: &ProcessEnvironment) -> Option<Sentinel> {
    process.text(sentinel::VARIABLE).and_then(Sentinel::parse).filter(Sentinel::lives)
}

/// Whether Claude Code starts something that already knows where to export: a part of its background service, that
/// service started from a session, or a job in it that carries its session's settings.
fn has_its_settings(arguments: &[OsString], workspace: Option<&Workspace>, process: &ProcessEnvironment) -> bool {
    let are_of_a_session =
        |workspace: &Workspace| claude::are_of_a_session(arguments, &workspace.places.settings_directory());
    claude::is_part_of_the_service(arguments)
        || (claude::is_the_service(arguments) && environment::is_of_a_session(&process.texts()))
        || workspace.is_some_and(are_of_a_session)
}
