//! What doctor examines: what a launch would find here and now.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::Timestamp;

use super::destination::{self, Probe};
use crate::credential::{FetchedHeaders, HeadersError, ValueError};
use crate::profile::{Destination, Diagnostic, Faults, Profile, Resolved, Selection};
use crate::secret::command::FetchContext;
use crate::secret::keyring::{Fault, Presence};
use crate::secret::{self, Command, Fetched, Miss, Source, answer, keyring};
use crate::state::Places;
use crate::system::process_environment::ProcessEnvironment;
use crate::workspace::trust::{Trust, TrustedDigest};
use crate::workspace::{Config, IgnoredProject, Workspace, read_config};

/// The maximum duration of an examination. Longer times could overflow a clock.
const LONGEST: Duration = Duration::from_hours(1);

/// How long a check may wait for anything.
const PATIENCE: Duration = Duration::from_secs(2);

/// Time that a check which has waited keeps to report that.
const GRACE: Duration = Duration::from_millis(150);

/// Headers by lower-case name, or why there are none.
type Headers = Result<FetchedHeaders, HeadersError>;

/// Whether each keyring entry can be read, or why that is unknown.
type Entries = Result<BTreeMap<String, Result<(), Fault>>, Fault>;

/// What is examined.
#[derive(Debug)]
pub struct Subject {
    /// The process environment that a launch here would have.
    pub process: ProcessEnvironment,
    /// The paths, and the context in which values are fetched.
    pub workspace: Workspace,
    /// The content of `config.toml`, empty if it is invalid; the profile's faults then say so.
    pub config: Config,
    /// The selected profiles and variables.
    pub selection: Selection,
    /// The profile that a launch would use, or why there is none.
    pub profile: Result<Resolved, Faults>,
    /// Why the project's file does not apply, if there is one that does not.
    pub ignored: Option<IgnoredProject>,
    /// What must be unchanged since it was trusted before a command runs.
    pub trusted_digest: TrustedDigest,
    /// When all checks must be done.
    pub deadline: Instant,
    /// When the examination began, by the clock and by the timer.
    began: (Timestamp, Instant),
    /// The headers fetched so far, by destination.
    headers: Mutex<BTreeMap<String, Arc<OnceLock<Headers>>>>,
    /// The state of the keyring's entries, once a check has needed it.
    entries: OnceLock<Entries>,
    /// The answers of the destinations, once a check has needed them.
    probes: OnceLock<Vec<Probe>>,
}

impl Subject {
    /// Resolves the selection as a launch would, which runs the commands of `[vars]`, `[team]` and `[resource]`. Fails
    /// only if there is no directory for anything. The examination may take `time`, an hour at most.
    pub fn gather(selection: Selection, time: Duration, process: &ProcessEnvironment) -> Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "the test of setup begins minutes after the process")]
        let began = (Timestamp::now(), Instant::now());
        let places = Places::find(process)?;
        let read = read_config(&places.config, &places.system);
        let config = read.as_ref().cloned().unwrap_or_default();
        let workspace = Workspace::under(process, &config)?;
        let found = match read.and_then(|_| workspace.resolve_with_digest(&selection, &config)) {
            Ok((resolved, ignored, trusted_digest)) => (Ok(resolved), ignored, trusted_digest),
            Err(faults) => (Err(faults), None, TrustedDigest::default()),
        };
        let workspace = match &found.0 {
            Ok(resolved) => workspace.withholding(&resolved.profile),
            Err(_) => workspace,
        };
        Ok(Self::new(process.clone(), workspace, (config, selection), found, (began, time.min(LONGEST))))
    }

    /// A subject for tests: everything is below one directory, and the default profile applies.
    #[cfg(test)]
    pub(super) fn below(root: &std::path::Path) -> Self {
        let places = crate::state::Places::below(root);
        let (variables, withheld) = (BTreeMap::new(), std::collections::BTreeSet::new());
        let workspace = Workspace {
            places,
            variables,
            withheld,
            project: None,
            keyring: secret::Keyring::default(),
            ledger: crate::workspace::LedgerRules::default(),
        };
        let (config, selection) = (Config::default(), Selection::default());
        let profile = workspace.resolve(&selection, &config).map(|(resolved, _)| resolved);
        let directory = root.to_owned();
        let executable = directory.join("ccrun");
        let process = ProcessEnvironment { directory, executable, ..ProcessEnvironment::nowhere([]) };
        let (found, began) = ((profile, None, TrustedDigest::default()), (Timestamp::UNIX_EPOCH, Instant::now()));
        Self::new(process, workspace, (config, selection), found, (began, PATIENCE))
    }

    /// Takes what was selected, what it resolved to, when the examination began, and how long it may take.
    fn new(
        process: ProcessEnvironment,
        workspace: Workspace,
        (config, selection): (Config, Selection),
        (profile, ignored, trusted_digest): (Result<Resolved, Faults>, Option<IgnoredProject>, TrustedDigest),
        (began, time): ((Timestamp, Instant), Duration),
    ) -> Self {
        Self {
            process,
            workspace,
            config,
            selection,
            profile,
            ignored,
            trusted_digest,
            deadline: began.1 + time,
            began,
            headers: Mutex::default(),
            entries: OnceLock::new(),
            probes: OnceLock::new(),
        }
    }

    /// The profile, if it is valid.
    pub fn meaning(&self) -> Option<&Profile> {
        self.profile.as_ref().ok().map(|resolved| &resolved.profile)
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        let (clock, timer) = self.began;
        clock.saturating_add(timer.elapsed()).unwrap_or(clock)
    }

    /// How long a check that starts to wait now may wait.
    pub fn patience(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()).saturating_sub(GRACE).min(PATIENCE)
    }

    /// The context for fetching values within the time that is left.
    pub fn context(&self) -> FetchContext<'_> {
        FetchContext { patience: self.patience(), ..self.workspace.context() }
    }

    /// Fetches the value from the first source that has it, within the time that is left. Commands run only if
    /// unchanged since they were trusted, and the keyring never prompts for a password.
    pub fn fetch(&self, sources: &[Source]) -> Result<Fetched, ValueError> {
        let lacks = |source: &&Source| source.entries().into_iter().any(|entry| self.lacks(entry));
        let (lacking, others): (Vec<_>, Vec<_>) = sources.iter().partition(lacks);
        if others.iter().any(|source| source.runs()) {
            self.check().map_err(ValueError::Untrusted)?;
        }
        let others: Vec<_> = others.into_iter().map(|source| source.hurried(self.patience())).collect();
        secret::fetch(&others, self.context()).map_err(|mut error| {
            let reason = "is unavailable";
            let lacking = lacking.into_iter().map(|source| Miss { missed: source.clone(), reason: reason.to_owned() });
            error.misses.extend(lacking);
            error.into()
        })
    }

    /// A destination's headers, fetched once for all checks. Unlike a session's headers they are not cached, and
    /// nothing is written to disk.
    pub(super) fn fetched(&self, destination: &Destination) -> Headers {
        let mut headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        let fetched = Arc::clone(headers.entry(destination.name.clone()).or_default());
        drop(headers);
        fetched.get_or_init(|| self.fetch_headers(destination)).clone()
    }

    fn fetch_headers(&self, destination: &Destination) -> Headers {
        let ask =
            |helper: &Command| self.check().map(|()| answer::headers(&helper.hurried(self.patience()), self.context()));
        FetchedHeaders::fetch(destination.headers_helper.as_ref(), &destination.headers, ask, |sources| {
            self.fetch(sources)
        })
    }

    /// Whether the keyring entries that the profile names can be read without prompting for a password.
    pub(super) fn keyring(&self) -> Result<&BTreeMap<String, Result<(), Fault>>, &Fault> {
        self.entries.get_or_init(|| self.look_into_keyring()).as_ref()
    }

    fn look_into_keyring(&self) -> Entries {
        let names = self.meaning().map(super::credentials::entries).unwrap_or_default();
        let found = keyring::look(names, self.context())?;
        let read = found.into_iter().map(|(name, presence)| {
            let read = match presence {
                Presence::Absent => Err(Fault::NoEntry(name.clone())),
                Presence::Locked => Err(Fault::Locked),
                Presence::Readable => keyring::get(&name, self.context()).map(drop),
            };
            (name, read)
        });
        Ok(read.collect())
    }

    /// Whether a keyring entry that the profile names cannot be read, at all or without its user.
    pub(super) fn lacks(&self, entry: &str) -> bool {
        self.keyring().map_or(true, |entries| !matches!(entries.get(entry), Some(Ok(()))))
    }

    /// Whether some destination does not accept the credentials that it was sent. Asks the destinations if nothing has
    /// asked them yet.
    pub fn rejects_credentials(&self) -> bool {
        let rejects =
            |probe: &Probe| probe.replies.iter().any(|(_, reply)| reply.cause == destination::Cause::Credentials);
        self.probes().iter().any(rejects)
    }

    /// The answers of the destinations, requested once for all checks.
    pub(super) fn probes(&self) -> &[Probe] {
        self.probes.get_or_init(|| destination::probe_all(self))
    }

    /// Whether everything that came from a project's file is unchanged since it was trusted.
    fn check(&self) -> Result<(), Diagnostic> {
        Trust::new(self.workspace.places.trust()).holds(&self.trusted_digest)
    }

    /// The header values fetched so far, except those written in the profile in plain text.
    pub(super) fn secrets(&self) -> Vec<String> {
        let headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut secrets = Vec::new();
        for (destination, fetched) in &*headers {
            let Some(Ok(fetched)) = fetched.get() else { continue };
            let hidden = fetched.each().filter(|(header, _)| !self.is_open(destination, header));
            secrets.extend(hidden.map(|(_, fetched)| fetched.value.expose().to_owned()));
        }
        secrets
    }

    /// Whether a header's value is written in the profile and its name does not suggest a secret.
    fn is_open(&self, destination: &str, header: &str) -> bool {
        let mut destinations = self.meaning().into_iter().flat_map(|profile| &profile.destinations);
        let sources = destinations.find(|one| one.name == destination).and_then(|one| one.headers.get(header));
        let is_written = sources.is_some_and(|sources| sources.iter().all(|source| source.literal().is_some()));
        is_written && !crate::terminal::mask::is_secret_name(header)
    }
}
