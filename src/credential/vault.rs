//! The credentials of a process: one entry for each distinct destination, for any session's data. What a session has
//! fetched is also used for data of ended sessions with the same destination, and nothing is fetched twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::acceptance_file::AcceptanceFile;
use super::credentials::Credentials;
use super::error::HeadersError;
use super::identity::identity;
use super::interactive::Answers;
use super::upkeep::Occasion;
use super::wanted::Wanted;
use crate::profile::Destination;
use crate::secret::Secret;
use crate::state;
use crate::system::hex::hex;
use crate::workspace::Workspace;
use crate::workspace::trust::TrustedDigest;

/// How many threads fetch at a time. One that a keyring's dialog blocks delays only its own destination.
const THREADS: usize = 16;

/// See the module documentation.
#[derive(Debug)]
pub struct Vault {
    workspace: Arc<Workspace>,
    answers: Arc<Answers>,
    threads: Arc<Semaphore>,
    kept: Mutex<BTreeMap<(Vec<u8>, TrustedDigest), Credentials>>,
}

impl Vault {
    /// An empty vault with the answers of interactive commands.
    pub fn new(workspace: Workspace, answers: Answers) -> Self {
        Self {
            workspace: Arc::new(workspace),
            answers: Arc::new(answers),
            threads: Arc::new(Semaphore::new(THREADS)),
            kept: Mutex::default(),
        }
    }

    /// The credentials of a destination, by its fingerprint. `trusted_digest` is that of the profile that names it.
    pub fn credentials(
        &self,
        fingerprint: &[u8],
        destination: &Destination,
        trusted_digest: &TrustedDigest,
        occasion: Occasion,
    ) -> Credentials {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let directory = self.workspace.places.credentials();
            let shared = AcceptanceFile::new(directory.join(format!("{}.acceptance", hex(fingerprint))));
            let wanted = self.wanted(destination, trusted_digest, fingerprint);
            Credentials::new(wanted, shared, occasion, Arc::clone(&self.threads))
        };
        kept.entry((fingerprint.to_vec(), trusted_digest.clone())).or_insert_with(new).clone()
    }

    /// The headers of a destination by name, fetched once, for callers that do not keep them fresh. Takes as long as
    /// its commands do.
    pub fn headers(
        &self,
        destination: &Destination,
        trusted_digest: &TrustedDigest,
        now: Timestamp,
    ) -> Result<BTreeMap<String, Secret>, HeadersError> {
        let wanted = self.wanted(destination, trusted_digest, destination.name.as_bytes());
        let headers = wanted.fetch(now.as_millisecond())?;
        // Headers that could not be sent are of no use to a client.
        headers.to_send()?;
        Ok(headers.into_values())
    }

    /// Without the installation's key, `otherwise` identifies the destination, and nothing else is lost.
    fn wanted(&self, destination: &Destination, trusted_digest: &TrustedDigest, otherwise: &[u8]) -> Wanted {
        let places = &self.workspace.places;
        let key = state::key(places);
        let sources = key.map_or_else(|_| otherwise.to_vec(), |key| identity(&key, destination, &self.workspace));
        let turn = places.credentials().join(format!("{}.turn", hex(&sources)));
        let (workspace, answers) = (Arc::clone(&self.workspace), Arc::clone(&self.answers));
        Wanted::new(destination, workspace, answers, trusted_digest.clone(), turn)
    }
}
