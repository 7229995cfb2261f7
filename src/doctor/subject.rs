//! What is looked at: what a launch would find here and now.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::destination::{self, Asked};
use crate::credential::keyring::{self, Fault, Presence};
use crate::credential::{self, Fetched, Secret, Source, answer};
use crate::helper::Ground;
use crate::profile::{self, Config, Destination, Faults, Profile, Resolved, Selection};
use crate::setting::Setting;
use crate::surroundings::Surroundings;
use crate::trust::{Seal, Trust};

/// The longest that looking may take. Beyond it a clock may overflow.
const LONGEST: Duration = Duration::from_hours(1);

/// How long a check may wait for anything.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is left of the time for a check that has waited, to say so.
const GRACE: Duration = Duration::from_millis(150);

/// Headers by their names in lower case, or why there are none.
type Headers = Result<BTreeMap<String, Fetched>, String>;

/// Whether each entry of the keyring can be read, or why none can be told of.
type Entries = Result<BTreeMap<String, Result<(), Fault>>, Fault>;

/// What is looked at.
#[derive(Debug)]
pub struct Subject {
    /// The process's surroundings, as a launch here would find them.
    pub surroundings: Surroundings,
    /// Where things are kept, and what values are taken from.
    pub setting: Setting,
    /// What `config.toml` says; nothing where it is broken, which the profile's faults say then.
    pub config: Config,
    /// What was chosen.
    pub selection: Selection,
    /// What a launch would use; or why it would use nothing.
    pub profile: Result<Resolved, Faults>,
    /// Why the project's file takes no part, if there is one and it does not.
    pub unheard: Option<String>,
    /// What must still be as it was trusted, before a command runs.
    pub seal: Seal,
    /// When everybody stops looking.
    pub deadline: Instant,
    /// The headers that were asked for so far, by destination.
    headers: Mutex<BTreeMap<String, Arc<OnceLock<Headers>>>>,
    /// What was told of the keyring's entries, once somebody has asked.
    entries: OnceLock<Entries>,
    /// What was heard of the destinations, once somebody has asked.
    asked: OnceLock<Vec<Asked>>,
}

impl Subject {
    /// Resolves what was chosen, as a launch would: commands of `[vars]`, `[team]` and `[resource]` run. Fails only
    /// where there is no place for anything. Looking at everything may take `time`, an hour at most.
    pub fn gather(selection: Selection, time: Duration, surroundings: &Surroundings) -> Result<Self> {
        let deadline = Instant::now() + time.min(LONGEST);
        let places = surroundings.places()?;
        let config = profile::read_config(&places.config, &places.system).unwrap_or_default();
        let setting = Setting::under(surroundings, &config)?;
        let (profile, unheard, seal) = match setting.resolve_sealed(&selection) {
            Ok((resolved, unheard, seal)) => (Ok(resolved), unheard, seal),
            Err(faults) => (Err(faults), None, Seal::default()),
        };
        let setting = match &profile {
            Ok(resolved) => setting.withholding(&resolved.profile),
            Err(_) => setting,
        };
        let (surroundings, headers) = (surroundings.clone(), Mutex::default());
        let (entries, asked) = (OnceLock::new(), OnceLock::new());
        Ok(Self { surroundings, setting, config, selection, profile, unheard, seal, deadline, headers, entries, asked })
    }

    /// One of nobody's, as tests want it: all below one directory, with the profile that applies where nobody chose one.
    #[cfg(test)]
    pub(super) fn below(root: &std::path::Path) -> Self {
        let places = crate::surroundings::Places::below(root);
        let (variables, withheld) = (BTreeMap::new(), std::collections::BTreeSet::new());
        let setting = Setting { places, variables, withheld, project: None, keyring: credential::Keyring::default() };
        let selection = Selection::default();
        let profile = setting.resolve(&selection).map(|(resolved, _)| resolved);
        let directory = root.to_owned();
        let surroundings = Surroundings { variables: BTreeMap::new(), executable: directory.join("ccrun"), directory };
        let (config, unheard, seal, headers) = (Config::default(), None, Seal::default(), Mutex::default());
        let (deadline, entries, asked) = (Instant::now() + PATIENCE, OnceLock::new(), OnceLock::new());
        Self { surroundings, setting, config, selection, profile, unheard, seal, deadline, headers, entries, asked }
    }

    /// What the profile means, if it means anything.
    pub fn meaning(&self) -> Option<&Profile> {
        self.profile.as_ref().ok().map(|resolved| &resolved.profile)
    }

    /// How long a check that waits from now on may wait.
    pub fn patience(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()).saturating_sub(GRACE).min(PATIENCE)
    }

    /// Where values are fetched, by whoever has only so much time.
    pub fn ground(&self) -> Ground<'_> {
        Ground { patience: self.patience(), ..self.setting.ground() }
    }

    /// The first of some sources that has the value, within the time that is left. Commands run only as they were
    /// trusted, and nobody is asked for the keyring's password.
    pub fn fetch(&self, sources: &[Source]) -> Result<Fetched, String> {
        let lacks = |source: &&Source| source.entries().into_iter().any(|entry| self.lacks(entry));
        let (lacking, others): (Vec<_>, Vec<_>) = sources.iter().partition(lacks);
        if others.iter().any(|source| source.runs()) {
            self.check()?;
        }
        let others: Vec<_> = others.into_iter().map(|source| source.hurried(self.patience())).collect();
        let miss = match credential::fetch(&others, self.ground()) {
            Ok(fetched) => return Ok(fetched),
            Err(miss) => Some(miss).filter(|miss| !miss.is_empty()),
        };
        let lacking = lacking.into_iter().map(|source| format!("{source} is not to be had"));
        Err(miss.into_iter().chain(lacking).collect::<Vec<_>>().join(", "))
    }

    /// A destination's headers, fetched once however many checks ask. Unlike a session's, they are kept by nobody, and
    /// nothing is noted on the disk.
    pub fn headers(&self, destination: &Destination) -> Result<BTreeMap<String, Secret>, String> {
        let fetched = self.fetched(destination)?;
        Ok(fetched.into_iter().map(|(name, fetched)| (name, fetched.value)).collect())
    }

    /// The same with how long each is good for.
    pub(super) fn fetched(&self, destination: &Destination) -> Headers {
        let mut headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        let fetched = Arc::clone(headers.entry(destination.name.clone()).or_default());
        drop(headers);
        fetched.get_or_init(|| self.fetch_headers(destination)).clone()
    }

    fn fetch_headers(&self, destination: &Destination) -> Headers {
        let mut headers = BTreeMap::new();
        if let Some(helper) = &destination.headers_helper {
            self.check()?;
            let hurried = helper.hurried(self.patience());
            let given = answer::headers(&hurried, self.ground()).map_err(|reason| format!("{helper} {reason}"))?;
            headers.extend(given);
        }
        for (name, sources) in &destination.headers {
            let fetched = self.fetch(sources);
            let fetched = fetched.map_err(|reason| format!("there is no value for the header `{name}`: {reason}"))?;
            headers.insert(name.clone(), fetched);
        }
        Ok(headers)
    }

    /// Whether the keyring's entries that the profile names can be read, without asking anybody for a password.
    pub(super) fn keyring(&self) -> Result<&BTreeMap<String, Result<(), Fault>>, &Fault> {
        self.entries.get_or_init(|| self.look_into_keyring()).as_ref()
    }

    fn look_into_keyring(&self) -> Entries {
        let names = self.meaning().map(super::credentials::entries).unwrap_or_default();
        let found = keyring::look(names, self.ground())?;
        let read = found.into_iter().map(|(name, presence)| {
            let read = match presence {
                Presence::Absent => Err(Fault::NoEntry(name.clone())),
                Presence::Locked => Err(Fault::Locked),
                Presence::Readable => keyring::get(&name, self.ground()).map(drop),
            };
            (name, read)
        });
        Ok(read.collect())
    }

    /// Whether an entry of the keyring that the profile names cannot be read, without its user or at all.
    pub(super) fn lacks(&self, entry: &str) -> bool {
        self.keyring().map_or(true, |entries| !matches!(entries.get(entry), Some(Ok(()))))
    }

    /// What each destination says, asked once however many checks want to know.
    pub(super) fn asked(&self) -> &[Asked] {
        self.asked.get_or_init(|| destination::ask_all(self))
    }

    /// Whether what a project's file has brought in is still as it was trusted.
    fn check(&self) -> Result<(), String> {
        Trust::new(self.setting.places.trust()).holds(&self.seal).map_err(|fault| fault.to_string())
    }

    /// The values of headers that were fetched so far, but for those that are written in the profile for all to see.
    pub(super) fn secrets(&self) -> Vec<String> {
        let headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut secrets = Vec::new();
        for (destination, fetched) in &*headers {
            let Some(Ok(fetched)) = fetched.get() else { continue };
            let hidden = fetched.iter().filter(|(header, _)| !self.is_open(destination, header));
            secrets.extend(hidden.map(|(_, fetched)| fetched.value.0.clone()));
        }
        secrets
    }

    /// Whether a header's value is written in the profile, and its name is not one of a secret.
    fn is_open(&self, destination: &str, header: &str) -> bool {
        let mut destinations = self.meaning().into_iter().flat_map(|profile| &profile.destinations);
        let sources = destinations.find(|one| one.name == destination).and_then(|one| one.headers.get(header));
        let is_written = sources.is_some_and(|sources| sources.iter().all(|source| source.literal().is_some()));
        is_written && !super::mask::is_secret_name(header)
    }
}
