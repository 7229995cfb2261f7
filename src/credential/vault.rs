//! The credentials of a process: one for each destination that is the same, whosever data it is. So what a session
//! has fetched serves what others left for the same destination, and nothing is fetched twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::Secret;
use super::credentials::Credentials;
use super::identity::identity;
use super::interactive::Answers;
use super::pace_file::PaceFile;
use super::upkeep::Occasion;
use super::wanted::Wanted;
use crate::profile::Destination;
use crate::setting::Setting;
use crate::state;
use crate::trust::Seal;

/// How many threads fetch at a time. One that a keyring's dialog holds up keeps its own destination waiting alone.
const THREADS: usize = 16;

/// See the module.
#[derive(Debug)]
pub struct Vault {
    setting: Arc<Setting>,
    answers: Arc<Answers>,
    threads: Arc<Semaphore>,
    kept: Mutex<BTreeMap<(Vec<u8>, Seal), Credentials>>,
}

impl Vault {
    /// An empty one, but for what the user was asked for before the program started.
    pub fn new(setting: Setting, answers: Answers) -> Self {
        Self {
            setting: Arc::new(setting),
            answers: Arc::new(answers),
            threads: Arc::new(Semaphore::new(THREADS)),
            kept: Mutex::default(),
        }
    }

    /// The credentials of a destination, by its fingerprint. `seal` is that of the profile which names it.
    pub fn credentials(
        &self,
        fingerprint: &[u8],
        destination: &Destination,
        seal: &Seal,
        occasion: Occasion,
    ) -> Credentials {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let directory = self.setting.places.credentials();
            let pace = PaceFile::new(directory.join(format!("{}.pace", hex(fingerprint))));
            let wanted = self.wanted(destination, seal, fingerprint);
            Credentials::new(wanted, pace, occasion, Arc::clone(&self.threads))
        };
        kept.entry((fingerprint.to_vec(), seal.clone())).or_insert_with(new).clone()
    }

    /// The headers of a destination by their names, fetched once, for whoever does not keep them fresh. Takes as long as
    /// its commands do.
    pub fn headers(&self, destination: &Destination, seal: &Seal) -> Result<BTreeMap<String, Secret>, String> {
        let wanted = self.wanted(destination, seal, destination.name.as_bytes());
        let (headers, _) = wanted.fetch(Timestamp::now().as_millisecond())?;
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            let value =
                std::str::from_utf8(value.as_bytes()).map_err(|_| format!("the header `{name}` is not UTF-8"))?;
            Ok((name.as_str().to_owned(), Secret(value.to_owned())))
        };
        headers.iter().map(text).collect()
    }

    /// Without the installation's key destinations take their turns by `otherwise`, which is all that is lost.
    fn wanted(&self, destination: &Destination, seal: &Seal, otherwise: &[u8]) -> Wanted {
        let places = &self.setting.places;
        let key = state::key(&places.key());
        let sources = key.map_or_else(|_| otherwise.to_vec(), |key| identity(&key, destination, &self.setting));
        let turn = places.credentials().join(format!("{}.turn", hex(&sources)));
        let (setting, answers) = (Arc::clone(&self.setting), Arc::clone(&self.answers));
        Wanted::new(destination, setting, answers, seal.clone(), turn)
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |digit: u8| char::from_digit(u32::from(digit), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
