//! A terminal: one pane of a separate tmux server.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::claude::finish;
use super::sandbox::{Sandbox, cmdline, text, wait_until};

/// The name of the server's socket, in the sandbox.
const SOCKET: &str = "terminal";

/// The name of the socket of a second server.
const SECOND: &str = "second";

/// A pane that stays open when its program ends. The server stops when dropped.
pub struct Terminal<'a> {
    sandbox: &'a Sandbox,
    socket: &'static str,
}

impl<'a> Terminal<'a> {
    /// Runs a shell command line in the sandbox's project. The shell stays and records the exit code, because tmux 3.3
    /// sometimes loses it. A late interrupt does not end the shell.
    pub fn start(sandbox: &'a Sandbox, command: &str) -> Self {
        Self::start_as(sandbox, SOCKET, command)
    }

    /// The same, beside another terminal of the sandbox.
    pub fn beside(sandbox: &'a Sandbox, command: &str) -> Self {
        Self::start_as(sandbox, SECOND, command)
    }

    fn start_as(sandbox: &'a Sandbox, socket: &'static str, command: &str) -> Self {
        let options = "set -g remain-on-exit on\nset -g default-shell /bin/sh\n";
        let configuration = sandbox.write("tmux.conf", options);
        let terminal = Self { sandbox, socket };
        let command = format!("trap : INT; {command}; echo $? > {}", terminal.exit_file().display());
        let options = ["-f", configuration.to_str().unwrap()];
        // Wide enough for lines with paths.
        let session = ["new-session", "-d", "-x", "240", "-y", "48", &command];
        terminal.tmux(&[&options[..], &session[..]].concat());
        terminal
    }

    /// The pane's text, including its history.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-S", "-"])
    }

    /// The pane's text, with wrapped lines joined.
    pub fn unbroken(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-J", "-S", "-"])
    }

    /// The visible text.
    pub fn view(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Whether a program uses the alternate screen.
    pub fn is_taken(&self) -> bool {
        self.tmux(&["display-message", "-p", "#{alternate_on}"]).trim() == "1"
    }

    /// Waits until the pane shows this text.
    #[track_caller]
    pub fn wait_for(&self, shown: &str) {
        wait_until(&format!("the terminal to show `{shown}`"), || self.screen().contains(shown));
    }

    /// Types a text and waits until it is visible.
    #[track_caller]
    pub fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
        self.wait_for(text);
    }

    /// Types a line, waits until it is visible, and presses Enter.
    #[track_caller]
    pub fn enter(&self, line: &str) {
        self.types(line);
        self.press("Enter");
    }

    /// Types a line that is not echoed, and presses Enter.
    pub fn enter_hidden(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.press("Enter");
    }

    /// Presses a key, given by its tmux name.
    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Resizes the window.
    pub fn resize(&self, columns: u32, rows: u32) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// The exit code of the program, once it has ended.
    pub fn exit_code(&self) -> Option<i32> {
        std::fs::read_to_string(self.exit_file()).ok()?.trim().parse().ok()
    }

    /// Waits for the program to end, and returns its exit code.
    #[track_caller]
    pub fn end(&self) -> i32 {
        wait_until("the program in the terminal to exit", || self.exit_code().is_some());
        self.exit_code().unwrap()
    }

    /// Closes the pane, as a user closes a window.
    pub fn close(&self) {
        self.tmux(&["kill-server"]);
    }

    fn exit_file(&self) -> PathBuf {
        self.sandbox.home().with_file_name(format!("exit-code-of-{}", self.socket))
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = finish(self.command().args(arguments).spawn().unwrap());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        text(&output.stdout)
    }

    fn command(&self) -> Command {
        let mut command = self.sandbox.command("tmux");
        let directory = self.sandbox.home().with_file_name("tmp");
        command.env("TMUX_TMPDIR", directory).env("LC_ALL", "C.UTF-8").args(["-u", "-L", self.socket]);
        command
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let screen = self.command().args(["capture-pane", "-p", "-S", "-"]).output();
            #[expect(clippy::print_stderr, reason = "what a failed test saw is what its reader needs")]
            {
                eprintln!("terminal output:\n{}", screen.map(|screen| text(&screen.stdout)).unwrap_or_default());
            }
        }
        // There is no server if the test has closed it already.
        let server = self.command().args(["display-message", "-p", "#{pid}"]).output();
        let server = server.ok().and_then(|output| text(&output.stdout).trim().parse().ok());
        drop(self.command().arg("kill-server").stdout(Stdio::null()).stderr(Stdio::null()).status());
        // Otherwise the next terminal of the sandbox might find a server that is about to stop.
        if let Some(server) = server.filter(|_| !std::thread::panicking()) {
            wait_until("the terminal's server to exit", || cmdline(server).is_empty());
        }
    }
}
