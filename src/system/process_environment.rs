//! The process environment. It is read once at the start and never changed.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jiff::Timestamp;

use crate::system::file_identity::file_identity;
use crate::system::hidden::Names;

/// A snapshot of the process environment.
#[derive(Clone)]
pub struct ProcessEnvironment {
    /// The environment variables.
    pub variables: BTreeMap<OsString, OsString>,
    /// The working directory.
    pub directory: PathBuf,
    /// The running binary.
    pub executable: PathBuf,
    /// The name by which the binary was called.
    pub called_by: Option<OsString>,
    /// When the snapshot was taken.
    pub started_at: Timestamp,
}

/// Shows only the names of variables, because every environment contains secrets.
impl fmt::Debug for ProcessEnvironment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ProcessEnvironment")
            .field("variables", &Names(&self.variables))
            .field("directory", &self.directory)
            .field("executable", &self.executable)
            .field("called_by", &self.called_by)
            .field("started_at", &self.started_at)
            .finish()
    }
}

impl ProcessEnvironment {
    /// Takes the snapshot.
    #[expect(clippy::disallowed_methods, reason = "the edge: all else takes from here what it needs")]
    pub fn gather() -> Result<Self> {
        let variables: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        let called_by = std::env::args_os().next();
        // Without /proc, uses the binary that a shell would find.
        let executable = std::env::current_exe().or_else(|error| {
            let name = called_by.as_ref().context(error)?;
            let found = which::which_in(name, variables.get(OsStr::new("PATH")), "/");
            found.context("cannot tell which binary this is")
        })?;
        // A deleted directory is empty. The program still starts, and starts in it.
        let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        Ok(Self { variables, directory, executable, called_by, started_at: Timestamp::now() })
    }

    /// The path by which the binary was called: where it is installed, with links unresolved. Anything that should
    /// survive the next upgrade must use this path.
    pub fn called(&self) -> PathBuf {
        let called = self.called_by.as_ref().and_then(|name| match Path::new(name).components().count() {
            1 => which::which_in(name, self.variables.get(OsStr::new("PATH")), &self.directory).ok(),
            _ => Some(self.directory.join(name)),
        });
        let is_this =
            |path: &PathBuf| file_identity(path).is_some_and(|found| file_identity(&self.executable) == Some(found));
        called.filter(is_this).unwrap_or_else(|| self.executable.clone())
    }

    /// The user's home directory.
    pub fn home(&self) -> Result<PathBuf> {
        let base = directories::BaseDirs::new().context("there is no home directory: set HOME")?;
        Ok(base.home_dir().to_owned())
    }

    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// A variable that is set, not empty and UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.variable(name).and_then(OsStr::to_str)
    }

    /// Whether a switch is on: set, and neither empty nor `0` nor `false`.
    pub fn switch(&self, name: &str) -> bool {
        self.variable(name).is_some_and(|value| value != "0" && value != "false")
    }

    /// The variables that are UTF-8, as are all variables for telemetry.
    pub fn texts(&self) -> BTreeMap<String, String> {
        let pairs = self.variables.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

#[cfg(test)]
impl ProcessEnvironment {
    /// A snapshot for tests, in a nonexistent directory, at the beginning of Unix time.
    pub(crate) fn nowhere<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self {
            variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            directory: "/nonexistent".into(),
            executable: "/nonexistent/ccrun".into(),
            called_by: None,
            started_at: Timestamp::UNIX_EPOCH,
        }
    }
}
