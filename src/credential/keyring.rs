//! Entries of a keyring: the desktop's (Secret Service on Linux, the login keychain on macOS), or the kernel's where
//! there is no desktop. Never a file.
//!
//! A keyring may ask its user for a password and wait for the answer for ever, so it is asked on a thread of its own,
//! and whoever wants to know waits for only so long.

mod fault;
#[cfg(target_os = "macos")]
mod keychain;
#[cfg(target_os = "linux")]
mod keyutils;
#[cfg(target_os = "linux")]
mod secret_service;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use fault::Fault;

use super::Secret;
use crate::helper::Ground;

/// The service that all our entries are of; an entry's name is its user.
const SERVICE: &str = "ccrun";

/// The longest name of an entry, in bytes.
const MAXIMUM_NAME: usize = 255;

/// The longest secret that is stored, in bytes: the kernel takes no more than 32767.
pub const MAXIMUM_SECRET: usize = 16 * 1024;

/// Which keyring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keyring {
    /// The desktop's.
    #[default]
    Desktop,
    /// The kernel's, on Linux: it forgets when the machine starts anew, and what nobody has asked for in some days.
    Keyutils,
}

/// The entries that are there.
#[derive(Debug)]
pub struct Entries {
    /// Their names.
    pub names: BTreeSet<String>,
    /// Why there may be others, which were not asked for, too.
    pub incomplete: Option<String>,
}

/// What can be told of an entry without asking anybody for a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there, and can be read.
    Readable,
    /// It is there, or may be, and the keyring is locked.
    Locked,
    /// It is not there.
    Absent,
}

/// Checks an entry's name: it stands in messages, and in what other programs show of a keyring.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("it is empty"),
        name if name.len() > MAXIMUM_NAME => Err("it is longer than 255 bytes"),
        name if name.trim() != name => Err("it begins or ends with a space"),
        name if name.chars().any(char::is_control) => Err("it holds a control character"),
        _ => Ok(()),
    }
}

/// An entry's secret, without the line break at its end.
pub fn get(name: &str, ground: Ground<'_>) -> Result<Secret, Fault> {
    let bytes = ask(ground, {
        let name = name.to_owned();
        move |store| store.get(&name)
    })?;
    let text = String::from_utf8(bytes).map_err(|_| Fault::NoText)?;
    Ok(Secret(text.trim_end_matches(['\n', '\r']).to_owned()))
}

/// What can be told of these entries. Nobody is asked for a password.
pub fn look(names: BTreeSet<String>, ground: Ground<'_>) -> Result<BTreeMap<String, Presence>, Fault> {
    ask(ground, move |store| names.into_iter().map(|name| Ok((name.clone(), store.look(&name)?))).collect())
}

/// Stores a secret as the entry of a name, in place of what was there.
pub fn set(name: &str, secret: Secret, ground: Ground<'_>) -> Result<(), Fault> {
    let name = name.to_owned();
    ask(ground, move |store| store.set(&name, secret.0.as_bytes()))
}

/// Removes all entries of a name.
pub fn remove(name: &str, ground: Ground<'_>) -> Result<(), Fault> {
    let name = name.to_owned();
    ask(ground, move |store| store.remove(&name))
}

/// Which of some names have an entry, and which other entries there are as far as the keyring tells.
pub fn list(names: BTreeSet<String>, ground: Ground<'_>) -> Result<Entries, Fault> {
    ask(ground, move |store| {
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

/// What every keyring can do, by the names of our entries. Blocks for as long as the keyring likes.
trait Store {
    fn get(&self, name: &str) -> Result<Vec<u8>, Fault>;
    fn set(&self, name: &str, secret: &[u8]) -> Result<(), Fault>;
    fn remove(&self, name: &str) -> Result<(), Fault>;
    /// Asks nobody for a password, where that can be helped.
    fn has(&self, name: &str) -> Result<bool, Fault>;
    fn names(&self) -> Result<BTreeSet<String>, Fault>;
    /// Asks nobody for a password.
    fn look(&self, name: &str) -> Result<Presence, Fault> {
        Ok(if self.has(name)? { Presence::Readable } else { Presence::Absent })
    }
}

/// Opens the keyring. `waiting` is set as soon as it waits for its user.
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
        Keyring::Keyutils => Err(Fault::Absent("`keyring = \"keyutils\"` in config.toml is for Linux".to_owned())),
    }
}

/// Whether the keyring waits for its user.
#[derive(Clone, Debug, Default)]
struct Waiting(Arc<AtomicBool>);

impl Waiting {
    /// Notes that it does, until the value is dropped.
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

/// Asks the keyring, and waits for the answer as long as the ground's patience lasts.
fn ask<T: Send + 'static>(
    ground: Ground<'_>,
    question: impl FnOnce(&dyn Store) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let deadline = Instant::now() + ground.patience;
    let left = || deadline.saturating_duration_since(Instant::now());
    let turn = Turn::take(left()).ok_or(Fault::Busy)?;
    let waiting = Waiting::default();
    let (keyring, has_bus, noted) = (ground.keyring, has_bus(ground), waiting.clone());
    let (sender, answer) = mpsc::sync_channel(1);
    let asking = move || {
        // Let go of when there is an answer, be it that nobody waits for it any more.
        let _turn = turn;
        let answer = open(keyring, has_bus, noted).and_then(|store| question(store.as_ref()));
        drop(sender.send(answer));
    };
    thread::Builder::new().name("keyring".to_owned()).spawn(asking).map_err(|error| Fault::Other(error.to_string()))?;
    match answer.recv_timeout(left()) {
        Ok(answer) => answer,
        Err(RecvTimeoutError::Timeout) if waiting.0.load(Ordering::Relaxed) => Err(Fault::Locked),
        Err(RecvTimeoutError::Timeout) => Err(Fault::Silent),
        Err(RecvTimeoutError::Disconnected) => Err(Fault::Other("the look-up failed".to_owned())),
    }
}

/// Whether there may be a session bus. Where there is none, what the library says of it helps nobody.
fn has_bus(ground: Ground<'_>) -> bool {
    let of_runtime = |directory| std::path::Path::new(&directory).join("bus").exists();
    ground.variable("DBUS_SESSION_BUS_ADDRESS").is_some() || ground.variable("XDG_RUNTIME_DIR").is_some_and(of_runtime)
}

/// The right to ask. There is one in a process: a keyring that hangs, or whose dialog is open, would otherwise gather a
/// thread and a dialog with every question.
struct Turn;

static TAKEN: Mutex<bool> = Mutex::new(false);
static FREED: Condvar = Condvar::new();

impl Turn {
    /// Waits until nobody else has it.
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
    fn a_name_is_fit_to_be_shown() {
        for name in ["signoz/ingestion-key", "a b", "größe", &"x".repeat(255)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", " a", "a\n", "a\u{1b}[0m", &"x".repeat(256)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
