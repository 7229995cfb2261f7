//! A real backend as a child process with a directory and addresses of its own.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::sandbox::{DEADLINE, wait_until};

/// A running server. It is killed when dropped.
pub struct Server {
    process: Child,
    /// Holds its files and its output.
    directory: TempDir,
    /// The addresses that it was given. It answers HTTP at the first.
    pub addresses: Vec<String>,
}

impl Server {
    /// Starts the program that a variable names, and waits until it answers 200 at a path. `arguments` writes its files
    /// into its directory and returns its arguments, for this many addresses.
    pub fn start(
        variable: &str,
        ready: &str,
        addresses: usize,
        arguments: impl Fn(&Path, &[String]) -> Vec<String>,
    ) -> Self {
        let program = std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is the path of the program"));
        // Another process may take a port before the server binds it.
        let start = |_| Self::start_once(Command::new(&program), ready, addresses, &arguments);
        (0..5).find_map(start).unwrap_or_else(|| panic!("the program in {variable} exited at every start"))
    }

    fn start_once(
        mut command: Command,
        ready: &str,
        addresses: usize,
        arguments: impl Fn(&Path, &[String]) -> Vec<String>,
    ) -> Option<Self> {
        let directory = tempfile::Builder::new().prefix("ccrun-server-").tempdir().unwrap();
        let addresses = free_addresses(addresses);
        let log = File::create(directory.path().join("log")).unwrap();
        command.args(arguments(directory.path(), &addresses)).env_clear().current_dir(directory.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut server = Self { process: command.spawn().unwrap(), directory, addresses };
        let mut has_ended = false;
        wait_until("the server to be ready", || {
            has_ended = server.process.try_wait().unwrap().is_some();
            has_ended || get(&server.addresses[0], ready).is_ok_and(|(status, _)| status == 200)
        });
        (!has_ended).then_some(server)
    }

    /// The body at a path.
    #[track_caller]
    pub fn get(&self, target: &str) -> String {
        let (status, body) = get(&self.addresses[0], target).unwrap();
        assert_eq!(status, 200, "{target}: {body}");
        body
    }

    /// Its output so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Loopback addresses that are free at the moment, all different.
pub fn free_addresses(count: usize) -> Vec<String> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
}

/// Status and body of a GET request.
pub fn get(address: &str, target: &str) -> io::Result<(u16, String)> {
    ask(address, &format!("GET {target} HTTP/1.0\r\nhost: {address}\r\n\r\n"))
}

/// Status and body of a POST request with these lines of headers.
pub fn post(address: &str, target: &str, headers: &str, body: &str) -> io::Result<(u16, String)> {
    let length = body.len();
    let head = format!("POST {target} HTTP/1.0\r\nhost: {address}\r\ncontent-length: {length}\r\n{headers}\r\n");
    ask(address, &(head + body))
}

/// Status and body of a request in HTTP 1.0, so that the answer ends with the connection.
fn ask(address: &str, request: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or(io::ErrorKind::InvalidData)?, body.to_owned()))
}
