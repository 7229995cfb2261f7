//! The kernel's keyring on Linux, for machines without a desktop (keyrings(7), persistent-keyring(7)).
//!
//! Uses only the user's persistent keyring. The library's store would also keep entries in the session's keyring and
//! look there first. Which session keyring a process has depends on how it was started, and an entry in one would hide
//! an entry that was stored later.

use std::collections::BTreeSet;

use keyring_core::Error;
use keyring_core::api::CredentialApi;
use linux_keyutils::{KeyError, KeyRing, KeyRingIdentifier};
use linux_keyutils_keyring_store::Cred;

use super::{Fault, SERVICE, Store};

pub(super) struct Keyutils(KeyRing);

/// Opens the user's persistent keyring, which the kernel creates if needed. Each access extends its lifetime.
pub(super) fn open() -> Result<Keyutils, Fault> {
    // Attached to this process, and therefore readable, while the process lives.
    KeyRing::get_persistent(KeyRingIdentifier::Process)
        .map(Keyutils)
        .map_err(|error| Fault::Absent(format!("the kernel's persistent keyring may not be used here ({error})"), None))
}

impl Keyutils {
    fn entry(&self, name: &str) -> Cred {
        Cred { session: self.0, persistent: None, description: format!("{SERVICE}:{name}"), specifiers: None }
    }
}

impl Store for Keyutils {
    fn get(&self, name: &str) -> Result<Vec<u8>, Fault> {
        self.entry(name).get_secret().map_err(|error| fault(&error, name))
    }

    fn set(&self, name: &str, secret: &[u8]) -> Result<(), Fault> {
        self.entry(name).set_secret(secret).map_err(|error| fault(&error, name))
    }

    fn remove(&self, name: &str) -> Result<(), Fault> {
        self.entry(name).delete_credential().map_err(|error| fault(&error, name))
    }

    fn has(&self, name: &str) -> Result<bool, Fault> {
        match self.entry(name).get_credential() {
            Ok(_) => Ok(true),
            Err(Error::NoEntry) => Ok(false),
            Err(error) => Err(fault(&error, name)),
        }
    }

    fn names(&self) -> Result<BTreeSet<String>, Fault> {
        Err(Fault::Unlisted)
    }
}

fn fault(error: &Error, name: &str) -> Fault {
    let of_kernel = match error {
        Error::NoEntry => return Fault::NoEntry(name.to_owned()),
        Error::NoStorageAccess(error) | Error::PlatformFailure(error) => error.downcast_ref::<KeyError>(),
        _ => None,
    };
    match of_kernel {
        Some(KeyError::AccessDenied | KeyError::PermissionDenied) => Fault::Denied("by the kernel".to_owned()),
        Some(KeyError::QuotaExceeded) => {
            Fault::Other("the kernel's quota for this user is used up: see /proc/key-users and keyrings(7)".to_owned())
        }
        Some(error) => Fault::Other(format!("the kernel says {error}")),
        // Other messages could contain the secret.
        None => Fault::Other("the kernel returned an unknown error".to_owned()),
    }
}
