//! A stand-in for the desktop's VS Code, which cannot be had for tests: what it does with environments, and no more.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::emitter::Emitter;
use super::sandbox::{Sandbox, text, wait_until};

/// An editor with its directory of user data, as a user starts it.
pub struct Code<'a> {
    sandbox: &'a Sandbox,
    name: &'a str,
    /// Where its user data is.
    pub data: PathBuf,
}

impl<'a> Code<'a> {
    /// One of this name, on the PATH of the sandbox, whose user data is in the usual place of `code`.
    pub fn new(sandbox: &'a Sandbox, name: &'a str) -> Self {
        sandbox.program(name, include_str!("code.sh"));
        Self { sandbox, name, data: sandbox.home().join(".config/Code") }
    }

    /// The same with user data elsewhere.
    pub fn with_data(self, data: &str) -> Self {
        Self { data: self.sandbox.home().join(data), ..self }
    }

    /// The words by which a user opens a folder below the project.
    pub fn words(&self, folder: &str) -> Vec<String> {
        let path = self.folder(folder);
        std::fs::create_dir_all(&path).unwrap();
        let data = self.data.display().to_string();
        [self.name.to_owned(), "--user-data-dir".to_owned(), data, path.display().to_string()].into()
    }

    /// Opens a folder with `ccrun` and its options, and gives what is said to that.
    pub fn open(&self, options: &[&str], folder: &str) -> String {
        let words = self.words(folder);
        let output = self.sandbox.ccrun(options.iter().copied().chain(words.iter().map(String::as_str)));
        self.done(output, folder)
    }

    /// The same without `ccrun`.
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

    /// Closes a window, or reloads it, as a user does in it.
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

    /// The window of a folder, as its extension host finds itself.
    pub fn window(&self, folder: &str) -> Window<'a> {
        let host = self.host(folder);
        let environment = text(&std::fs::read(host.join("environment")).unwrap());
        let pairs = environment.split_terminator('\0').filter_map(|pair| pair.split_once('='));
        let variables = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let pid = std::fs::read_to_string(host.join("pid")).unwrap().trim().parse().unwrap();
        Window { sandbox: self.sandbox, variables, folder: self.folder(folder), pid }
    }

    /// Whether the instance runs.
    pub fn is_running(&self) -> bool {
        Path::new(&self.data.join("code.lock")).exists()
    }
}

/// A window, by what its extension host has.
pub struct Window<'a> {
    sandbox: &'a Sandbox,
    /// Its environment.
    pub variables: BTreeMap<String, String>,
    folder: PathBuf,
    /// The extension host.
    pub pid: i32,
}

impl Window<'_> {
    /// A program that its extension host, or a terminal in it, starts.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.sandbox.command(program);
        command.env_clear().envs(&self.variables).current_dir(&self.folder);
        command
    }

    /// The session that it is in.
    pub fn session(&self) -> &str {
        &self.variables["CCRUN_SESSION"]
    }

    /// Where Claude Code in it exports to.
    pub fn endpoint(&self) -> &str {
        &self.variables["OTEL_EXPORTER_OTLP_ENDPOINT"]
    }

    /// A client of that, which Claude Code's extension runs.
    pub fn client(&self) -> Emitter {
        Emitter::new(self.endpoint()).named("claude-code")
    }
}
