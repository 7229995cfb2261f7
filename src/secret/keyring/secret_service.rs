//! The desktop's keyring on Linux: any program that provides the Secret Service on the session bus.
//!
//! The `keyring` crates read, write and remove entries. The rest uses the service directly: checking an entry without a
//! password prompt, detecting that the service waits for the user, so that a locked keyring is distinguished from a
//! hanging one, and creating a default collection.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use dbus_secret_service::{Collection, EncryptionType, Error, SecretService};
use dbus_secret_service_keyring_store as keyring_store;
use keyring_core::Entry;
use keyring_core::api::CredentialStoreApi;

use super::{Fault, Presence, SERVICE, Store, Waiting};

/// The attributes that identify entries, as in the `keyring` crates.
const ATTRIBUTES: [&str; 2] = ["service", "username"];

pub(super) struct Desktop {
    /// No secrets are sent over this session, so it is not encrypted.
    service: SecretService,
    waiting: Waiting,
}

/// Connects to the service, which the bus starts if possible.
pub(super) fn open(has_bus: bool, waiting: Waiting) -> Result<Desktop, Fault> {
    if !has_bus {
        return Err(Fault::Absent("there is no session bus".to_owned(), None));
    }
    Ok(Desktop { service: SecretService::connect(EncryptionType::Plain).map_err(|error| fault(&error))?, waiting })
}

impl Store for Desktop {
    fn get(&self, name: &str) -> Result<Vec<u8>, Fault> {
        self.unlock(&attributes(name))?;
        entry(name)?.get_secret().map_err(|error| fault_of_store(&error, name))
    }

    fn set(&self, name: &str, secret: &[u8]) -> Result<(), Fault> {
        if !self.unlock(&attributes(name))? {
            let collection = match self.default()? {
                Some(collection) => collection,
                None => self.make_default()?,
            };
            self.unlock_collection(&collection)?;
        }
        let _waiting = self.waiting.begin();
        entry(name)?.set_secret(secret).map_err(|error| fault_of_store(&error, name))
    }

    fn remove(&self, name: &str) -> Result<(), Fault> {
        if !self.unlock(&attributes(name))? {
            return Err(Fault::NoEntry(name.to_owned()));
        }
        let _waiting = self.waiting.begin();
        let entries = store()?.search(&attributes(name));
        let mut entries = entries.map_err(|error| fault_of_store(&error, name))?.into_iter();
        entries.try_for_each(|entry| entry.delete_credential().map_err(|error| fault_of_store(&error, name)))
    }

    fn has(&self, name: &str) -> Result<bool, Fault> {
        let found = self.service.search_items(attributes(name)).map_err(|error| fault(&error))?;
        Ok(!found.unlocked.is_empty() || !found.locked.is_empty())
    }

    fn look(&self, name: &str) -> Result<Presence, Fault> {
        let found = self.service.search_items(attributes(name)).map_err(|error| fault(&error))?;
        if !found.unlocked.is_empty() {
            return Ok(Presence::Readable);
        }
        // Some services do not report locked items.
        let is_locked =
            || self.default()?.map_or(Ok(false), |collection| collection.is_locked().map_err(|error| fault(&error)));
        Ok(if !found.locked.is_empty() || is_locked()? { Presence::Locked } else { Presence::Absent })
    }

    fn names(&self) -> Result<BTreeSet<String>, Fault> {
        let attributes = HashMap::from([(ATTRIBUTES[0], SERVICE)]);
        self.unlock(&attributes)?;
        let entries = store()?.search(&attributes).map_err(|error| fault_of_store(&error, ""))?;
        Ok(entries.iter().filter_map(Entry::get_specifiers).map(|(_, name)| name).collect())
    }
}

impl Desktop {
    /// Unlocks the entries with these attributes, with a prompt if needed, and returns whether there are any.
    fn unlock(&self, attributes: &HashMap<&str, &str>) -> Result<bool, Fault> {
        let search = || self.service.search_items(attributes.clone()).map_err(|error| fault(&error));
        let mut found = search()?;
        if found.unlocked.is_empty() && found.locked.is_empty() {
            // Some services do not report locked items.
            let Some(collection) = self.default()? else { return Ok(false) };
            if !self.unlock_collection(&collection)? {
                return Ok(false);
            }
            found = search()?;
        }
        if !found.locked.is_empty() {
            let _waiting = self.waiting.begin();
            self.service.unlock_all(&found.locked.iter().collect::<Vec<_>>()).map_err(|error| fault(&error))?;
        }
        Ok(!found.unlocked.is_empty() || !found.locked.is_empty())
    }

    /// The collection for new entries, if there is one.
    fn default(&self) -> Result<Option<Collection<'_>>, Fault> {
        match self.service.get_default_collection() {
            Ok(collection) => Ok(Some(collection)),
            Err(Error::NoResult) => Ok(None),
            Err(error) => Err(fault(&error)),
        }
    }

    /// Creates it, with a password prompt.
    fn make_default(&self) -> Result<Collection<'_>, Fault> {
        let _waiting = self.waiting.begin();
        self.service.create_collection("Default keyring", "default").map_err(|error| match fault(&error) {
            Fault::Locked => Fault::NoCollection,
            other => other,
        })
    }

    /// Returns whether it was locked.
    fn unlock_collection(&self, collection: &Collection<'_>) -> Result<bool, Fault> {
        let is_locked = collection.is_locked().map_err(|error| fault(&error))?;
        if is_locked {
            let _waiting = self.waiting.begin();
            collection.unlock().map_err(|error| fault(&error))?;
        }
        Ok(is_locked)
    }
}

fn attributes(name: &str) -> HashMap<&str, &str> {
    HashMap::from([(ATTRIBUTES[0], SERVICE), (ATTRIBUTES[1], name)])
}

/// The store, with its own encrypted session.
fn store() -> Result<Arc<keyring_store::Store>, Fault> {
    keyring_store::Store::new().map_err(|error| fault_of_store(&error, ""))
}

/// The store's handle for a name, whether or not the entry exists.
fn entry(name: &str) -> Result<Entry, Fault> {
    let label = format!("ccrun: {name}");
    let modifiers = HashMap::from([("label", label.as_str())]);
    store()?.build(SERVICE, name, Some(&modifiers)).map_err(|error| fault_of_store(&error, name))
}

fn fault_of_store(error: &keyring_core::Error, name: &str) -> Fault {
    let of_service = match error {
        keyring_core::Error::NoEntry => return Fault::NoEntry(name.to_owned()),
        keyring_core::Error::Ambiguous(entries) => return Fault::Several(name.to_owned(), entries.len()),
        keyring_core::Error::NoStorageAccess(error) | keyring_core::Error::PlatformFailure(error) => {
            error.downcast_ref::<Error>()
        }
        _ => None,
    };
    // Other messages could contain the secret.
    of_service.map_or_else(|| Fault::Other("the service returned an unknown error".to_owned()), fault)
}

fn fault(error: &Error) -> Fault {
    match error {
        Error::Locked | Error::Prompt => Fault::Locked,
        Error::Unavailable => Fault::Absent("no service provides it".to_owned(), None),
        Error::Dbus(error) => {
            let said = error.message().unwrap_or_default().to_owned();
            let name = error.name().unwrap_or_default();
            match name.rsplit('.').next().unwrap_or_default() {
                "IsLocked" => Fault::Locked,
                "NoReply" | "Timeout" | "TimedOut" => Fault::Silent,
                "AccessDenied" | "AuthFailed" => Fault::Denied(said),
                "ServiceUnknown" | "NameHasNoOwner" => {
                    Fault::Absent("no keyring provides the Secret Service on the session bus".to_owned(), None)
                }
                "NoServer" | "FileNotFound" | "BadAddress" | "Disconnected" | "IOError" | "NoNetwork" => {
                    Fault::Absent(format!("the session bus cannot be reached ({said})"), None)
                }
                _ if name.contains(".Spawn.") => {
                    Fault::Absent(format!("the session bus cannot start the service ({said})"), None)
                }
                _ => Fault::Other(said),
            }
        }
        other => Fault::Other(other.to_string()),
    }
}
