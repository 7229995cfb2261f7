//! What the process finds around itself, read once at the edge and never changed.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::hidden::Names;

/// A snapshot of the process's surroundings.
#[derive(Clone)]
pub struct Surroundings {
    /// The environment.
    pub variables: BTreeMap<OsString, OsString>,
    /// The working directory.
    pub directory: PathBuf,
    /// The binary that runs.
    pub executable: PathBuf,
}

/// Shows which variables there are: there are secrets in every environment.
impl fmt::Debug for Surroundings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Surroundings")
            .field("variables", &Names(&self.variables))
            .field("directory", &self.directory)
            .field("executable", &self.executable)
            .finish()
    }
}

impl Surroundings {
    /// Reads them.
    pub fn gather() -> Result<Self> {
        let variables: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        Ok(Self {
            // One that is gone has nothing in it: the program starts all the same, and in it.
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            executable: executable(variables.get(OsStr::new("PATH")))?,
            variables,
        })
    }

    /// The path by which the binary was called: where it is installed, whatever that leads to today. What is to last
    /// beyond the next upgrade names this one.
    pub fn called(&self) -> PathBuf {
        let called = std::env::args_os().next().and_then(|name| match Path::new(&name).components().count() {
            1 => which::which_in(&name, self.variables.get(OsStr::new("PATH")), &self.directory).ok(),
            _ => Some(self.directory.join(&name)),
        });
        let is_this = |path: &PathBuf| identity(path).is_some_and(|found| identity(&self.executable) == Some(found));
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

    /// The variables that are UTF-8, which all that concern telemetry are.
    pub fn texts(&self) -> BTreeMap<String, String> {
        let pairs = self.variables.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Where things are kept, unless `config.toml` says otherwise.
    pub fn places(&self) -> Result<Places> {
        let base = directories::BaseDirs::new().context("there is no home directory: set HOME")?;
        let state = base.state_dir().unwrap_or_else(|| base.data_local_dir());
        Ok(Places {
            home: base.home_dir().to_owned(),
            config: base.config_dir().join("ccrun"),
            system: Path::new(SYSTEM).to_owned(),
            state: self.variable("CCRUN_STATE_DIR").map_or_else(|| state.join("ccrun"), PathBuf::from),
            moved_from: None,
            claude: self
                .variable("CLAUDE_CONFIG_DIR")
                .map_or_else(|| base.home_dir().join(".claude"), |path| self.directory.join(path)),
        })
    }
}

/// The binary that runs; without /proc the one that a shell would have found.
fn executable(path: Option<&OsString>) -> Result<PathBuf> {
    std::env::current_exe().or_else(|error| {
        let name = std::env::args_os().next().context(error)?;
        let found = which::which_in(name, path, "/").context("cannot tell which binary this is")?;
        Ok(found)
    })
}

/// Where a machine's administrator keeps what is for everybody.
const SYSTEM: &str = if cfg!(target_os = "macos") { "/Library/Application Support/ccrun" } else { "/etc/ccrun" };

/// Device and inode: the same file, whatever links lead there.
pub type Identity = (u64, u64);

/// The identity of the file at a path, if there is one.
pub fn identity(path: &Path) -> Option<Identity> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Where things are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Places {
    /// The home directory.
    pub home: PathBuf,
    /// The user's configuration.
    pub config: PathBuf,
    /// The machine's configuration.
    pub system: PathBuf,
    /// What `ccrun` itself keeps: the store, locks, settings files.
    pub state: PathBuf,
    /// Where that would be, were it not on another machine.
    pub moved_from: Option<PathBuf>,
    /// Claude Code's own configuration.
    pub claude: PathBuf,
}

impl Places {
    /// The user's profiles.
    pub fn profiles(&self) -> PathBuf {
        self.config.join("profiles")
    }

    /// The machine's profiles.
    pub fn system_profiles(&self) -> PathBuf {
        self.system.join("profiles")
    }

    /// The store's file. Its schema's major version is in the name, so that an older and a newer program never meet in
    /// one file that only one of them understands.
    pub fn store(&self) -> PathBuf {
        self.state.join("store-1.db")
    }

    /// Where the locks of sessions are.
    pub fn locks(&self) -> PathBuf {
        self.state.join("locks")
    }

    /// The file whose lock says that a session lives.
    pub fn lock(&self, session: &str) -> PathBuf {
        self.locks().join(session)
    }

    /// Where the locks are of those who send totals.
    pub fn totals_locks(&self) -> PathBuf {
        self.state.join("totals")
    }

    /// The file whose lock is held by whoever sends the totals of that name.
    pub fn totals_lock(&self, name: &str) -> PathBuf {
        self.totals_locks().join(name)
    }

    /// Where the `--settings` files of sessions are.
    pub fn settings_directory(&self) -> PathBuf {
        self.state.join("settings")
    }

    /// The `--settings` file of a session.
    pub fn settings(&self, session: &str) -> PathBuf {
        self.settings_directory().join(format!("{session}.json"))
    }

    /// Where the logs of sessions are.
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// The log of a session.
    pub fn log(&self, session: &str) -> PathBuf {
        self.logs().join(format!("{session}.log"))
    }

    /// What is to be said at the next launch.
    pub fn notice(&self) -> PathBuf {
        self.state.join("notice")
    }

    /// Where it is noted which projects' files were accepted.
    pub fn trust(&self) -> PathBuf {
        self.state.join("trust")
    }

    /// Where it is noted what was said of the profile `inherited`.
    pub fn inherited(&self) -> PathBuf {
        self.state.join("inherited")
    }

    /// Where it is noted in whose settings we are, and the link by which they name us. They are in the home directory,
    /// so this goes with it, wherever else the store has to be.
    pub fn wired(&self) -> PathBuf {
        self.moved_from.as_ref().unwrap_or(&self.state).join("wired")
    }

    /// Where it is noted how destinations take their credentials, under keyed hashes of what they are.
    pub fn credentials(&self) -> PathBuf {
        self.state.join("credentials")
    }

    /// Where it is noted that the state is not where it was asked for.
    pub fn moved(&self) -> PathBuf {
        self.state.join("moved")
    }

    /// The key of fingerprints.
    pub fn key(&self) -> PathBuf {
        self.state.join("key")
    }

    /// All of them below one directory, as tests want them.
    #[cfg(test)]
    pub(crate) fn below(root: &Path) -> Self {
        let place = |name: &str| root.join(name);
        Self {
            home: place("home"),
            config: place("config"),
            system: place("system"),
            state: place("state"),
            moved_from: None,
            claude: place("claude"),
        }
    }

    /// The path as a person would write it, with `~` for the home directory.
    pub fn shortened(path: &Path) -> String {
        let home = directories::BaseDirs::new().map(|base| base.home_dir().to_owned());
        match home.and_then(|home| path.strip_prefix(home).ok().map(Path::to_owned)) {
            Some(rest) => format!("~/{}", rest.display()),
            None => path.display().to_string(),
        }
    }
}
