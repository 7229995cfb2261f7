//! A session bus for a test, with a real gnome-keyring or a service that only takes its name.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use dbus::blocking::LocalConnection;
use dbus::channel::Channel;

use super::sandbox::{Sandbox, text, wait_until};

/// The bus name of the keyring service.
const SERVICE: &str = "org.freedesktop.secrets";

/// The bus name of the program that shows gnome-keyring's dialogs.
const PROMPTER: &str = "org.gnome.keyring.SystemPrompter";

/// The bus starts no services. The tests start them.
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

/// The password of the login keyring.
const PASSWORD: &str = "correct horse";

/// A session bus that every program in the sandbox uses. It stops when dropped.
pub struct Bus {
    daemon: Child,
    address: String,
}

impl Bus {
    /// Starts a bus without services.
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

    /// Takes a bus name and never answers calls to it. Dropping the value releases the name.
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

    /// A dialog that is never answered.
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

/// A service on the bus that never answers.
pub struct Silent {
    _connection: LocalConnection,
}

/// A real gnome-keyring with an empty, unlocked login keyring. It stops when dropped.
pub struct Keyring<'a> {
    sandbox: &'a Sandbox,
    daemon: Child,
}

impl<'a> Keyring<'a> {
    /// Starts a keyring on the sandbox's bus.
    pub fn start(sandbox: &'a Sandbox) -> Self {
        let mut command = sandbox.command("gnome-keyring-daemon");
        command.args(["--foreground", "--unlock", "--components=secrets"]).stdin(Stdio::piped());
        let daemon = give_password(command.stdout(Stdio::null()).stderr(Stdio::null()));
        let keyring = Self { sandbox, daemon };
        wait_until("the keyring to start", || keyring.ask("ReadAlias", "string:default").contains("/login"));
        keyring
    }

    /// Locks the login keyring.
    pub fn lock(&self) {
        self.ask("Lock", "array:objpath:/org/freedesktop/secrets/collection/login");
        wait_until("the keyring to be locked", || self.locked() == Some(true));
    }

    /// Unlocks it as a user without a desktop does: by replacing the daemon.
    pub fn unlock(&self) {
        let mut command = self.sandbox.command("gnome-keyring-daemon");
        command.args(["--replace", "--unlock"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = give_password(&mut command).wait();
        assert!(status.unwrap().success());
        wait_until("the keyring to be unlocked", || self.locked() == Some(false));
    }

    /// Looks up `ccrun`'s entry of this name with another program.
    pub fn looked_up(&self, name: &str) -> String {
        let command = ["lookup", "service", "ccrun", "username", name];
        text(&self.sandbox.command("secret-tool").args(command).output().unwrap().stdout)
    }

    /// Stores another entry of this name with another program.
    pub fn store(&self, name: &str, label: &str, secret: &str) {
        self.store_as(name, label, &["more", label], secret);
    }

    /// Stores an entry of this name with another program and additional attributes.
    pub fn store_as(&self, name: &str, label: &str, further: &[&str], secret: &str) {
        let shown = format!("--label={label}");
        let command = [&["store", &shown, "service", "ccrun", "username", name], further].concat();
        let mut command_line = self.sandbox.command("secret-tool");
        let mut child = command_line.args(command).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(secret.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// Whether the login keyring is locked, or `None` while no daemon provides it.
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
