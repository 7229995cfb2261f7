//! A separate home directory for each test, with `ccrun` in it, and access to its collectors and files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The time limit for everything that a test waits for.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// A home directory separate from the real one and from those of other tests.
pub struct Sandbox {
    root: TempDir,
    /// Variables for every program in the sandbox.
    variables: BTreeMap<String, String>,
}

impl Sandbox {
    /// Creates an empty home, an empty project, and `ccrun` on the PATH.
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("ccrun-test-").tempdir().unwrap();
        for directory in ["home", "project", "bin", "tmp"] {
            std::fs::create_dir(root.path().join(directory)).unwrap();
        }
        // A unique path for the binary identifies the sandbox's collectors.
        let (binary, own) = (env!("CARGO_BIN_EXE_ccrun"), root.path().join("bin/ccrun"));
        std::fs::hard_link(binary, &own).or_else(|_| std::fs::copy(binary, &own).map(drop)).unwrap();
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", root.path().join("bin").display());
        let text = |name: &str| root.path().join(name).display().to_string();
        let variables = [("PATH", path), ("HOME", text("home")), ("TMPDIR", text("tmp")), ("TERM", "xterm".to_owned())];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).into();
        Self { root, variables }
    }

    /// Sets a variable for every program started from now on.
    pub fn set(&mut self, name: &str, value: impl AsRef<str>) -> &mut Self {
        self.variables.insert(name.to_owned(), value.as_ref().to_owned());
        self
    }

    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    pub fn project(&self) -> PathBuf {
        self.root.path().join("project")
    }

    pub fn state(&self) -> PathBuf {
        self.home().join(".local/state/ccrun")
    }

    /// Writes a file below the sandbox.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Writes a user profile.
    pub fn profile(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        self.write(format!("home/.config/ccrun/profiles/{name}.toml"), content)
    }

    /// Puts a script on the PATH.
    pub fn program(&self, name: &str, script: &str) -> PathBuf {
        let path = self.write(format!("bin/{name}"), script);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Links a program of this machine into the PATH.
    pub fn link(&self, name: &str, program: impl AsRef<Path>) {
        std::os::unix::fs::symlink(program, self.root.path().join("bin").join(name)).unwrap();
    }

    /// Any program, in the project, with only the sandbox's environment and without a terminal.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.variables).current_dir(self.project());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// `ccrun` with these arguments.
    pub fn ccrun<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(self.root.path().join("bin/ccrun"));
        command.args(arguments);
        command
    }

    /// Runs `ccrun` to completion.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        self.ccrun(arguments).output().unwrap()
    }

    /// The pids of every process in the sandbox.
    pub fn processes(&self) -> Vec<i32> {
        let home = format!("HOME={}", self.home().display());
        let ours = |pid: &i32| environ(*pid).split(|byte| *byte == 0).any(|variable| variable == home.as_bytes());
        pids().filter(|pid| ours(pid) || self.has_collector(*pid)).collect()
    }

    /// Whether this is one of the sandbox's collectors. Only root can read a collector's environment, so the command
    /// line decides.
    fn has_collector(&self, pid: i32) -> bool {
        cmdline(pid) == format!("{}\0collector\0", self.root.path().join("bin/ccrun").display()).as_bytes()
    }

    /// The pids of the sandbox's collectors, keepers before workers.
    pub fn collectors(&self) -> Vec<i32> {
        let mut found: Vec<_> = pids().filter(|pid| self.has_collector(*pid)).collect();
        // The key is cached because processes start and exit during the sort.
        found.sort_by_cached_key(|pid| (parent(*pid) != 1 && found_parent(*pid), *pid));
        found
    }

    /// Waits until every session is over and no collector is left.
    pub fn wait_for_end(&self) {
        wait_until("the collectors to exit", || self.collectors().is_empty());
    }

    /// The settings files of its sessions.
    pub fn settings(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.state().join("settings")).into_iter().flatten();
        files.map(|file| file.unwrap().path()).collect()
    }

    /// The token of the only running session.
    pub fn token(&self) -> String {
        let settings = self.settings();
        assert_eq!(settings.len(), 1, "{settings:?}");
        let settings: serde_json::Value = serde_json::from_slice(&std::fs::read(&settings[0]).unwrap()).unwrap();
        let endpoint = settings["env"]["OTEL_EXPORTER_OTLP_ENDPOINT"].as_str().unwrap();
        let token = endpoint.rsplit('/').next().unwrap();
        assert_eq!(token.len(), 32, "{endpoint}");
        token.to_owned()
    }

    /// The output of `ccrun report --json`.
    pub fn report(&self) -> serde_json::Value {
        self.report_with(&[])
    }

    /// The rows of `ccrun report --by DIMENSIONS --json`.
    pub fn report_by(&self, dimensions: &str) -> Vec<serde_json::Value> {
        self.report_with(&["--by", dimensions])["rows"].as_array().unwrap().clone()
    }

    /// The output of `ccrun report --json` with these options. Repeats it while another process writes to the ledger.
    pub fn report_with(&self, options: &[&str]) -> serde_json::Value {
        let mut said = Vec::new();
        wait_until("the ledger to be free", || {
            let output = self.run([&["report", "--json"], options].concat());
            assert!(output.status.success(), "{}", text(&output.stderr));
            said = output.stdout;
            !text(&output.stderr).contains("is missing")
        });
        serde_json::from_slice(&said).unwrap()
    }

    /// The output of `ccrun queue status --json`.
    pub fn queue(&self) -> Vec<serde_json::Value> {
        let output = self.run(["queue", "status", "--json"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Keepers first: a keeper replaces its worker.
        for pid in self.collectors() {
            kill(pid, "KILL");
        }
        // Then the processes that a failed test left, including any that they still start.
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = self.processes();
            if left.is_empty() || Instant::now() >= deadline {
                return;
            }
            for pid in left {
                kill(pid, "KILL");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn found_parent(pid: i32) -> bool {
    is_collector(parent(pid))
}

/// Whether a process is a keeper or a worker.
pub fn is_collector(pid: i32) -> bool {
    cmdline(pid).ends_with(b"\0collector\0")
}

/// The arguments of a process, each followed by a zero byte. Empty if the process is gone.
pub fn cmdline(pid: i32) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

/// The environment with which a process was started. Empty if it is gone or a zombie.
pub fn environ(pid: i32) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

/// All pids of this machine.
pub fn pids() -> impl Iterator<Item = i32> {
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The parent of a process, or 0 if it is gone.
pub fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    fields.split(' ').nth(1).and_then(|parent| parent.parse().ok()).unwrap_or(0)
}

/// Sends a signal. A process that is already gone is not an error.
pub fn kill(pid: i32, signal: &str) {
    let sent = Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).stderr(Stdio::null()).status();
    assert!(sent.is_ok());
}

/// Polls until the condition holds, or fails with `what`.
#[track_caller]
pub fn wait_until(what: &str, so: impl FnMut() -> bool) {
    wait_within(DEADLINE, what, so);
}

/// Like [`wait_until`], with another limit.
#[track_caller]
pub fn wait_within(limit: Duration, what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !so() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Converts bytes to text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A loopback port on which nothing listens.
pub fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
