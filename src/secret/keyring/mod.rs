//! Keyring entries: in the desktop's keyring (Secret Service on Linux, the login keychain on macOS), or in the kernel's
//! on machines without a desktop. Never in a file.
//!
//! A keyring may prompt for a password and block forever, so each request runs on its own thread, and callers wait only
//! for a limited time.

mod fault;
#[cfg(target_os = "macos")]
mod keychain;
#[cfg(target_os = "linux")]
mod keyutils;
#[cfg(target_os = "linux")]
mod secret_service;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use fault::Fault;

use super::Secret;
use crate::secret::command::FetchContext;

/// The service name of all entries. The name of an entry is its user name.
const SERVICE: &str = "ccrun";

/// The longest name of an entry, in bytes.
const MAXIMUM_NAME: usize = 255;

/// The maximum size of a secret, in bytes. The kernel's limit is 32767.
pub const MAXIMUM_SECRET: usize = 16 * 1024;

/// The keyring in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keyring {
    /// The desktop's.
    #[default]
    Desktop,
    /// The kernel's, on Linux. It is cleared at reboot, and entries unused for three days expire.
    Keyutils,
}

/// The existing entries.
#[derive(Debug)]
pub struct Entries {
    /// Their names.
    pub names: BTreeSet<String>,
    /// Why there may be more entries than those that were asked for.
    pub incomplete: Option<String>,
}

/// What is known about an entry without a password prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It exists and can be read.
    Readable,
    /// It exists, or may exist, and the keyring is locked.
    Locked,
    /// It does not exist.
    Absent,
}

/// Checks the name of an entry, which is shown in messages and in other programs.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("it is empty"),
        name if name.len() > MAXIMUM_NAME => Err("it is longer than 255 bytes"),
        name if name.trim() != name => Err("it begins or ends with a space"),
        name if name.chars().any(char::is_control) => Err("it contains a control character"),
        _ => Ok(()),
    }
}

/// The secret of an entry, without the line break at its end.
pub fn get(name: &str, context: FetchContext<'_>) -> Result<Secret, Fault> {
    let bytes = ask(context, {
        let name = name.to_owned();
        move |store| store.get(&name)
    })?;
    let text = String::from_utf8(bytes).map_err(|_| Fault::NoText)?;
    Ok(Secret::from(text.trim_end_matches(['\n', '\r']).to_owned()))
}

/// What is known about these entries without a password prompt.
pub fn look(names: BTreeSet<String>, context: FetchContext<'_>) -> Result<BTreeMap<String, Presence>, Fault> {
    ask(context, move |store| names.into_iter().map(|name| Ok((name.clone(), store.look(&name)?))).collect())
}

/// Stores a secret under a name, replacing an existing one.
pub fn set(name: &str, secret: Secret, context: FetchContext<'_>) -> Result<(), Fault> {
    let name = name.to_owned();
    ask(context, move |store| store.set(&name, secret.expose().as_bytes()))
}

/// Removes all entries of a name.
pub fn remove(name: &str, context: FetchContext<'_>) -> Result<(), Fault> {
    let name = name.to_owned();
    ask(context, move |store| store.remove(&name))
}

/// The names among these that have an entry, and other entries as far as the keyring lists them.
pub fn list(names: BTreeSet<String>, context: FetchContext<'_>) -> Result<Entries, Fault> {
    ask(context, move |store| {
        let found = names.into_iter().filter_map(|name| match store.has(&name) {
            Ok(true) => Some(Ok(name)),
            Ok(false) => None,
            Err(fault) => Some(Err(fault)),
        });
        let mut names: BTreeSet<_> = found.collect::<Result<_, _>>()?;
        let incomplete = match store.names() {
            Ok(others) => {
                names.extend(others);
                None
            }
            Err(fault @ (Fault::Unlisted | Fault::Locked)) => Some(format!("the keyring {fault}")),
            Err(fault) => return Err(fault),
        };
        Ok(Entries { names, incomplete })
    })
}

/// The operations of a keyring, by the names of entries. They may block without limit.
trait Store {
    fn get(&self, name: &str) -> Result<Vec<u8>, Fault>;
    fn set(&self, name: &str, secret: &[u8]) -> Result<(), Fault>;
    fn remove(&self, name: &str) -> Result<(), Fault>;
    /// Avoids prompts for a password as far as possible.
    fn has(&self, name: &str) -> Result<bool, Fault>;
    fn names(&self) -> Result<BTreeSet<String>, Fault>;
    /// Never prompts for a password.
    fn look(&self, name: &str) -> Result<Presence, Fault> {
        Ok(if self.has(name)? { Presence::Readable } else { Presence::Absent })
    }
}

/// Opens the keyring. `waiting` is set while it waits for the user.
fn open(keyring: Keyring, has_bus: bool, waiting: Waiting) -> Result<Box<dyn Store>, Fault> {
    match keyring {
        #[cfg(target_os = "linux")]
        Keyring::Desktop => Ok(Box::new(secret_service::open(has_bus, waiting)?)),
        #[cfg(target_os = "macos")]
        Keyring::Desktop => {
            let _of_linux = (has_bus, waiting);
            Ok(Box::new(keychain::open()?))
        }
        #[cfg(target_os = "linux")]
        Keyring::Keyutils => Ok(Box::new(keyutils::open()?)),
        #[cfg(not(target_os = "linux"))]
        Keyring::Keyutils => {
            Err(Fault::Absent("`keyring = \"keyutils\"` in config.toml is for Linux".to_owned(), None))
        }
    }
}

/// Whether the keyring waits for the user.
#[derive(Clone, Debug, Default)]
struct Waiting(Arc<AtomicBool>);

/// The Keychain does not say when it waits.
#[cfg(target_os = "linux")]
impl Waiting {
    /// Sets the flag until the value is dropped.
    fn begin(&self) -> impl Drop + use<> {
        struct Over(Waiting);
        impl Drop for Over {
            fn drop(&mut self) {
                self.0.0.store(false, Ordering::Relaxed);
            }
        }
        self.0.store(true, Ordering::Relaxed);
        Over(self.clone())
    }
}

/// Sends a request to the keyring, and waits for the answer within the context's patience.
fn ask<T: Send + 'static>(
    context: FetchContext<'_>,
    question: impl FnOnce(&dyn Store) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let deadline = Instant::now() + context.patience;
    let left = || deadline.saturating_duration_since(Instant::now());
    let turn = Turn::take(left()).ok_or(Fault::Busy)?;
    let waiting = Waiting::default();
    let (keyring, has_bus, noted) = (context.keyring, has_bus(context), waiting.clone());
    let (sender, answer) = mpsc::sync_channel(1);
    let asking = move || {
        // Released when there is an answer, even if the caller no longer waits for it.
        let _turn = turn;
        let answer = open(keyring, has_bus, noted).and_then(|store| question(store.as_ref()));
        drop(sender.send(answer));
    };
    thread::Builder::new().name("keyring".to_owned()).spawn(asking).map_err(|error| Fault::Other(error.to_string()))?;
    match answer.recv_timeout(left()) {
        Ok(Err(Fault::Absent(reason, _))) => Err(Fault::Absent(reason, Some(config_file(context)))),
        Ok(answer) => answer,
        Err(RecvTimeoutError::Timeout) if waiting.0.load(Ordering::Relaxed) => Err(Fault::Locked),
        Err(RecvTimeoutError::Timeout) => Err(Fault::Silent),
        Err(RecvTimeoutError::Disconnected) => Err(Fault::Other("the look-up failed".to_owned())),
    }
}

/// The user's `config.toml`, which can select another keyring, as people write its path.
fn config_file(context: FetchContext<'_>) -> String {
    let named = context.variable("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let path = named.unwrap_or_else(|| context.home.join(".config")).join("ccrun/config.toml");
    match path.strip_prefix(context.home) {
        Ok(below) => format!("~/{}", below.display()),
        Err(_) => path.display().to_string(),
    }
}

/// Whether there may be a session bus. Without one, the library's message would not help anyone.
fn has_bus(context: FetchContext<'_>) -> bool {
    let of_runtime = |directory| std::path::Path::new(&directory).join("bus").exists();
    context.variable("DBUS_SESSION_BUS_ADDRESS").is_some()
        || context.variable("XDG_RUNTIME_DIR").is_some_and(of_runtime)
}

/// The right to use the keyring. There is only one in a process: if a keyring hangs or shows its dialog, each further
/// request would otherwise add a thread and a dialog.
struct Turn;

static TAKEN: Mutex<bool> = Mutex::new(false);
static FREED: Condvar = Condvar::new();

impl Turn {
    /// Waits until it is free.
    fn take(patience: Duration) -> Option<Self> {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut taken, waited) =
            FREED.wait_timeout_while(taken, patience, |taken| *taken).unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return None;
        }
        *taken = true;
        Some(Self)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = false;
        FREED.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printable() {
        for name in ["signoz/ingestion-key", "a b", "größe", &"x".repeat(255)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", " a", "a\n", "a\u{1b}[0m", &"x".repeat(256)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
