//! Finds the program as a shell does. Finds Claude Code also where its installers put it, and never finds `ccrun`
//! itself.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::ExecError;
use crate::claude;
use crate::system::bounded;
use crate::system::file_identity::file_identity;
use crate::system::process_environment::ProcessEnvironment;
use crate::system::wsl::is_on_windows;

/// The variable with the absolute path of Claude Code.
const CLAUDE: &str = "CCRUN_CLAUDE";

/// The search path if PATH is not set.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// How much of a program is read to see whether it is a shim script, in bytes.
const MAXIMUM_SCRIPT: u64 = 64 * 1024;

/// Finds a program as a shell does. `claude` is found through `CCRUN_CLAUDE`, else on PATH without `ccrun` itself, else
/// where its installers put it. Files for which `skipped` returns true are skipped.
pub fn find(name: &OsStr, process: &ProcessEnvironment, skipped: impl Fn(&Path) -> bool) -> Result<PathBuf, ExecError> {
    let path = Path::new(name);
    if path.components().count() > 1 {
        return Ok(path.to_owned());
    }
    let is_claude = claude::is_claude(name);
    let named = if is_claude { named(process)? } else { None };
    let search = process.variable("PATH").unwrap_or(OsStr::new(DEFAULT_PATH));
    let found = which::which_in_all(name, Some(search), &process.directory).into_iter().flatten();
    let known = if is_claude { claude::known_places(process) } else { Vec::new() };
    let known = known.into_iter().filter(|place| place.is_file() && access(place, AccessFlags::X_OK).is_ok());
    let ourselves = file_identity(&process.executable);
    let mut windows = None;
    let mut candidates = named.into_iter().chain(found).chain(known).filter(|candidate| {
        let file = || candidate.canonicalize().unwrap_or_else(|_| candidate.clone());
        let foreign = is_claude && is_on_windows(&file(), process);
        if foreign {
            windows.get_or_insert_with(|| candidate.clone());
        }
        !foreign && file_identity(candidate) != ourselves && !skipped(candidate)
    });
    if let Some(found) = candidates.next() {
        return Ok(found);
    }
    drop(candidates);
    if let Some(program) = windows {
        return Err(ExecError::Windows { program });
    }
    let hint = if is_claude {
        "; install Claude Code, put its directory on PATH, or set CCRUN_CLAUDE to its path"
    } else {
        ""
    };
    Err(ExecError::NotFound { program: path.to_owned(), hint })
}

/// The program that `CCRUN_CLAUDE` names.
fn named(process: &ProcessEnvironment) -> Result<Option<PathBuf>, ExecError> {
    let Some(path) = process.variable(CLAUDE).map(PathBuf::from) else { return Ok(None) };
    let misnamed = |reason| ExecError::Misnamed { path: path.clone(), reason };
    if !path.is_absolute() {
        return Err(misnamed("the path must be absolute"));
    }
    if !path.is_file() {
        return Err(misnamed("there is no such file"));
    }
    if file_identity(&path) == file_identity(&process.executable) {
        return Err(misnamed("that is ccrun itself, not Claude Code"));
    }
    Ok(Some(path))
}

/// Whether a file is a shim: a script that runs `ccrun`, which has already started a session by then.
pub fn is_shim(path: &Path) -> bool {
    let text = bounded::read(path, MAXIMUM_SCRIPT).unwrap_or_default();
    text.starts_with(b"#!") && text.windows(b"ccrun".len()).any(|word| word == b"ccrun")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_names_ccrun_is_a_shim() {
        let directory = tempfile::tempdir().unwrap();
        let is = |text: &str| {
            let path = directory.path().join("claude");
            std::fs::write(&path, text).unwrap();
            is_shim(&path)
        };
        assert!(is("#!/bin/sh\nexec ccrun claude \"$@\"\n"));
        assert!(!is("#!/usr/bin/env node\nimport 'claude'\n") && !is("\u{7f}ELF ccrun"));
        assert!(!is_shim(&directory.path().join("missing")));
    }
}
