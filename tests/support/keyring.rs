//! A session bus of a test's own, and on it a real gnome-keyring, or what only has its name.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use dbus::blocking::LocalConnection;
use dbus::channel::Channel;

use super::sandbox::{Sandbox, text, wait_until};

/// What a keyring's service is called on the bus.
const SERVICE: &str = "org.freedesktop.secrets";

/// What shows gnome-keyring's dialogs.
const PROMPTER: &str = "org.gnome.keyring.SystemPrompter";

/// Nothing is started because somebody asks for it: who is there is the test's affair.
const CONFIGURATION: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=ADDRESS</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// The login keyring's password.
const PASSWORD: &str = "correct horse";

/// A session bus that everything in a sandbox finds; it ends with the value.
pub struct Bus {
    daemon: Child,
    address: String,
}

impl Bus {
    /// Starts one with nobody on it.
    pub fn start(sandbox: &mut Sandbox) -> Self {
        let runtime = sandbox.home().with_file_name("run");
        std::fs::create_dir(&runtime).unwrap();
        std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o700)).unwrap();
        sandbox.set("XDG_RUNTIME_DIR", runtime.to_str().unwrap());
        let socket = runtime.join("session-bus");
        let configuration = CONFIGURATION.replace("ADDRESS", socket.to_str().unwrap());
        let configuration = sandbox.write("bus.conf", configuration);
        let mut command = sandbox.command("dbus-daemon");
        command.arg(format!("--config-file={}", configuration.display())).args(["--nofork", "--print-address=1"]);
        let mut daemon = command.stderr(Stdio::null()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(daemon.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        sandbox.set("DBUS_SESSION_BUS_ADDRESS", &address);
        Self { daemon, address }
    }

    /// Takes a name, and never answers what is asked there, for as long as the value is kept.
    fn silent(&self, name: &str) -> Silent {
        let mut channel = Channel::open_private(&self.address).unwrap();
        channel.register().unwrap();
        let connection: LocalConnection = channel.into();
        connection.request_name(name, false, true, true).unwrap();
        Silent { _connection: connection }
    }

    /// A keyring that hangs.
    pub fn silent_keyring(&self) -> Silent {
        self.silent(SERVICE)
    }

    /// A dialog that nobody answers.
    pub fn open_dialog(&self) -> Silent {
        self.silent(PROMPTER)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        drop(self.daemon.kill());
        drop(self.daemon.wait());
    }
}

/// Somebody on the bus who never answers.
pub struct Silent {
    _connection: LocalConnection,
}

/// A real gnome-keyring with an empty login keyring, unlocked; it ends with the value.
pub struct Keyring<'a> {
    sandbox: &'a Sandbox,
    daemon: Child,
}

impl<'a> Keyring<'a> {
    /// Starts it on the sandbox's bus.
    pub fn start(sandbox: &'a Sandbox) -> Self {
        let mut command = sandbox.command("gnome-keyring-daemon");
        command.args(["--foreground", "--unlock", "--components=secrets"]).stdin(Stdio::piped());
        let daemon = give_password(command.stdout(Stdio::null()).stderr(Stdio::null()));
        let keyring = Self { sandbox, daemon };
        wait_until("the keyring to be there", || keyring.ask("ReadAlias", "string:default").contains("/login"));
        keyring
    }

    /// Locks the login keyring.
    pub fn lock(&self) {
        self.ask("Lock", "array:objpath:/org/freedesktop/secrets/collection/login");
        wait_until("the keyring to be locked", || self.locked() == Some(true));
    }

    /// Unlocks it as one does without a desktop: another daemon takes its place.
    pub fn unlock(&self) {
        let mut command = self.sandbox.command("gnome-keyring-daemon");
        command.args(["--replace", "--unlock"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = give_password(&mut command).wait();
        assert!(status.unwrap().success());
        wait_until("the keyring to be unlocked", || self.locked() == Some(false));
    }

    /// What another program finds as our entry of a name.
    pub fn looked_up(&self, name: &str) -> String {
        let command = ["lookup", "service", "ccrun", "username", name];
        text(&self.sandbox.command("secret-tool").args(command).output().unwrap().stdout)
    }

    /// Another program stores a further entry of a name.
    pub fn store(&self, name: &str, label: &str, secret: &str) {
        let shown = format!("--label={label}");
        let command = ["store", &shown, "service", "ccrun", "username", name, "more", label];
        let mut command_line = self.sandbox.command("secret-tool");
        let mut child = command_line.args(command).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(secret.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// Nothing while no daemon has the login keyring.
    fn locked(&self) -> Option<bool> {
        let path = "/org/freedesktop/secrets/collection/login";
        let property = ["string:org.freedesktop.Secret.Collection", "string:Locked"];
        let answer = send(self.sandbox, path, "org.freedesktop.DBus.Properties.Get", &property);
        [true, false].into_iter().find(|locked| answer.contains(&format!("boolean {locked}")))
    }

    fn ask(&self, method: &str, argument: &str) -> String {
        let method = format!("org.freedesktop.Secret.Service.{method}");
        send(self.sandbox, "/org/freedesktop/secrets", &method, &[argument])
    }
}

impl Drop for Keyring<'_> {
    fn drop(&mut self) {
        drop(self.daemon.kill());
        drop(self.daemon.wait());
    }
}

fn give_password(command: &mut Command) -> Child {
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
    child
}

fn send(sandbox: &Sandbox, path: &str, method: &str, arguments: &[&str]) -> String {
    let destination = format!("--dest={SERVICE}");
    let mut command = sandbox.command("dbus-send");
    command.args(["--session", "--print-reply", &destination, path, method]).args(arguments);
    text(&command.output().unwrap().stdout)
}
