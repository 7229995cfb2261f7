//! The login keychain of macOS. The system shows its dialogs, and does not say when one is open.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use apple_native_keyring_store::keychain;
use keyring_core::api::CredentialStoreApi;
use keyring_core::{Entry, Error};

use super::{Fault, SERVICE, Store};

pub(super) struct Keychain(Arc<keychain::Store>);

pub(super) fn open() -> Result<Keychain, Fault> {
    keychain::Store::new().map(Keychain).map_err(|error| fault(error, ""))
}

impl Keychain {
    fn entry(&self, name: &str) -> Result<Entry, Fault> {
        self.0.build(SERVICE, name, None).map_err(|error| fault(error, name))
    }
}

impl Store for Keychain {
    fn get(&self, name: &str) -> Result<Vec<u8>, Fault> {
        self.entry(name)?.get_secret().map_err(|error| fault(error, name))
    }

    fn set(&self, name: &str, secret: &[u8]) -> Result<(), Fault> {
        self.entry(name)?.set_secret(secret).map_err(|error| fault(error, name))
    }

    fn remove(&self, name: &str) -> Result<(), Fault> {
        self.entry(name)?.delete_credential().map_err(|error| fault(error, name))
    }

    /// A search reads no secret, so it opens no dialog.
    fn has(&self, name: &str) -> Result<bool, Fault> {
        let found = self.0.search(&HashMap::from([("service", SERVICE), ("user", name)]));
        found.map(|entries| !entries.is_empty()).map_err(|error| fault(error, name))
    }

    fn names(&self) -> Result<BTreeSet<String>, Fault> {
        let entries = self.0.search(&HashMap::from([("service", SERVICE)])).map_err(|error| fault(error, ""))?;
        Ok(entries.iter().filter_map(Entry::get_specifiers).map(|(_, name)| name).collect())
    }
}

fn fault(error: Error, name: &str) -> Fault {
    match error {
        Error::NoEntry => Fault::NoEntry(name.to_owned()),
        Error::NoStorageAccess(error) => Fault::Denied(error.to_string()),
        Error::PlatformFailure(error) => Fault::Other(error.to_string()),
        // Other messages could contain the secret.
        _ => Fault::Other("the keychain returned an unknown error".to_owned()),
    }
}
