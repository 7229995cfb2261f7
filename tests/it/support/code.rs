//! A stand-in for the desktop's VS Code, which tests cannot run. It only models how VS Code passes on environments.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::emitter::Emitter;
use super::sandbox::{Sandbox, text, wait_until};

/// An editor with its user data directory, as a user starts it.
pub struct Code<'a> {
    sandbox: &'a Sandbox,
    name: &'a str,
    /// Its user data directory.
    pub data: PathBuf,
}

impl<'a> Code<'a> {
    /// An editor with this name on the sandbox's PATH. Its user data is where `code` keeps it by default.
    pub fn new(sandbox: &'a Sandbox, name: &'a str) -> Self {
        sandbox.program(name, include_str!("code.sh"));
        Self { sandbox, name, data: sandbox.home().join(".config/Code") }
    }

    /// Uses another user data directory.
    pub fn with_data(self, data: &str) -> Self {
        Self { data: self.sandbox.home().join(data), ..self }
    }

    /// The command line that opens a folder below the project.
    pub fn words(&self, folder: &str) -> Vec<String> {
        let path = self.folder(folder);
        std::fs::create_dir_all(&path).unwrap();
        let data = self.data.display().to_string();
        [self.name.to_owned(), "--user-data-dir".to_owned(), data, path.display().to_string()].into()
    }

    /// Opens a folder with `ccrun` and these options, and returns the messages.
    pub fn open(&self, options: &[&str], folder: &str) -> String {
        let words = self.words(folder);
        let output = self.sandbox.ccrun(options.iter().copied().chain(words.iter().map(String::as_str)));
        self.done(output, folder)
    }

    /// Opens a folder without `ccrun`.
    pub fn open_plainly(&self, folder: &str) -> String {
        let words = self.words(folder);
        let mut command = self.sandbox.command(&words[0]);
        command.args(&words[1..]);
        self.done(command, folder)
    }

    fn done(&self, mut command: Command, folder: &str) -> String {
        let before = self.requests(folder);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        wait_until("the window", || self.requests(folder) > before && self.host(folder).join("environment").exists());
        text(&output.stderr)
    }

    /// Closes or reloads a window, as a user does in the window.
    pub fn ask(&self, verb: &str, folder: &str) {
        let before = self.requests(folder);
        let words = self.words(folder);
        let output = self.sandbox.command(&words[0]).args(&words[1..]).arg(verb).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        wait_until(verb, || self.requests(folder) > before);
    }

    fn requests(&self, folder: &str) -> usize {
        std::fs::read_to_string(self.host(folder).join("done")).unwrap_or_default().lines().count()
    }

    fn folder(&self, folder: &str) -> PathBuf {
        self.sandbox.project().join(folder)
    }

    fn host(&self, folder: &str) -> PathBuf {
        let folder = self.folder(folder).canonicalize().unwrap();
        self.data.join("windows").join(folder.display().to_string().replace('/', "%"))
    }

    /// The window of a folder, described by its extension host.
    pub fn window(&self, folder: &str) -> Window<'a> {
        let host = self.host(folder);
        let environment = text(&std::fs::read(host.join("environment")).unwrap());
        let pairs = environment.split_terminator('\0').filter_map(|pair| pair.split_once('='));
        let variables = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let pid = std::fs::read_to_string(host.join("pid")).unwrap().trim().parse().unwrap();
        Window { sandbox: self.sandbox, variables, folder: self.folder(folder), pid }
    }

    /// Whether the instance is running.
    pub fn is_running(&self) -> bool {
        Path::new(&self.data.join("code.lock")).exists()
    }
}

/// A window and the environment of its extension host.
pub struct Window<'a> {
    sandbox: &'a Sandbox,
    /// Its environment.
    pub variables: BTreeMap<String, String>,
    folder: PathBuf,
    /// The extension host.
    pub pid: i32,
}

impl Window<'_> {
    /// A program started by the extension host, or by a terminal in the window.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.sandbox.command(program);
        command.env_clear().envs(&self.variables).current_dir(&self.folder);
        command
    }

    /// The window's session.
    pub fn session(&self) -> &str {
        &self.variables["CCRUN_SESSION"]
    }

    /// The endpoint to which Claude Code in the window exports.
    pub fn endpoint(&self) -> &str {
        &self.variables["OTEL_EXPORTER_OTLP_ENDPOINT"]
    }

    /// A client of the window's collector, in the place of Claude Code's extension.
    pub fn client(&self) -> Emitter {
        Emitter::new(self.endpoint()).named("claude-code")
    }
}
