//! The desktop's keyring on Linux: whatever offers the Secret Service on the session bus.
//!
//! Asked through the client and not through the store that the `keyring` crates put over it, because that unlocks
//! whatever it finds, and nobody could tell a keyring that waits for its user from one that hangs. Secrets are not
//! encrypted on their way over the bus, which nobody but the user can read, who can as well ask the service.

use std::collections::{BTreeSet, HashMap};

use dbus_secret_service::{Collection, EncryptionType, Error, Item, SecretService};

use super::{Fault, Presence, SERVICE, Store, Waiting};

/// What entries are found by.
const ATTRIBUTES: [&str; 2] = ["service", "username"];

pub(super) struct Desktop {
    service: SecretService,
    waiting: Waiting,
}

/// Connects to the service, which the bus starts if it can.
pub(super) fn open(has_bus: bool, waiting: Waiting) -> Result<Desktop, Fault> {
    if !has_bus {
        return Err(Fault::Absent("there is no session bus".to_owned()));
    }
    Ok(Desktop { service: SecretService::connect(EncryptionType::Plain).map_err(fault)?, waiting })
}

impl Store for Desktop {
    fn get(&self, name: &str) -> Result<Vec<u8>, Fault> {
        match self.unlocked(name)?.as_slice() {
            [] => Err(Fault::NoEntry(name.to_owned())),
            [item] => item.get_secret().map_err(fault),
            several => Err(Fault::Several(name.to_owned(), several.len())),
        }
    }

    fn set(&self, name: &str, secret: &[u8]) -> Result<(), Fault> {
        match self.unlocked(name)?.as_slice() {
            [] => {
                let collection = match self.default()? {
                    Some(collection) => collection,
                    None => self.make_default()?,
                };
                self.unlock(&collection)?;
                let _waiting = self.waiting.begin();
                let created =
                    collection.create_item(&format!("ccrun: {name}"), attributes(name), secret, true, "text/plain");
                created.map(drop).map_err(fault)
            }
            [item] => item.set_secret(secret, "text/plain").map_err(fault),
            several => Err(Fault::Several(name.to_owned(), several.len())),
        }
    }

    fn remove(&self, name: &str) -> Result<(), Fault> {
        let items = self.unlocked(name)?;
        if items.is_empty() {
            return Err(Fault::NoEntry(name.to_owned()));
        }
        let _waiting = self.waiting.begin();
        items.iter().try_for_each(|item| item.delete().map_err(fault))
    }

    fn has(&self, name: &str) -> Result<bool, Fault> {
        let found = self.service.search_items(attributes(name)).map_err(fault)?;
        Ok(!found.unlocked.is_empty() || !found.locked.is_empty())
    }

    fn look(&self, name: &str) -> Result<Presence, Fault> {
        let found = self.service.search_items(attributes(name)).map_err(fault)?;
        if !found.unlocked.is_empty() {
            return Ok(Presence::Readable);
        }
        // Some services tell nothing of what is locked.
        let is_locked = || self.default()?.map_or(Ok(false), |collection| collection.is_locked().map_err(fault));
        Ok(if !found.locked.is_empty() || is_locked()? { Presence::Locked } else { Presence::Absent })
    }

    fn names(&self) -> Result<BTreeSet<String>, Fault> {
        let items = self.all_unlocked(&HashMap::from([(ATTRIBUTES[0], SERVICE)]))?;
        let name = |item: &Item<'_>| Ok(item.get_attributes().map_err(fault)?.remove(ATTRIBUTES[1]));
        let names: Vec<_> = items.iter().map(name).collect::<Result<_, Fault>>()?;
        Ok(names.into_iter().flatten().collect())
    }
}

impl Desktop {
    fn unlocked(&self, name: &str) -> Result<Vec<Item<'_>>, Fault> {
        self.all_unlocked(&attributes(name))
    }

    /// The entries of these attributes, unlocked by their user if need be.
    fn all_unlocked(&self, attributes: &HashMap<&str, &str>) -> Result<Vec<Item<'_>>, Fault> {
        let search = || self.service.search_items(attributes.clone()).map_err(fault);
        let mut found = search()?;
        if found.unlocked.is_empty() && found.locked.is_empty() {
            // Some services tell nothing of what is locked.
            let Some(collection) = self.default()? else { return Ok(Vec::new()) };
            if !self.unlock(&collection)? {
                return Ok(Vec::new());
            }
            found = search()?;
        }
        if !found.locked.is_empty() {
            let _waiting = self.waiting.begin();
            self.service.unlock_all(&found.locked.iter().collect::<Vec<_>>()).map_err(fault)?;
        }
        Ok(found.unlocked.into_iter().chain(found.locked).collect())
    }

    /// The collection that new entries go to, if there is one.
    fn default(&self) -> Result<Option<Collection<'_>>, Fault> {
        match self.service.get_default_collection() {
            Ok(collection) => Ok(Some(collection)),
            Err(Error::NoResult) => Ok(None),
            Err(error) => Err(fault(error)),
        }
    }

    /// Asks the user for a password for it.
    fn make_default(&self) -> Result<Collection<'_>, Fault> {
        let _waiting = self.waiting.begin();
        self.service.create_collection("Default keyring", "default").map_err(|error| match fault(error) {
            Fault::Locked => Fault::NoCollection,
            other => other,
        })
    }

    /// Says whether it was locked.
    fn unlock(&self, collection: &Collection<'_>) -> Result<bool, Fault> {
        let is_locked = collection.is_locked().map_err(fault)?;
        if is_locked {
            let _waiting = self.waiting.begin();
            collection.unlock().map_err(fault)?;
        }
        Ok(is_locked)
    }
}

fn attributes(name: &str) -> HashMap<&str, &str> {
    HashMap::from([(ATTRIBUTES[0], SERVICE), (ATTRIBUTES[1], name)])
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` wants")]
fn fault(error: Error) -> Fault {
    match &error {
        Error::Locked | Error::Prompt => Fault::Locked,
        Error::Unavailable => Fault::Absent("no service has it".to_owned()),
        Error::Dbus(error) => {
            let said = error.message().unwrap_or_default().to_owned();
            let name = error.name().unwrap_or_default();
            match name.rsplit('.').next().unwrap_or_default() {
                "IsLocked" => Fault::Locked,
                "NoReply" | "Timeout" | "TimedOut" => Fault::Silent,
                "AccessDenied" | "AuthFailed" => Fault::Denied(said),
                "ServiceUnknown" | "NameHasNoOwner" => {
                    Fault::Absent("no keyring offers the Secret Service on the session bus".to_owned())
                }
                "NoServer" | "FileNotFound" | "BadAddress" | "Disconnected" | "IOError" | "NoNetwork" => {
                    Fault::Absent(format!("the session bus is not to be reached ({said})"))
                }
                _ if name.contains(".Spawn.") => {
                    Fault::Absent(format!("the session bus cannot start the service ({said})"))
                }
                _ => Fault::Other(said),
            }
        }
        other => Fault::Other(other.to_string()),
    }
}
