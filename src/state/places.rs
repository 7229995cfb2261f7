//! The paths of configuration and state.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::system::process_environment::ProcessEnvironment;

/// The directory for machine-wide configuration.
const SYSTEM: &str = if cfg!(target_os = "macos") { "/Library/Application Support/ccrun" } else { "/etc/ccrun" };

/// The paths in use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Places {
    /// The home directory.
    pub home: PathBuf,
    /// The user's configuration.
    pub config: PathBuf,
    /// The machine's configuration.
    pub system: PathBuf,
    /// The state of `ccrun` itself: the store, locks, settings files.
    pub state: PathBuf,
    /// The state directory before it was moved because it is on another machine.
    pub moved_from: Option<PathBuf>,
    /// Claude Code's own configuration.
    pub claude: PathBuf,
}

/// Refuses a relative path, which would depend on the working directory.
fn absolute(variable: &str, path: &Path) -> Result<()> {
    if path.is_absolute() {
        return Ok(());
    }
    bail!("{variable} is `{}`: the path must be absolute", path.display())
}

impl Places {
    /// Determines the paths from the environment. `config.toml` may override them.
    pub fn find(process: &ProcessEnvironment) -> Result<Self> {
        let base = directories::BaseDirs::new().context("there is no home directory: set HOME")?;
        absolute("HOME", base.home_dir())?;
        if let Some(state) = process.variable("CCRUN_STATE_DIR") {
            absolute("CCRUN_STATE_DIR", Path::new(state))?;
        }
        let state = base.state_dir().unwrap_or_else(|| base.data_local_dir());
        Ok(Self {
            home: base.home_dir().to_owned(),
            config: base.config_dir().join("ccrun"),
            system: Path::new(SYSTEM).to_owned(),
            state: process.variable("CCRUN_STATE_DIR").map_or_else(|| state.join("ccrun"), PathBuf::from),
            moved_from: None,
            claude: process
                .variable("CLAUDE_CONFIG_DIR")
                .map_or_else(|| base.home_dir().join(".claude"), |path| process.directory.join(path)),
        })
    }

    /// The user's profiles.
    pub fn profiles(&self) -> PathBuf {
        self.config.join("profiles")
    }

    /// The machine's profiles.
    pub fn system_profiles(&self) -> PathBuf {
        self.system.join("profiles")
    }

    /// The store's file. Its name contains the schema's major version, so that an older and a newer program never share
    /// a file that only one of them understands.
    pub fn store(&self) -> PathBuf {
        self.state.join("store-2.db")
    }

    /// The ledger's file, named in the same way.
    pub fn ledger(&self) -> PathBuf {
        self.state.join("ledger-1.db")
    }

    /// The directory of the logs of received telemetry.
    pub fn spool(&self) -> PathBuf {
        self.state.join("spool")
    }

    /// The directory of session locks.
    pub fn locks(&self) -> PathBuf {
        self.state.join("locks")
    }

    /// The file whose lock shows that a session lives.
    pub fn lock(&self, session: &str) -> PathBuf {
        self.locks().join(session)
    }

    /// The directory of locks for sending totals.
    pub fn totals_locks(&self) -> PathBuf {
        self.state.join("totals")
    }

    /// The file to lock while sending the totals with this name.
    pub fn totals_lock(&self, name: &str) -> PathBuf {
        self.totals_locks().join(name)
    }

    /// The directory of the sessions' `--settings` files.
    pub fn settings_directory(&self) -> PathBuf {
        self.state.join("settings")
    }

    /// The `--settings` file of a session.
    pub fn settings(&self, session: &str) -> PathBuf {
        self.settings_directory().join(format!("{session}.json"))
    }

    /// The directory of files for hooks that run a command.
    pub fn hooks(&self) -> PathBuf {
        self.state.join("hooks")
    }

    /// The file by which a session's hook reaches its collector.
    pub fn hook(&self, session: &str) -> PathBuf {
        self.hooks().join(session)
    }

    /// The directory of session logs.
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// The log of a session.
    pub fn log(&self, session: &str) -> PathBuf {
        self.logs().join(format!("{session}.log"))
    }

    /// The directory of notes on sessions without telemetry.
    pub fn silences(&self) -> PathBuf {
        self.state.join("silent")
    }

    /// The note on a session from which nothing arrived although its program works. It says what is missing.
    pub fn silence(&self, session: &str) -> PathBuf {
        self.silences().join(session)
    }

    /// The directory of notes on sessions whose exports could not be kept.
    pub fn unkept(&self) -> PathBuf {
        self.state.join("unkept")
    }

    /// The file of notices for the next launch.
    pub fn notice(&self) -> PathBuf {
        self.state.join(super::notice::NAME)
    }

    /// The directory of notes on budgets: what was told about them, and which are lifted.
    pub fn budgets(&self) -> PathBuf {
        self.state.join("budgets")
    }

    /// The directory of notes on what scrapers of metrics were shown.
    pub fn metrics(&self) -> PathBuf {
        self.state.join("metrics")
    }

    /// The directory of notes on trusted project files.
    pub fn trust(&self) -> PathBuf {
        self.state.join("trust")
    }

    /// The file with the last message about the profile `inherited`.
    pub fn inherited(&self) -> PathBuf {
        self.state.join("inherited")
    }

    /// The note of the settings that contain `ccrun`, and the link that they refer to. They are in the home directory,
    /// so this note stays with it even if the store moves.
    pub fn wired(&self) -> PathBuf {
        self.moved_from.as_ref().unwrap_or(&self.state).join("wired")
    }

    /// The note of how destinations accept their credentials, under keyed hashes of their identity.
    pub fn credentials(&self) -> PathBuf {
        self.state.join("credentials")
    }

    /// The note that the state is not in the requested place.
    pub fn moved(&self) -> PathBuf {
        self.state.join("moved")
    }

    /// The note of how much time has passed.
    pub fn clock(&self) -> PathBuf {
        self.state.join("clock")
    }

    /// The key for fingerprints.
    pub fn key(&self) -> PathBuf {
        self.state.join("key")
    }

    /// All paths below one directory, for tests.
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

    /// The path with `~` for the home directory.
    pub fn shortened(path: &Path) -> String {
        let home = directories::BaseDirs::new().map(|base| base.home_dir().to_owned());
        match home.and_then(|home| path.strip_prefix(home).ok().map(Path::to_owned)) {
            Some(rest) => format!("~/{}", rest.display()),
            None => path.display().to_string(),
        }
    }
}
