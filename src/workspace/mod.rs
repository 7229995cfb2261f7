//! Everything besides the profiles' own files that determines what they mean.

mod config;
mod ignored;
mod named_files;
pub mod project;
pub mod repository;
pub mod trust;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use nix::unistd::{User, geteuid};
use serde::{Deserialize, Serialize};

use self::named_files::{Search, named_files};
use self::project::ProjectFile;
use self::trust::{Named, Review, Trust, TrustedDigest, Verdict};
use crate::claude;
use crate::environment::{self, Changes, Said};
use crate::profile::{
    self, Declaration, Defaults, Diagnostic, Directories, Document, Effects, Faults, Inherited, Layer, Merged, Profile,
    Resolved, Selection,
};
use crate::secret::command::FetchContext;
use crate::secret::{Keyring, Source};
use crate::state::{Places, network};
use crate::system::bounded;
use crate::system::process_environment::ProcessEnvironment;

pub use variables::unknown_variables;

pub use config::{Config, LedgerRules, ReportRules, StatusLineRules, read as read_config, with_default};
pub use ignored::IgnoredProject;

/// The maximum size of a file to check, in bytes.
const MAXIMUM_FILE: u64 = 256 * 1024;

/// How long a keyring look-up may take while only data waits for it. The keyring's dialog may wait for a user who is
/// away, and should not be shown again and again.
const PATIENCE: Duration = Duration::from_mins(2);

/// The directories, and the launcher's environment, from which values may be taken.
#[derive(Clone, Serialize, Deserialize)]
pub struct Workspace {
    /// The directories.
    pub places: Places,
    /// The launcher's variables.
    pub variables: BTreeMap<String, String>,
    /// The variables that headers are taken from. Helpers do not get them.
    pub withheld: BTreeSet<String>,
    /// The root of the project that the launch was in.
    pub project: Option<PathBuf>,
    /// The keyring that entries are read from.
    pub keyring: Keyring,
    /// What the ledger keeps.
    pub ledger: LedgerRules,
}

/// Shows only the directories: environments contain secrets.
impl fmt::Debug for Workspace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Workspace").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Workspace {
    /// Finds the directories, as far as `config.toml` does not set them, and returns the rest of its content.
    pub fn gather(process: &ProcessEnvironment) -> Result<(Self, Config)> {
        let places = Places::find(process)?;
        let mut config = read_config(&places.config, &places.system)?;
        config.warnings.extend(unknown_variables(process));
        Ok((Self::under(process, &config)?, config))
    }

    /// Finds the directories with this content of `config.toml`.
    pub fn under(process: &ProcessEnvironment, config: &Config) -> Result<Self> {
        let mut places = Places::find(process)?;
        if let Some(state) = config.state_dir.as_ref().filter(|_| process.variable("CCRUN_STATE_DIR").is_none()) {
            places.state = places.config.join(state);
        }
        let runtime = process.variable("XDG_RUNTIME_DIR").map(Path::new);
        if let Some(local) = network::moved(&places.state, runtime) {
            places.moved_from = Some(std::mem::replace(&mut places.state, local));
        }
        let project = project::root_of(&process.directory, &places.home);
        let variables = environment::before_sessions(process.texts());
        let (withheld, keyring) = (BTreeSet::new(), config.keyring);
        Ok(Self { places, variables, withheld, project, keyring, ledger: config.ledger })
    }

    /// The same for a profile: helpers do not get the variables that only `ccrun` itself needs.
    #[must_use]
    pub fn withholding(self, profile: &Profile) -> Self {
        Self { withheld: profile.own_sources().flat_map(Source::variables).map(str::to_owned).collect(), ..self }
    }

    /// A variable of the launcher that is not empty.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.context().variable(name)
    }

    /// The operating system's user: by the variable, which may be set for a container, else by the user id.
    pub fn user(&self) -> Option<String> {
        self.variable("USER").or_else(|| Some(User::from_uid(geteuid()).ok()??.name))
    }

    /// The context for fetching values without haste.
    pub fn context(&self) -> FetchContext<'_> {
        FetchContext {
            withheld: Some(&self.withheld),
            project: self.project.as_deref(),
            keyring: self.keyring,
            patience: PATIENCE,
            ..FetchContext::new(&self.places.home, &self.variables)
        }
    }

    /// Resolves a selection with the project's file if that is trusted, and otherwise returns why it is ignored.
    /// `config` is the content of `config.toml`.
    pub fn resolve(
        &self,
        selection: &Selection,
        config: &Config,
    ) -> Result<(Resolved, Option<IgnoredProject>), Faults> {
        self.resolve_with_digest(selection, config).map(|(resolved, ignored, _)| (resolved, ignored))
    }

    /// The same, with what must be unchanged for the project's file to be trusted.
    pub fn resolve_with_digest(
        &self,
        selection: &Selection,
        config: &Config,
    ) -> Result<(Resolved, Option<IgnoredProject>, TrustedDigest), Faults> {
        let (merged, ignored, trusted_digest) = self.merge(selection, config)?;
        Ok((limited(merged.meaning(self.context())?, config), ignored, trusted_digest))
    }

    /// The same without fetching or running anything: such values are shown as `fetched`.
    pub fn outline(
        &self,
        selection: &Selection,
        config: &Config,
    ) -> Result<(Resolved, Option<IgnoredProject>), Faults> {
        let (merged, ignored, _) = self.merge(selection, config)?;
        Ok((limited(merged.outline()?, config), ignored))
    }

    fn merge(
        &self,
        selection: &Selection,
        config: &Config,
    ) -> Result<(Merged, Option<IgnoredProject>, TrustedDigest), Faults> {
        let (trusted, ignored) = match self.trusted(selection, config) {
            Ok(trusted) => (trusted, None),
            Err(ignored) => (None, Some(ignored)),
        };
        let (project, trusted_digest) = trusted.map(|review| (review.project, review.trusted_digest)).unzip();
        let merged = self.within(|directories| {
            profile::merge(selection, &config.defaults, project.as_ref().map(|project| &project.document), directories)
        })?;
        Ok((merged, ignored, trusted_digest.unwrap_or_default()))
    }

    /// Whether a selection that cannot be resolved says that nothing may start without it. Its files and `config.toml`
    /// may be invalid in any way.
    pub fn requires(process: &ProcessEnvironment, selection: &Selection) -> bool {
        let Ok(places) = Places::find(process) else { return false };
        let config = config::read_as_far_as_possible(&places.config, &places.system);
        let Ok(workspace) = Self::under(process, &config) else { return false };
        let directory = selection.directory.as_deref();
        let project = directory.and_then(|directory| project::find(directory, &workspace.places.home).ok().flatten());
        let trust = Trust::new(workspace.places.trust());
        let project = project.filter(|project| trust.accepts_text(project));
        let text = project.as_ref().map(|project| project.document.text.as_str());
        workspace.within(|directories| profile::requires(selection, &config.defaults, text, directories))
    }

    /// The project's file if there is one and it is trusted, or why it is ignored.
    pub fn project(&self, selection: &Selection, config: &Config) -> Result<Option<ProjectFile>, IgnoredProject> {
        self.trusted(selection, config).map(|trusted| trusted.map(|review| review.project))
    }

    /// The same, with everything that was trusted.
    fn trusted(&self, selection: &Selection, config: &Config) -> Result<Option<Review>, IgnoredProject> {
        let Some(directory) = &selection.directory else { return Ok(None) };
        let found = project::find(directory, &self.places.home).map_err(IgnoredProject::Unreadable)?;
        let Some(project) = found else { return Ok(None) };
        let trust = Trust::new(self.places.trust());
        // Checked first, so that an unknown file costs nothing.
        if !trust.is_known(&project) {
            return Err(IgnoredProject::Untrusted(project.path));
        }
        let (review, _) = self.review(&project, selection, config).map_err(IgnoredProject::Invalid)?;
        match trust.verdict(&review) {
            Verdict::Trusted => Ok(Some(review)),
            _ => Err(IgnoredProject::Changed(project.path)),
        }
    }

    /// Everything in a project that needs trust, and what it would do.
    pub fn review(
        &self,
        project: &ProjectFile,
        selection: &Selection,
        config: &Config,
    ) -> Result<(Review, Effects), Faults> {
        let path = self.variables.get("PATH").map(OsStr::new);
        let search = Search { home: &self.places.home, path };
        let own = named_files(project, search)?;
        let merged = self
            .within(|directories| profile::merge(selection, &config.defaults, Some(&project.document), directories))?;
        // If the user's own profile is invalid, all effects are attributed to the project.
        let without = self.within(|directories| profile::merge(selection, &config.defaults, None, directories)).ok();
        let effects = merged.effects(without.as_ref(), &project.document);
        let found = named_files::found((merged.written(), &merged.expanded()), project, search)?;
        let mut directories = own.directories;
        for (directory, words) in found.directories {
            directories.entry(directory).or_default().extend(words);
        }
        let pairs = effects.secrets.clone();
        let named = Named { files: own.files, reached: found.files, directories, pairs };
        Ok((Review::read(project, &named)?, effects))
    }

    /// Checks a file outside the layers. Nothing is fetched or run.
    pub fn check_file(&self, path: &Path) -> Result<Resolved, Faults> {
        let text = bounded::read(path, MAXIMUM_FILE).map_err(|error| error.to_string());
        let text = text.and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()));
        match text {
            Ok(text) => self.check_text(path, &text),
            Err(reason) => Err(Diagnostic::nowhere(format!("cannot read `{}`: {reason}", path.display())).into()),
        }
    }

    /// Checks the text of a file. Nothing is fetched or run.
    pub fn check_text(&self, path: &Path, text: &str) -> Result<Resolved, Faults> {
        let document = document(path, text);
        self.within(|directories| profile::check_document(&document, directories))
    }

    /// Checks a text as the user's profile of that name. Nothing is fetched or run.
    pub fn check_own(&self, name: &str, path: &Path, text: &str) -> Result<Resolved, Faults> {
        let document = document(path, text);
        self.within(|directories| profile::check_own(name, &document, directories))
    }

    /// The declarations of the variables of layered profiles; empty if one is invalid.
    pub fn declarations(&self, profiles: Vec<String>) -> Vec<Declaration> {
        let selection = Selection { profiles, ..Selection::default() };
        let merged = self.within(|directories| profile::merge(&selection, &Defaults::default(), None, directories));
        merged.map(|merged| merged.declarations()).unwrap_or_default()
    }

    /// Checks that a selection sets only known variables.
    pub fn check_variables(&self, selection: &Selection) -> Result<(), Faults> {
        self.within(|directories| profile::merge(selection, &Defaults::default(), None, directories)).map(drop)
    }

    /// What a file would do as the user's profile of that name.
    pub fn effects_own(&self, name: &str, path: &Path, text: &str) -> Result<Effects, Faults> {
        self.within(|directories| profile::effects_own(name, &document(path, text), directories))
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

    /// Telemetry that was configured for Claude Code without `ccrun`: in the environment, or in the user's settings,
    /// which take precedence. A repository's settings and `ccrun`'s own session variables are not considered.
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

    /// The telemetry variables that Claude Code sees when started without `--settings`, where `own` is the profile's
    /// `[env]`.
    pub fn of_claude_code(&self, profile: &Profile, telemetry: Changes, own: &Changes) -> Changes {
        let user = claude::user_telemetry(&self.places.claude);
        let said = Said { given: &claude::text_variables(&profile.settings), inherited: &self.variables, user: &user };
        telemetry.for_claude_code(profile, own, said)
    }

    /// The profile that applies if no option, variable or project chooses one.
    pub fn default_profile(&self, config: &Config) -> String {
        let found = || self.inherited().filter(Inherited::is_profile).map(|_| profile::INHERITED.to_owned());
        config.defaults.profile.clone().or_else(found).unwrap_or_else(|| profile::DEFAULT.to_owned())
    }

    fn within<T>(&self, act: impl FnOnce(Directories<'_>) -> T) -> T {
        let (system, user, inherited) = (self.places.system_profiles(), self.places.profiles(), self.inherited());
        act(Directories { system: &system, user: &user, inherited: inherited.as_ref() })
    }
}

/// A resolved profile with the budgets of `config.toml`, which apply besides its own.
fn limited(mut resolved: Resolved, config: &Config) -> Resolved {
    resolved.profile.budgets.extend(config.budgets.iter().cloned());
    // The profile's own stores come first, so that they are found first.
    resolved.profile.team_stores.extend(config.team_stores.iter().cloned());
    resolved
}

fn document(path: &Path, text: &str) -> Arc<Document> {
    Arc::new(Document { label: path.display().to_string(), text: text.to_owned() })
}
