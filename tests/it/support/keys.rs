//! A backend that requires a key, a helper command that prints one, and counts of the calls to both.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use ccrun::profile::Protocol;

use super::backend::{Backend, Received, Reply};
use super::sandbox::Sandbox;

/// A backend that accepts one key and records what arrives with it.
pub struct Locked {
    pub backend: Backend,
    door: Arc<Mutex<Door>>,
}

#[derive(Default)]
struct Door {
    key: Option<String>,
    accepted: Vec<Received>,
    refused: usize,
}

impl Locked {
    /// Starts a backend that accepts no key yet.
    pub fn start() -> Self {
        let (backend, door) = (Backend::start(), Arc::new(Mutex::new(Door::default())));
        let shared = Arc::clone(&door);
        backend.reply_with(move |received| {
            let mut door = shared.lock().unwrap();
            if door.key.as_ref().is_some_and(|key| received.header("authorization") == format!("Bearer {key}")) {
                door.accepted.push(received.clone());
                return Reply::accept();
            }
            door.refused += 1;
            match received.protocol {
                Protocol::Grpc => Reply::grpc_trailers_only(16, "bad key"),
                _ => Reply::http(401, "bad key"),
            }
        });
        Self { backend, door }
    }

    /// Accepts only this key from now on.
    pub fn accept(&self, key: &str) {
        self.door.lock().unwrap().key = Some(key.to_owned());
    }

    /// The requests with the right key.
    pub fn accepted(&self) -> Vec<Received> {
        self.door.lock().unwrap().accepted.clone()
    }

    /// The number of requests with another key.
    pub fn refused(&self) -> usize {
        self.door.lock().unwrap().refused
    }

    /// A destination with a header that takes its value from this source.
    pub fn destination(&self, source: &str) -> String {
        format!("[destination.d]\nendpoint = \"{}\"\nheaders.Authorization = {source}\n", self.backend.endpoint())
    }
}

/// A helper command that logs each run, runs a script, and prints the current key.
pub struct Helper<'a>(&'a Sandbox);

impl<'a> Helper<'a> {
    /// Puts the helper on the PATH as `get-key`. The script runs between the log entry and the output.
    pub fn new(sandbox: &'a Sandbox, script: &str) -> Self {
        sandbox.program("get-key", &format!("#!/bin/sh\necho run >> ~/runs\n{script}\ncat ~/key\n"));
        Self(sandbox)
    }

    /// Sets the key that it prints from now on.
    pub fn give(&self, key: &str) {
        let new = self.0.write("home/key.new", key);
        std::fs::rename(new, self.0.home().join("key")).unwrap();
    }

    /// The number of runs so far.
    pub fn runs(&self) -> usize {
        std::fs::read_to_string(self.0.home().join("runs")).unwrap_or_default().lines().count()
    }

    /// The source of a header's value: this helper, with options.
    pub fn source(options: &str) -> String {
        format!("{{ command = [\"get-key\"], format = \"Bearer {{}}\"{options} }}")
    }
}

/// A pipe that blocks each reader until the test opens it.
pub struct Gate(PathBuf);

impl Gate {
    pub fn new(sandbox: &Sandbox) -> Self {
        let path = sandbox.home().join("gate");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        Self(path)
    }

    /// Lets one reader pass, now or in the future.
    pub fn open(&self) {
        std::fs::write(&self.0, "go\n").unwrap();
    }
}

/// The reasons for undelivered data, from `ccrun queue status`.
pub fn reasons(sandbox: &Sandbox) -> Vec<String> {
    sandbox.queue().iter().filter_map(|entry| Some(entry["last_error"].as_str()?.to_owned())).collect()
}
