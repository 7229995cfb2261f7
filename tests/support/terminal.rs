//! A terminal: one pane of a tmux server of the test's own.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::claude::finish;
use super::sandbox::{Sandbox, text, wait_until};

/// The name of the server's socket, in the sandbox.
const SOCKET: &str = "terminal";

/// A pane that stays when its program ends; the server ends with the value.
pub struct Terminal<'a> {
    sandbox: &'a Sandbox,
}

impl<'a> Terminal<'a> {
    /// Runs a shell's command line in the sandbox's project. The shell stays and writes down the exit code, because
    /// tmux 3.3 sometimes forgets it; an interrupt that comes late does not end it.
    pub fn start(sandbox: &'a Sandbox, command: &str) -> Self {
        let options = "set -g remain-on-exit on\nset -g default-shell /bin/sh\n";
        let configuration = sandbox.write("tmux.conf", options);
        let terminal = Self { sandbox };
        let command = format!("trap : INT; {command}; echo $? > {}", terminal.exit_file().display());
        let options = ["-f", configuration.to_str().unwrap()];
        // Wide enough for whatever has a path in it.
        let session = ["new-session", "-d", "-x", "240", "-y", "48", &command];
        terminal.tmux(&[&options[..], &session[..]].concat());
        terminal
    }

    /// What it shows and has shown, as text.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-S", "-"])
    }

    /// Waits until it shows this.
    #[track_caller]
    pub fn wait_for(&self, shown: &str) {
        wait_until(&format!("the terminal to show `{shown}`"), || self.screen().contains(shown));
    }

    /// Types this, and waits until it is to be seen.
    #[track_caller]
    pub fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
        self.wait_for(text);
    }

    /// Types a line and, once it is to be seen, ends it.
    #[track_caller]
    pub fn enter(&self, line: &str) {
        self.types(line);
        self.press("Enter");
    }

    /// Types a line that is not shown, and ends it.
    pub fn enter_hidden(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.press("Enter");
    }

    /// Presses a key, by tmux's name for it.
    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Gives its window another size.
    pub fn resize(&self, columns: u32, rows: u32) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// The exit code of its program, once that has ended.
    pub fn exit_code(&self) -> Option<i32> {
        std::fs::read_to_string(self.exit_file()).ok()?.trim().parse().ok()
    }

    /// Waits for its program to end, and gives its exit code.
    #[track_caller]
    pub fn end(&self) -> i32 {
        wait_until("the program in the terminal to end", || self.exit_code().is_some());
        self.exit_code().unwrap()
    }

    /// Closes it, as one closes a window.
    pub fn close(&self) {
        self.tmux(&["kill-server"]);
    }

    fn exit_file(&self) -> PathBuf {
        self.sandbox.home().with_file_name("exit-code")
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = finish(self.command().args(arguments).spawn().unwrap());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        text(&output.stdout)
    }

    fn command(&self) -> Command {
        let mut command = self.sandbox.command("tmux");
        let directory = self.sandbox.home().with_file_name("tmp");
        command.env("TMUX_TMPDIR", directory).env("LC_ALL", "C.UTF-8").args(["-u", "-L", SOCKET]);
        command
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let screen = self.command().args(["capture-pane", "-p", "-S", "-"]).output();
            #[expect(clippy::print_stderr, reason = "what a failed test saw is what its reader needs")]
            {
                eprintln!("the terminal shows:\n{}", screen.map(|screen| text(&screen.stdout)).unwrap_or_default());
            }
        }
        // It has gone already if the test has closed it.
        drop(self.command().arg("kill-server").stdout(Stdio::null()).stderr(Stdio::null()).status());
    }
}
