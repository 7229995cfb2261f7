//! `config.toml`: settings of a user or a machine's administrator that apply to all profiles.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::profile::schema::{BUDGET, Key, Kind, SOURCE, STATUS_LINE};
use crate::profile::tree::{Node, Value};
use crate::profile::{
    Budget, Defaults, Diagnostic, Document, Faults, StatusLine, TeamStore, read_budgets, read_team_stores, schema,
    sources, status_line, top_level_strings, tree,
};
use crate::secret::Keyring;
use crate::system::bounded;

/// The keys of the user's file. The system's file also has `enforce`.
const CONFIG: &[Key] = &[
    Key { name: "profile", kind: Kind::Text, about: "the default profile" },
    Key { name: "off", kind: Kind::Bool, about: "make ccrun a plain exec" },
    Key { name: "state_dir", kind: Kind::Text, about: "the directory of ccrun's store" },
    Key { name: "keyring", kind: Kind::Choice(&["keyutils"]), about: "the keyring to use instead of the desktop's" },
    Key { name: "editors", kind: Kind::Texts, about: "programs that are editors" },
    Key { name: "ledger", kind: Kind::Table(LEDGER), about: "what the ledger keeps" },
    Key { name: "budget", kind: Kind::Table(BUDGET), about: "how much Claude Code may cost" },
    Key { name: "report", kind: Kind::Table(REPORT), about: "what reports show" },
    Key {
        name: "source",
        kind: Kind::Map(&Kind::Table(SOURCE)),
        about: "teams' stores that `ccrun report --from` reads",
    },
    Key { name: "statusline", kind: Kind::Table(STATUS_LINE), about: "the status line that Claude Code shows" },
    Key { name: "enforce", kind: Kind::Texts, about: "keys that always come from the system's default profile" },
];

/// The maximum size of a file that is read, in bytes.
const MAXIMUM_SIZE: u64 = 256 * 1024;

/// The keys of `[ledger]`.
const LEDGER: &[Key] = &[
    Key { name: "keep", kind: Kind::Duration, about: "how long facts are kept; forever by default" },
    Key { name: "persons", kind: Kind::Bool, about: "whether facts record the person" },
];

/// The keys of `[report]`.
const REPORT: &[Key] =
    &[Key { name: "persons", kind: Kind::Bool, about: "show rows for persons in groups of fewer than five people" }];

/// What reports show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportRules {
    /// Whether rows for persons are shown in small groups.
    pub persons: bool,
    /// Whether the system's file decides that.
    pub is_enforced: bool,
}

/// What the ledger keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRules {
    /// How many days facts are kept; forever if `None`.
    pub keep_days: Option<i64>,
    /// Whether facts record the person that they belong to.
    pub persons: bool,
}

impl Default for LedgerRules {
    fn default() -> Self {
        Self { keep_days: None, persons: true }
    }
}

/// What `config.toml` says of the status line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusLineRules {
    /// Its values; the user's take precedence.
    pub line: StatusLine,
    /// Whether the system's file enforces them over those of profiles.
    pub is_enforced: bool,
}

impl StatusLineRules {
    /// The status line of a launch with this profile's.
    pub fn applied_to(&self, of_profile: &StatusLine) -> StatusLine {
        if self.is_enforced { self.line.clone() } else { of_profile.clone().or(&self.line) }
    }
}

/// The merged content of both files; the user's takes precedence.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Which profiles apply.
    pub defaults: Defaults,
    /// Whether `ccrun` is a plain exec.
    pub off: bool,
    /// Where `ccrun` keeps its store.
    pub state_dir: Option<PathBuf>,
    /// Which keyring entries are read from.
    pub keyring: Keyring,
    /// Warnings about unknown keys and variables, one per line.
    pub warnings: Vec<String>,
    /// Programs that are editors, by file name; `None` means the usual ones.
    pub editors: Option<Vec<String>>,
    /// What the ledger keeps.
    pub ledger: LedgerRules,
    /// The budgets of both files, which apply besides a profile's. If the system enforces its own, those alone.
    pub budgets: Vec<Budget>,
    /// The teams' stores of both files. The user's come first.
    pub team_stores: Vec<TeamStore>,
    /// What reports show.
    pub report: ReportRules,
    /// The status line.
    pub status_line: StatusLineRules,
}

/// Reads both files. `user` and `system` are their directories.
pub fn read(user: &Path, system: &Path) -> Result<Config, Faults> {
    let mut warnings = Vec::new();
    let own = file(&user.join("config.toml"), &mut warnings)?;
    let machine = file(&system.join("config.toml"), &mut warnings)?;
    if let Some(enforce) = own.as_ref().and_then(|own| own.get("enforce")) {
        let fault = Diagnostic::at(&enforce.key, "`enforce` is allowed only in the system's file");
        return Err(fault.help(format!("it belongs in `{}`", system.join("config.toml").display())).into());
    }
    let text = |key: &str| {
        let find = |config: &Option<Node>| Some(config.as_ref()?.get(key)?.text()?.to_owned());
        find(&own).or_else(|| find(&machine))
    };
    let truth = |config: &Option<Node>| {
        let value = config.as_ref().and_then(|config| config.get("off")).map(|node| &node.value);
        if let Some(Value::Bool(truth)) = value { Some(*truth) } else { None }
    };
    let budgets = budgets(own.as_ref(), machine.as_ref())?;
    let team_stores = team_stores(own.as_ref(), machine.as_ref())?;
    let of_machine = |key: &str| machine.as_ref().and_then(|machine| machine.get(key));
    Ok(Config {
        defaults: Defaults {
            profile: text("profile"),
            system_profile: of_machine("profile").and_then(Node::text).map(str::to_owned),
            enforce: of_machine("enforce").map(texts).unwrap_or_default(),
            enforced_by: of_machine("enforce").map(|node| node.origin.to_string()).unwrap_or_default(),
        },
        off: truth(&own).or_else(|| truth(&machine)).unwrap_or(false),
        state_dir: text("state_dir").map(PathBuf::from),
        ledger: ledger(own.as_ref(), machine.as_ref()),
        budgets,
        team_stores,
        report: report(own.as_ref(), machine.as_ref()),
        status_line: status_line_rules(own.as_ref(), machine.as_ref()),
        editors: own.as_ref().and_then(|own| own.get("editors")).or_else(|| of_machine("editors")).map(texts),
        warnings: warnings.iter().map(ToString::to_string).collect(),
        keyring: if text("keyring").is_some() { Keyring::Keyutils } else { Keyring::Desktop },
    })
}

/// Reads both files although one may be invalid. From the user's, takes the profile that it chooses; from the system's,
/// everything if it is valid.
pub(super) fn read_as_far_as_possible(user: &Path, system: &Path) -> Config {
    read(user, system).unwrap_or_else(|_| {
        let mut config = read(Path::new("/nonexistent"), system).unwrap_or_default();
        let text = bounded::read(&user.join("config.toml"), MAXIMUM_SIZE).unwrap_or_default();
        let chosen = top_level_strings(&String::from_utf8_lossy(&text), "profile");
        config.defaults.profile = chosen.into_iter().next().or(config.defaults.profile);
        config
    })
}

/// The text of a user's file with another default profile and everything else unchanged. Fails if the file is invalid.
pub fn with_default(path: &Path, text: &str, profile: &str) -> Result<String, Faults> {
    let document = Arc::new(Document { label: path.display().to_string(), text: text.to_owned() });
    let root = checked(&document, &mut Vec::new())?;
    let quoted = serde_json::Value::from(profile).to_string();
    let Some(node) = root.get("profile") else { return Ok(format!("profile = {quoted}\n{text}")) };
    let mut changed = text.to_owned();
    changed.replace_range(node.origin.span.clone(), &quoted);
    Ok(changed)
}

/// Combines both files key by key. The user's takes precedence, unless the system enforces the table.
fn status_line_rules(own: Option<&Node>, machine: Option<&Node>) -> StatusLineRules {
    let is_enforced = enforces(machine, "statusline");
    let read = |config: Option<&Node>| status_line(config.and_then(|config| config.get("statusline")));
    let own = own.filter(|_| !is_enforced);
    StatusLineRules { line: read(own).or(&read(machine)), is_enforced }
}

/// The same for `[ledger]`.
fn ledger(own: Option<&Node>, machine: Option<&Node>) -> LedgerRules {
    let own = own.filter(|_| !enforces(machine, "ledger"));
    let find = |key: &str| {
        let find = |config: &Node| config.get("ledger")?.get(key).map(|node| node.value.clone());
        own.and_then(find).or_else(|| machine.and_then(find))
    };
    let keep = match find("keep") {
        Some(Value::Text(text)) => schema::duration(&text),
        _ => None,
    };
    let days = |keep: std::time::Duration| i64::try_from(keep.as_secs() / (24 * 60 * 60)).unwrap_or(i64::MAX / 2);
    LedgerRules {
        keep_days: keep.map(days),
        persons: find("persons").is_none_or(|value| !matches!(value, Value::Bool(false))),
    }
}

/// Combines both files as [`ledger`] does.
fn report(own: Option<&Node>, machine: Option<&Node>) -> ReportRules {
    let is_enforced = enforces(machine, "report") || enforces(machine, "report.persons");
    let find = |config: &Node| config.get("report")?.get("persons").map(|node| matches!(node.value, Value::Bool(true)));
    let persons = own.filter(|_| !is_enforced).and_then(find).or_else(|| machine.and_then(find));
    ReportRules { persons: persons.unwrap_or(false), is_enforced }
}

/// The budgets of both files. The user's own does not apply if the system enforces its own.
fn budgets(own: Option<&Node>, machine: Option<&Node>) -> Result<Vec<Budget>, Faults> {
    let own = own.filter(|_| !enforces(machine, "budget"));
    let tables = own.into_iter().chain(machine).filter_map(|config| config.get("budget"));
    let mut faults = Vec::new();
    let budgets = tables.flat_map(|table| read_budgets(table, &mut faults)).collect();
    if faults.is_empty() { Ok(budgets) } else { Err(Faults(faults)) }
}

/// The teams' stores of both files. A name may be in both; the user's comes first.
fn team_stores(own: Option<&Node>, machine: Option<&Node>) -> Result<Vec<TeamStore>, Faults> {
    let mut faults = Vec::new();
    let stores = own.into_iter().chain(machine).flat_map(|config| read_team_stores(config, &mut faults)).collect();
    if faults.is_empty() { Ok(stores) } else { Err(Faults(faults)) }
}

/// Whether the system's file enforces one of its own tables.
fn enforces(machine: Option<&Node>, table: &str) -> bool {
    let enforced = machine.and_then(|machine| machine.get("enforce"));
    enforced.is_some_and(|list| list.texts().any(|(key, _)| key == table))
}

fn texts(list: &Node) -> Vec<String> {
    list.texts().map(|(text, _)| text.to_owned()).collect()
}

fn file(path: &Path, warnings: &mut Vec<Diagnostic>) -> Result<Option<Node>, Faults> {
    let Some(document) = sources::document(path)? else { return Ok(None) };
    checked(&document, warnings).map(Some)
}

/// Removes unknown keys from a file and collects warnings: a newer file must not switch an older `ccrun` off.
fn checked(document: &Arc<Document>, warnings: &mut Vec<Diagnostic>) -> Result<Node, Faults> {
    let mut root = tree::parse(document)?;
    let mut faults = Vec::new();
    if let Value::Table(entries) = &mut root.value {
        warnings.extend(schema::take_unknown(entries, CONFIG));
        schema::check(entries, CONFIG, "", &mut faults);
    }
    if faults.is_empty() { Ok(root) } else { Err(Faults(faults)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_texts(user: &str, system: &str) -> Result<Config, Faults> {
        let directory = tempfile::tempdir().unwrap();
        let places = [directory.path().join("user"), directory.path().join("system")];
        for (place, text) in places.iter().zip([user, system]) {
            std::fs::create_dir(place).unwrap();
            std::fs::write(place.join("config.toml"), text).unwrap();
        }
        read(&places[0], &places[1])
    }

    #[test]
    fn the_users_file_takes_precedence_over_the_systems() {
        let system = "profile = \"team\"\noff = true\nenforce = [\"content.user_prompts\"]\n";
        let config = read_texts("profile = \"mine\"\noff = false\n", system).unwrap();
        assert_eq!(
            (config.defaults.profile.as_deref(), config.defaults.system_profile.as_deref()),
            (Some("mine"), Some("team"))
        );
        assert!(!config.off);
        assert_eq!(config.defaults.enforce, ["content.user_prompts"]);
        assert_eq!(config.keyring, Keyring::Desktop);
        assert_eq!(read_texts("", "keyring = \"keyutils\"\n").unwrap().keyring, Keyring::Keyutils);
        assert_eq!(read_texts("", system).unwrap().defaults.profile.as_deref(), Some("team"));
    }

    #[test]
    fn the_ledger_keeps_everything_by_default() {
        let ledger = |user, system| read_texts(user, system).unwrap().ledger;
        assert_eq!(ledger("", ""), LedgerRules::default());
        let system = "[ledger]\npersons = false\nkeep = \"30d\"\n";
        assert_eq!(ledger("[ledger]\nkeep = \"400d\"\n", system), LedgerRules { keep_days: Some(400), persons: false });
        let enforcing = format!("enforce = [\"ledger\"]\n{system}");
        let rules = ledger("[ledger]\nkeep = \"400d\"\npersons = true\n", &enforcing);
        assert_eq!(rules, LedgerRules { keep_days: Some(30), persons: false });
    }

    #[test]
    fn budgets_of_both_files_apply_unless_the_system_enforces_its_own() {
        let limits = |user: &str, system: &str| {
            let budgets = read_texts(user, system).unwrap().budgets;
            budgets.iter().map(|budget| budget.limit / 1_000_000_000).collect::<Vec<_>>()
        };
        let (user, system) = ("[budget]\ndaily = 50\n", "[budget]\ndaily = 20\nweekly = 80\n");
        assert!(limits("", "").is_empty());
        assert_eq!(limits(user, system), [50, 20, 80]);
        assert_eq!(limits(user, &format!("enforce = [\"budget\"]\n{system}")), [20, 80]);
        assert!(limits(user, "enforce = [\"budget\"]\n").is_empty(), "the system has none");
        let fault = read_texts("[budget]\nper = \"team\"\n", "").unwrap_err().to_string();
        assert!(fault.contains("config.toml:1:2: `budget` has no limit"), "{fault}");
        let fault = read_texts("[budget]\ndaly = 3\n", "").unwrap_err().to_string();
        assert!(fault.contains("config.toml:2:1: unknown key `daly`") && fault.contains("`daily`"), "{fault}");
    }

    #[test]
    fn rows_for_persons_can_be_enforced() {
        let report = |user: &str, system: &str| read_texts(user, system).unwrap().report;
        assert_eq!(report("", ""), ReportRules::default());
        let shown = "[report]\npersons = true\n";
        assert_eq!(report(shown, "[report]\npersons = false\n"), ReportRules { persons: true, is_enforced: false });
        for enforce in ["enforce = [\"report.persons\"]\n", "enforce = [\"report\"]\n"] {
            assert_eq!(report(shown, enforce), ReportRules { persons: false, is_enforced: true }, "{enforce}");
            let system = format!("{enforce}{shown}");
            assert_eq!(report("", &system), ReportRules { persons: true, is_enforced: true }, "{enforce}");
        }
    }

    #[test]
    fn the_status_line_is_the_profiles_unless_the_system_enforces_its_own() {
        let applied = |user: &str, system: &str| {
            let of_profile = StatusLine { show: Some(true), format: None };
            let line = read_texts(user, system).unwrap().status_line.applied_to(&of_profile);
            (line.show, line.format.map(String::from))
        };
        let format = |name: &str| Some(format!("{{{name}}}"));
        assert_eq!(applied("", ""), (Some(true), None));
        let (user, system) = ("[statusline]\nshow = false\nformat = \"{cost}\"\n", "statusline.format = \"{today}\"\n");
        assert_eq!(applied(user, system), (Some(true), format("cost")));
        assert_eq!(applied("", system), (Some(true), format("today")));
        assert_eq!(applied(user, &format!("enforce = [\"statusline\"]\n{system}")), (None, format("today")));
        let fault = read_texts("statusline.format = \"{cots}\"\n", "").unwrap_err().to_string();
        assert!(
            fault.contains("`statusline.format`: unknown placeholder `{cots}` (did you mean `{cost}`?)"),
            "{fault}"
        );
    }

    #[test]
    fn changing_the_default_profile_changes_nothing_else() {
        let write = |text: &str| with_default(Path::new("config.toml"), text, "te\"am");
        assert_eq!(write("").unwrap(), "profile = \"te\\\"am\"\n");
        assert_eq!(write("# mine\noff = false").unwrap(), "profile = \"te\\\"am\"\n# mine\noff = false");
        let text = "off = false # so\n\"profile\"  =  'other'   # why\neditors = []\n";
        let expected = "off = false # so\n\"profile\"  =  \"te\\\"am\"   # why\neditors = []\n";
        assert_eq!(write(text).unwrap(), expected);
        assert!(write("profile = 1").is_err());
        assert_eq!(write("newer = 1\n").unwrap(), "profile = \"te\\\"am\"\nnewer = 1\n");
    }

    #[test]
    fn the_users_list_of_editors_is_used() {
        assert_eq!(read_texts("", "").unwrap().editors, None);
        let named = read_texts("editors = [\"vim\"]\n", "editors = [\"emacs\"]\n").unwrap();
        assert_eq!(named.editors, Some(vec!["vim".to_owned()]));
        assert_eq!(read_texts("editors = []\n", "editors = [\"emacs\"]\n").unwrap().editors, Some(Vec::new()));
    }

    #[test]
    fn enforce_is_refused_in_the_users_file() {
        let fault = read_texts("enforce = [\"destination\"]\n", "").unwrap_err().to_string();
        assert!(fault.contains("config.toml:1:1: `enforce` is allowed only in the system's file"), "{fault}");
    }

    #[test]
    fn an_unknown_key_is_a_warning_with_a_suggestion() {
        let config = read_texts("profil = \"x\"\nkeyring = \"keyutils\"\n", "[newer]\nx = 1\n").unwrap();
        assert_eq!((config.keyring, config.warnings.len()), (Keyring::Keyutils, 2));
        assert!(config.warnings[0].contains("config.toml:1:1: unknown key `profil` (did you mean `profile`?)"));
        assert!(config.warnings[1].contains("config.toml:1:2: unknown key `newer` (allowed here: "));
    }
}
