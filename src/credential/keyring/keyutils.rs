//! The kernel's keyring on Linux, for machines without a desktop (keyrings(7), persistent-keyring(7)).
//!
//! The user's persistent keyring alone: which session keyring a process has depends on how it was started, and whether
//! what is in it may be read, too.

use std::collections::BTreeSet;

use linux_keyutils::{Key, KeyError, KeyRing, KeyRingIdentifier};

use super::{Fault, SERVICE, Store};

pub(super) struct Keyutils(KeyRing);

/// Finds the user's persistent keyring, which the kernel makes where there is none. Every look at it puts off when it
/// is forgotten.
pub(super) fn open() -> Result<Keyutils, Fault> {
    // Held by this process, and so readable, for as long as it lives.
    KeyRing::get_persistent(KeyRingIdentifier::Process)
        .map(Keyutils)
        .map_err(|error| Fault::Absent(format!("the kernel's persistent keyring may not be used here ({error})")))
}

impl Keyutils {
    fn find(&self, name: &str) -> Result<Option<Key>, Fault> {
        match self.0.search(&description(name)) {
            Ok(key) => Ok(Some(key)),
            // Removed, or forgotten.
            Err(KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked) => Ok(None),
            Err(error) => Err(fault(error)),
        }
    }
}

impl Store for Keyutils {
    fn get(&self, name: &str) -> Result<Vec<u8>, Fault> {
        let key = self.find(name)?.ok_or_else(|| Fault::NoEntry(name.to_owned()))?;
        key.read_to_vec().map_err(fault)
    }

    fn set(&self, name: &str, secret: &[u8]) -> Result<(), Fault> {
        self.0.add_key(&description(name), secret).map(drop).map_err(fault)
    }

    fn remove(&self, name: &str) -> Result<(), Fault> {
        let key = self.find(name)?.ok_or_else(|| Fault::NoEntry(name.to_owned()))?;
        self.0.unlink_key(key).map_err(fault)
    }

    fn has(&self, name: &str) -> Result<bool, Fault> {
        self.find(name).map(|key| key.is_some())
    }

    fn names(&self) -> Result<BTreeSet<String>, Fault> {
        Err(Fault::Unlisted)
    }
}

fn description(name: &str) -> String {
    format!("{SERVICE}:{name}")
}

fn fault(error: KeyError) -> Fault {
    match error {
        KeyError::AccessDenied | KeyError::PermissionDenied => Fault::Denied("by the kernel".to_owned()),
        KeyError::QuotaExceeded => {
            Fault::Other("the kernel keeps no more for this user: see /proc/key-users and keyrings(7)".to_owned())
        }
        error => Fault::Other(format!("the kernel says {error}")),
    }
}
