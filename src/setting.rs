//! Everything outside of the profiles' own files that decides what they mean.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::credential::{Keyring, Source};
use crate::helper::Ground;
use crate::profile::project::{self, ProjectFile};
use crate::profile::{
    self, Config, Diagnostic, Directories, Document, Faults, Inherited, Layer, Merged, Plan, Profile, Resolved, Search,
    Selection, named_files,
};
use crate::surroundings::{Places, Surroundings};
use crate::trust::{Named, Seal, Subject, Trust, Verdict};
use crate::{bounded, claude, environment, network};

/// How much is read of a file that is to be checked, in bytes.
const MAXIMUM_FILE: u64 = 256 * 1024;

/// How long a look-up in the keyring may take where nothing but data waits for it: its dialog may wait for somebody who
/// is having lunch, and is not to be shown again all the time.
const PATIENCE: Duration = Duration::from_mins(2);

/// The places, and the launcher's environment, which values may be taken from.
#[derive(Clone, Serialize, Deserialize)]
pub struct Setting {
    /// Where things are kept.
    pub places: Places,
    /// The launcher's variables.
    pub variables: BTreeMap<String, String>,
    /// Those of them that headers are taken from, and that helpers are not given.
    pub withheld: BTreeSet<String>,
    /// The root of the project that the launch was in.
    pub project: Option<PathBuf>,
    /// The keyring that entries are read from.
    pub keyring: Keyring,
}

/// Shows the places alone: there are secrets in every environment.
impl fmt::Debug for Setting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Setting").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Setting {
    /// Finds the places, `config.toml`'s word on them included, and gives what else that says.
    pub fn gather(surroundings: &Surroundings) -> Result<(Self, Config)> {
        let places = surroundings.places()?;
        let config = profile::read_config(&places.config, &places.system)?;
        Ok((Self::under(surroundings, &config)?, config))
    }

    /// Finds the places with this said in `config.toml`.
    pub fn under(surroundings: &Surroundings, config: &Config) -> Result<Self> {
        let mut places = surroundings.places()?;
        if let Some(state) = config.state_dir.as_ref().filter(|_| surroundings.variable("CCRUN_STATE_DIR").is_none()) {
            places.state = places.config.join(state);
        }
        let runtime = surroundings.variable("XDG_RUNTIME_DIR").map(Path::new);
        if let Some(local) = network::moved(&places.state, runtime) {
            places.moved_from = Some(std::mem::replace(&mut places.state, local));
        }
        let project = project::root_of(&surroundings.directory, &places.home);
        let variables = environment::before_sessions(surroundings.texts());
        let (withheld, keyring) = (BTreeSet::new(), config.keyring);
        Ok(Self { places, variables, withheld, project, keyring })
    }

    /// The same for a profile: no helper is given the variables that its headers, or the key of its hashes, are taken
    /// from.
    #[must_use]
    pub fn withholding(self, profile: &Profile) -> Self {
        let headers = profile.destinations.iter().flat_map(|destination| destination.headers.values().flatten());
        let headers = headers.chain(&profile.redact.key);
        Self { withheld: headers.flat_map(Source::variables).map(str::to_owned).collect(), ..self }
    }

    /// A variable of the launcher's that is not empty.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.ground().variable(name)
    }

    /// Where values are fetched, by whoever can wait.
    pub fn ground(&self) -> Ground<'_> {
        Ground {
            withheld: Some(&self.withheld),
            project: self.project.as_deref(),
            keyring: self.keyring,
            patience: PATIENCE,
            ..Ground::new(&self.places.home, &self.variables)
        }
    }

    /// Resolves a selection, with the project's file if that is trusted. Gives what the user should know besides.
    pub fn resolve(&self, selection: &Selection) -> Result<(Resolved, Option<String>), Faults> {
        self.resolve_sealed(selection).map(|(resolved, notice, _)| (resolved, notice))
    }

    /// The same, and what must stay as it is for the project's file to be trusted.
    pub fn resolve_sealed(&self, selection: &Selection) -> Result<(Resolved, Option<String>, Seal), Faults> {
        let (merged, notice, seal) = self.merge(selection)?;
        Ok((merged.meaning(self.ground())?, notice, seal))
    }

    /// The same without fetching or running anything for it: a value that would be fetched stands as `fetched`.
    pub fn outline(&self, selection: &Selection) -> Result<(Resolved, Option<String>), Faults> {
        let (merged, notice, _) = self.merge(selection)?;
        Ok((merged.outline()?, notice))
    }

    fn merge(&self, selection: &Selection) -> Result<(Merged, Option<String>, Seal), Faults> {
        let config = profile::read_config(&self.places.config, &self.places.system)?;
        let (trusted, notice) = match self.trusted(selection, &config) {
            Ok(trusted) => (trusted, None),
            Err(notice) => (None, Some(notice)),
        };
        let (project, seal) = trusted.map(|subject| (subject.project, subject.seal)).unzip();
        let merged = self.within(|directories| profile::merge(selection, &config, project.as_ref(), directories))?;
        Ok((merged, notice, seal.unwrap_or_default()))
    }

    /// The project's file, if there is one and it is trusted; why it is not heard, if there is one and it is not.
    pub fn project(&self, selection: &Selection, config: &Config) -> Result<Option<ProjectFile>, String> {
        self.trusted(selection, config).map(|trusted| trusted.map(|subject| subject.project))
    }

    /// The same with all that was trusted.
    fn trusted(&self, selection: &Selection, config: &Config) -> Result<Option<Subject>, String> {
        let Some(directory) = &selection.directory else { return Ok(None) };
        let found = project::find(directory, &self.places.home).map_err(|fault| format!("{fault}: it is ignored"))?;
        let Some(project) = found else { return Ok(None) };
        let path = project.path.display().to_string();
        let trust = Trust::new(self.places.trust());
        // Asked first, so that a stranger's file costs nothing.
        if !trust.is_known(&project) {
            return Err(format!("`{path}` is not trusted and ignored: `ccrun trust` shows what it would do"));
        }
        let (subject, _) =
            self.subject(&project, selection, config).map_err(|faults| format!("{faults}: it is ignored"))?;
        match trust.verdict(&subject) {
            Verdict::Trusted => Ok(Some(subject)),
            _ => Err(format!(
                "`{path}` has changed since it was trusted and is ignored: `ccrun trust` shows what it does"
            )),
        }
    }

    /// All that is to be trusted of a project, and what it would do.
    pub fn subject(
        &self,
        project: &ProjectFile,
        selection: &Selection,
        config: &Config,
    ) -> Result<(Subject, Plan), Faults> {
        let path = self.variables.get("PATH").map(OsStr::new);
        let files = named_files(project, Search { home: &self.places.home, path })?;
        let merged = self.within(|directories| profile::merge(selection, config, Some(project), directories))?;
        let plan = merged.plan(project);
        let named = Named { files, pairs: plan.secrets.clone() };
        Ok((Subject::read(project, &named)?, plan))
    }

    /// Checks a file that is no profile of any layer; nothing is fetched or run.
    pub fn check_file(&self, path: &Path) -> Result<Resolved, Faults> {
        let text = bounded::read(path, MAXIMUM_FILE).map_err(|error| error.to_string());
        let text = text.and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()));
        match text {
            Ok(text) => self.check_text(path, &text),
            Err(reason) => Err(Diagnostic::nowhere(format!("cannot read `{}`: {reason}", path.display())).into()),
        }
    }

    /// Checks what a file says, or would say; nothing is fetched or run.
    pub fn check_text(&self, path: &Path, text: &str) -> Result<Resolved, Faults> {
        let document = document(path, text);
        self.within(|directories| profile::check_document(&document, directories))
    }

    /// Checks what a file would say as the user's profile of that name; nothing is fetched or run.
    pub fn check_own(&self, name: &str, path: &Path, text: &str) -> Result<Resolved, Faults> {
        let document = document(path, text);
        self.within(|directories| profile::check_own(name, &document, directories))
    }

    /// What a file would do as the user's profile of that name.
    pub fn plan_own(&self, name: &str, path: &Path, text: &str) -> Result<Plan, Faults> {
        self.within(|directories| profile::plan_own(name, &document(path, text), directories))
    }

    /// One line about a profile.
    pub fn describe(&self, selection: &Selection) -> Result<String, Faults> {
        self.within(|directories| profile::describe(selection, directories))
    }

    /// The entries of the keyring that a profile names.
    pub fn keyring_entries(&self, profile: &str) -> Result<BTreeSet<String>, Faults> {
        self.within(|directories| profile::keyring_entries(profile, directories))
    }

    /// All profiles by name, each with its highest layer.
    pub fn profiles(&self) -> Vec<(String, Layer)> {
        self.within(|directories| directories.list())
    }

    /// The names of the profiles that are in files of the machine's or the user's.
    pub fn own_profiles(&self) -> Vec<String> {
        self.profiles().into_iter().filter(|(_, layer)| *layer >= Layer::System).map(|(name, _)| name).collect()
    }

    /// What was set up for Claude Code without us, in the environment or in the user's settings, which win: never in a
    /// repository's, and never by a session of ours.
    pub fn inherited(&self) -> Option<Inherited> {
        let switches = [
            "CLAUDE_CODE_ENABLE_TELEMETRY",
            "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA",
            "CLAUDE_CODE_CLIENT_CERT",
            "CLAUDE_CODE_CLIENT_KEY",
        ];
        let concerns = |name: &str| name.starts_with("OTEL_") || name == profile::HELPER || switches.contains(&name);
        let path = Places::shortened(&self.places.claude.join("settings.json"));
        let own = environment::is_of_a_session(&self.variables);
        let around = self.variables.iter().filter(|_| !own).map(|(name, value)| (name, value, "the environment"));
        let user = claude::user_telemetry(&self.places.claude);
        let named = around.chain(user.iter().map(|(name, value)| (name, value, path.as_str())));
        let named = named.filter(|(name, ..)| concerns(name));
        let variables = named.map(|(name, value, place)| (name.clone(), (value.clone(), place.to_owned())));
        Inherited::find(&variables.collect())
    }

    /// The profile that applies where neither an option nor a variable nor a project chooses one.
    pub fn default_profile(&self, config: &Config) -> String {
        let found = || self.inherited().filter(Inherited::is_profile).map(|_| profile::INHERITED.to_owned());
        config.profile.clone().or_else(found).unwrap_or_else(|| profile::DEFAULT.to_owned())
    }

    fn within<T>(&self, act: impl FnOnce(Directories<'_>) -> T) -> T {
        let (system, user, inherited) = (self.places.system_profiles(), self.places.profiles(), self.inherited());
        act(Directories { system: &system, user: &user, inherited: inherited.as_ref() })
    }
}

fn document(path: &Path, text: &str) -> Arc<Document> {
    Arc::new(Document { label: path.display().to_string(), text: text.to_owned() })
}
