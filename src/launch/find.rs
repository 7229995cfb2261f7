//! Finding the program: as a shell does, and Claude Code where its installers put it too, but never ourselves.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::ExecError;
use crate::bounded;
use crate::claude;
use crate::surroundings::{Surroundings, identity};

/// The variable that names Claude Code's program, by an absolute path.
const CLAUDE: &str = "CCRUN_CLAUDE";

/// What is searched where there is no PATH.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// How much of a program is read to see whether it is a script of ours, in bytes.
const MAXIMUM_SCRIPT: u64 = 64 * 1024;

/// Finds a program as a shell does; `claude` where `CCRUN_CLAUDE` says, else skipping ourselves, and then where its
/// installers put it. Files that `skipped` says so of are passed over.
pub fn find(name: &OsStr, surroundings: &Surroundings, skipped: impl Fn(&Path) -> bool) -> Result<PathBuf, ExecError> {
    let path = Path::new(name);
    if path.components().count() > 1 {
        return Ok(path.to_owned());
    }
    let is_claude = claude::is_claude(name);
    let named = if is_claude { named(surroundings)? } else { None };
    let search = surroundings.variable("PATH").unwrap_or(OsStr::new(DEFAULT_PATH));
    let found = which::which_in_all(name, Some(search), &surroundings.directory).into_iter().flatten();
    let known = if is_claude { claude::known_places(surroundings) } else { Vec::new() };
    let known = known.into_iter().filter(|place| place.is_file() && access(place, AccessFlags::X_OK).is_ok());
    let ourselves = identity(&surroundings.executable);
    let mut windows = None;
    let mut candidates = named.into_iter().chain(found).chain(known).filter(|candidate| {
        let file = || candidate.canonicalize().unwrap_or_else(|_| candidate.clone());
        let foreign = is_claude && is_on_windows(&file(), surroundings);
        if foreign {
            windows.get_or_insert_with(|| candidate.clone());
        }
        !foreign && identity(candidate) != ourselves && !skipped(candidate)
    });
    if let Some(found) = candidates.next() {
        return Ok(found);
    }
    drop(candidates);
    if let Some(program) = windows {
        return Err(ExecError::Windows { program });
    }
    let hint =
        if is_claude { "; install Claude Code, put its directory on PATH, or name it by CCRUN_CLAUDE" } else { "" };
    Err(ExecError::NotFound { program: path.to_owned(), hint })
}

/// What `CCRUN_CLAUDE` names.
fn named(surroundings: &Surroundings) -> Result<Option<PathBuf>, ExecError> {
    let Some(path) = surroundings.variable(CLAUDE).map(PathBuf::from) else { return Ok(None) };
    let misnamed = |reason| ExecError::Misnamed { path: path.clone(), reason };
    if !path.is_absolute() {
        return Err(misnamed("an absolute path is wanted"));
    }
    if !path.is_file() {
        return Err(misnamed("there is no such file"));
    }
    if identity(&path) == identity(&surroundings.executable) {
        return Err(misnamed("that is ccrun itself; Claude Code is wanted"));
    }
    Ok(Some(path))
}

/// Whether a file is a script that runs us: a shim, whose session has begun by the time that it does.
pub fn is_shim(path: &Path) -> bool {
    let text = bounded::read(path, MAXIMUM_SCRIPT).unwrap_or_default();
    text.starts_with(b"#!") && text.windows(b"ccrun".len()).any(|word| word == b"ccrun")
}

/// Whether this is Linux on Windows (WSL).
pub fn is_wsl(surroundings: &Surroundings) -> bool {
    if !cfg!(target_os = "linux") {
        return false;
    }
    let version = || bounded::read(Path::new("/proc/version"), 4096).unwrap_or_default();
    surroundings.variable("WSL_DISTRO_NAME").is_some() || is_wsl_kernel(&String::from_utf8_lossy(&version()))
}

fn is_wsl_kernel(version: &str) -> bool {
    version.to_ascii_lowercase().contains("microsoft")
}

/// Whether this is WSL and a file on one of Windows' drives.
pub fn is_on_windows(path: &Path, surroundings: &Surroundings) -> bool {
    is_on_a_drive(path) && is_wsl(surroundings)
}

/// Whether a file is on one of Windows' drives, which WSL mounts as `/mnt/LETTER`.
fn is_on_a_drive(path: &Path) -> bool {
    let mut parts = path.strip_prefix("/mnt").into_iter().flat_map(Path::components);
    let drive = parts.next().map(|part| part.as_os_str().as_encoded_bytes().to_vec());
    drive.is_some_and(|drive| drive.len() == 1 && drive[0].is_ascii_alphabetic()) && parts.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_on_windows_is_known_by_its_kernel() {
        assert!(is_wsl_kernel("Linux version 5.15.153.1-microsoft-standard-WSL2 (root@941d701f84f1)"));
        assert!(is_wsl_kernel("Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com)"));
        assert!(!is_wsl_kernel("Linux version 6.8.0-31-generic (buildd@lcy02-amd64-080)"));
    }

    #[test]
    fn windows_drives_are_told_from_other_mounts() {
        for path in ["/mnt/c/Users/x/AppData/Roaming/npm/claude", "/mnt/D/claude"] {
            assert!(is_on_a_drive(Path::new(path)), "{path}");
        }
        for path in ["/mnt/c", "/mnt/data/bin/claude", "/mnt", "/home/c/claude", "/usr/bin/claude"] {
            assert!(!is_on_a_drive(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn a_shim_is_a_script_that_names_us() {
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
