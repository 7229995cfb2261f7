//! Which profile applies, and the result of merging all its layers.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::budgets;
use super::diagnostic::{Diagnostic, Faults};
use super::document::Document;
use super::effects::{Effects, effects};
use super::entries::entries;
use super::expand::expand;
use super::inherited::NAME as INHERITED;
use super::leaves::leaves;
use super::model::Profile;
use super::placeholders::names_in;
use super::sources::{self, Directories};
use super::tree::{self, Node};
use super::variables::{self, Declaration};
use super::{read, schema, values};
use crate::secret::command::FetchContext;

/// The default profile.
pub const DEFAULT: &str = "local";

/// The settings of `config.toml` for profiles.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// The default profile.
    pub profile: Option<String>,
    /// The system's own default profile.
    pub system_profile: Option<String>,
    /// Keys that always have the value of the system's default profile, for any profile.
    pub enforce: Vec<String>,
    /// The place of that setting: `FILE:LINE:COLUMN`.
    pub enforced_by: String,
}

/// The user's selection as given: enough to resolve the same profile again after its session has ended.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// Names of profiles. The first is the profile; the others are layered on top from left to right.
    pub profiles: Vec<String>,
    /// `--var NAME=VALUE`, in order.
    pub variables: Vec<(String, String)>,
    /// `--resource KEY=VALUE`, in order.
    pub resource: Vec<(String, String)>,
    /// `--env NAME=VALUE`, in order. Never written to disk: it may contain secrets of the program, and does not affect
    /// destinations.
    #[serde(skip)]
    pub env: Vec<(String, String)>,
    /// The directory in which the search for a project file begins.
    pub directory: Option<PathBuf>,
}

impl Selection {
    /// The same selection without the values of `--resource`. They do not affect where telemetry goes, and may be what
    /// the profile redacts.
    #[must_use]
    pub fn without_values(&self) -> Self {
        let names = |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| (name.clone(), String::new())).collect();
        Self { resource: names(&self.resource), ..self.clone() }
    }

    /// The command that repeats the selection in a shell: `cd /project && ccrun doctor -p team --var region=eu`. A
    /// value that may be secret is shown as `…`.
    pub fn command(&self, verb: &str, in_project: bool) -> String {
        let shown = |value: &str| if is_plain(value) { value.to_owned() } else { "…".to_owned() };
        let profiles = self.profiles.iter().flat_map(|name| ["-p".to_owned(), name.clone()]);
        let variables =
            self.variables.iter().flat_map(|(name, value)| ["--var".to_owned(), format!("{name}={}", shown(value))]);
        let options: String = profiles.chain(variables).flat_map(|word| [" ".to_owned(), quoted(&word)]).collect();
        let directory = self.directory.as_ref().filter(|_| in_project);
        let place = directory.map(|directory| format!("cd {} && ", quoted(&directory.to_string_lossy())));
        format!("{}ccrun {verb}{options}", place.unwrap_or_default())
    }
}

/// Whether a variable's value is certainly not secret: an address, or a word too short for a secret.
fn is_plain(value: &str) -> bool {
    let is_address = value.starts_with("http://") || value.starts_with("https://");
    value.chars().count() <= 12 || is_address && !value.contains(['@', '?'])
}

/// A word quoted for a shell.
fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
}

/// Does not show the values of variables, which may be secret.
impl fmt::Debug for Selection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let selection = &mut formatter.debug_struct("Selection");
        selection.field("profiles", &self.profiles).field("variables", &names(&self.variables));
        selection.field("resource", &self.resource).field("env", &names(&self.env));
        selection.field("directory", &self.directory).finish()
    }
}

/// A resolved profile, with the text that it comes from.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Its meaning.
    pub profile: Profile,
    /// All layers merged and variables expanded. Every value has its origin.
    pub(super) root: Node,
    /// The tree before the administrator's values were enforced, if any are.
    pub(super) before: Option<Before>,
    /// The declarations of its variables.
    pub(super) declarations: Vec<Declaration>,
    /// Keys of values that would be fetched and were left out. They may differ between machines.
    pub left_out: Vec<String>,
}

impl Resolved {
    /// The origin of a value, given by its keys: `FILE:LINE:COLUMN`, or the option that set it.
    pub fn origin<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<String> {
        let node = path.into_iter().try_fold(&self.root, Node::get)?;
        Some(node.origin.to_string())
    }

    /// The origin of the value that an enforced value replaced, by its dotted key.
    pub fn overruled(&self, key: &str) -> Option<String> {
        let before = tree::find(&self.before.as_ref()?.root, key)?.origin.to_string();
        let now = tree::find(&self.root, key).map(|node| node.origin.to_string());
        (now.as_ref() != Some(&before)).then_some(before)
    }

    /// The place that enforces a key, given by its dotted name, or `None` if the key is not enforced.
    pub fn enforced_by(&self, key: &str) -> Option<&str> {
        let before = self.before.as_ref()?;
        let is_below = |path: &String| key.strip_prefix(path.as_str()).is_some_and(is_below);
        before.enforce.iter().any(is_below).then_some(&before.enforced_by)
    }

    /// The keys of values below a table that enforcement removed. An empty key stands for all.
    pub fn taken_away(&self, table: &str) -> Vec<String> {
        let before = self.before.iter().flat_map(|before| leaves(&before.root)).map(|leaf| leaf.key);
        let is_away = |key: &String| {
            let path = key.replace('"', "");
            self.enforced_by(&path).is_some() && tree::find(&self.root, &path).is_none()
        };
        before.filter(|key| table.is_empty() || key.strip_prefix(table).is_some_and(is_below)).filter(is_away).collect()
    }
}

/// Whether the rest of a dotted key is below the preceding part.
fn is_below(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('.')
}

/// The state before the administrator's values were enforced.
#[derive(Clone, Debug)]
pub(super) struct Before {
    pub(super) root: Node,
    /// The enforced keys.
    enforce: Vec<String>,
    /// The place that enforces them.
    enforced_by: String,
}

/// The merged layers of a selection, with a project's file if one applies.
#[derive(Clone, Debug)]
pub struct Merged {
    name: String,
    root: Node,
    before: Option<Before>,
}

/// Where a tree comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tree {
    /// One document, with what it extends.
    Document,
    /// All layers of a selection. A project's budget is set apart.
    Merged,
}

impl Merged {
    /// What it would do because of a project's file, compared with the same without that file. Nothing is fetched.
    pub fn effects(&self, without: Option<&Self>, project: &Arc<Document>) -> Effects {
        effects((&self.root, &self.expanded()), without.map(Self::expanded).as_ref(), project)
    }

    /// The declarations of its variables.
    pub fn declarations(&self) -> Vec<Declaration> {
        variables::declarations(&self.root)
    }

    /// The tree as written.
    pub(crate) fn written(&self) -> &Node {
        &self.root
    }

    /// The tree with variables expanded, as far as they are known before anything is fetched.
    pub(crate) fn expanded(&self) -> Node {
        expanded(self.root.clone())
    }

    /// Its meaning without the values that would be fetched. Nothing is fetched or run.
    pub fn outline(self) -> Result<Resolved, Faults> {
        let resolved = interpret(&self.name, self.root, Tree::Merged, None)?;
        Ok(Resolved { before: self.before, ..resolved })
    }

    /// Its meaning. Values come from the variables of `context`, and commands run in it.
    pub fn meaning(self, context: FetchContext<'_>) -> Result<Resolved, Faults> {
        let resolved = interpret(&self.name, self.root, Tree::Merged, Some(context))?;
        Ok(Resolved { before: self.before, ..resolved })
    }
}

/// Merges all layers of a selection.
pub fn merge(
    selection: &Selection,
    defaults: &Defaults,
    project: Option<&Arc<Document>>,
    directories: Directories<'_>,
) -> Result<Merged, Faults> {
    let project = project.map(tree::parse).transpose()?;
    let theirs = project.as_ref().and_then(|project| project.get("profile")).and_then(Node::text);
    let is_one = |project: &Node| ["extends", "destination"].iter().any(|key| project.get(key).is_some());
    let name = chosen(selection, defaults, theirs, project.as_ref().is_some_and(is_one), directories);
    let mut root = sources::load(&name, directories)?;
    budgets::refuse_further(&root)?;
    if let Some(project) = project {
        let mut project = sources::flatten(project, directories)?;
        budgets::set_apart(&mut project)?;
        root = sources::merged(root, project)?;
        let without = chosen(selection, defaults, None, false, directories);
        // An invalid profile limits nothing.
        if let Some(other) = sources::load(&without, directories).ok().filter(|_| without != name) {
            budgets::add_of(&mut root, &without, &expanded(other));
        }
    }
    for overlay in selection.profiles.iter().skip(1) {
        let overlay = sources::load(overlay, directories)?;
        budgets::refuse_further(&overlay)?;
        root = sources::merged(root, overlay)?;
    }
    let options = [
        ("--var", "vars", &selection.variables),
        ("--resource", "resource", &selection.resource),
        ("--env", "env", &selection.env),
    ];
    for (option, table, pairs) in options.into_iter().filter(|(.., pairs)| !pairs.is_empty()) {
        let options = tree::parse(&option_document(option, table, pairs)?)?;
        if table == "vars" {
            variables::check_known(&root, &options)?;
        }
        root = sources::merged(root, options)?;
    }
    let before = (!defaults.enforce.is_empty()).then(|| Before {
        root: root.clone(),
        enforce: defaults.enforce.clone(),
        enforced_by: defaults.enforced_by.clone(),
    });
    enforce(&mut root, defaults, directories)?;
    Ok(Merged { name, root, before })
}

/// The name of the first profile. `theirs` is the project file's choice. If the project file is a profile itself,
/// telemetry that was configured without `ccrun` is not considered.
pub(super) fn chosen(
    selection: &Selection,
    defaults: &Defaults,
    theirs: Option<&str>,
    is_profile: bool,
    directories: Directories<'_>,
) -> String {
    let found = directories.inherited.filter(|found| found.is_profile() && !is_profile);
    let chosen = selection.profiles.first().map(String::as_str).or(theirs).or(defaults.profile.as_deref());
    chosen.or(found.map(|_| INHERITED)).unwrap_or(DEFAULT).to_owned()
}

/// A profile's own description, even if the rest of it is invalid.
pub fn describe(selection: &Selection, directories: Directories<'_>) -> Result<String, Faults> {
    let name = selection.profiles.first().map_or(DEFAULT, String::as_str);
    let root = sources::load(name, directories)?;
    Ok(root.get("description").and_then(Node::text).unwrap_or_default().to_owned())
}

/// The keyring entries that a profile names, even if the rest of it is invalid. Nothing is fetched.
pub fn keyring_entries(name: &str, directories: Directories<'_>) -> Result<BTreeSet<String>, Faults> {
    Ok(entries(&expanded(sources::load(name, directories)?)))
}

/// A tree with variables expanded, as far as they are known before anything is fetched. An unknown variable stays as
/// written, and is a fault when the profile is used.
fn expanded(mut root: Node) -> Node {
    expand(&mut root, &mut Vec::new());
    root
}

/// Checks a document. Nothing is fetched or run: such values are shown as `fetched`.
pub fn check_document(document: &Arc<Document>, directories: Directories<'_>) -> Result<Resolved, Faults> {
    interpret(&document.label, sources::flatten(tree::parse(document)?, directories)?, Tree::Document, None)
}

/// Checks a document as the user's profile of that name. Nothing is fetched or run.
pub fn check_own(name: &str, document: &Arc<Document>, directories: Directories<'_>) -> Result<Resolved, Faults> {
    interpret(name, sources::as_own(name, tree::parse(document)?, directories)?, Tree::Document, None)
}

/// What a document would do as the user's profile of that name.
pub fn effects_own(name: &str, document: &Arc<Document>, directories: Directories<'_>) -> Result<Effects, Faults> {
    let below = sources::below_own(name, directories)?.map(expanded);
    let root = sources::as_own(name, tree::parse(document)?, directories)?;
    Ok(effects((&root, &expanded(root.clone())), below.as_ref(), document))
}

/// The meaning of a merged tree: expands variables, fetches values, checks everything, then reads it. All faults are
/// reported at once.
///
/// Variables are expanded first, because they determine what is fetched. A fetched value is not expanded. Without a
/// context, nothing is fetched or run.
fn interpret(name: &str, mut root: Node, tree: Tree, context: Option<FetchContext<'_>>) -> Result<Resolved, Faults> {
    let mut faults = Vec::new();
    let mut fetching = values::Fetching::new(context);
    fetching.table(&mut root, "vars", &mut faults);
    variables::check_values(&root, &fetching.left_out, &mut faults);
    let declarations = variables::declarations(&root);
    expand(&mut root, &mut faults);
    if !faults.is_empty() {
        // Do not run anything unless it is known to be what was meant.
        fetching.stop();
    }
    fetching.table(&mut root, "team", &mut faults);
    fetching.table(&mut root, "resource", &mut faults);
    let further = if tree == Tree::Merged { budgets::take_further(&mut root) } else { None };
    schema::check(root.entries().unwrap_or(&tree::Entries::new()), schema::PROFILE, "", &mut faults);
    budgets::check_further(&mut root, further, &mut faults);
    let profile = read::read(name, &root, &mut faults);
    faults.sort_by_key(|fault| fault.origin.as_ref().map(|origin| (origin.document.label.clone(), origin.span.start)));
    if faults.is_empty() {
        Ok(Resolved { profile, root, before: None, declarations, left_out: fetching.left_out })
    } else {
        Err(Faults(faults))
    }
}

/// Replaces the enforced keys by those of the system's default profile. Its variables are enforced as well: with other
/// values, the enforced text would mean something else.
fn enforce(root: &mut Node, defaults: &Defaults, directories: Directories<'_>) -> Result<(), Faults> {
    if defaults.enforce.is_empty() {
        return Ok(());
    }
    let system = Directories { user: directories.system, ..directories };
    let theirs = sources::load(defaults.system_profile.as_deref().unwrap_or(DEFAULT), system)?;
    let mut wanted = BTreeSet::new();
    for path in &defaults.enforce {
        tree::remove(root, path);
        if path == "budget" {
            // The system's `config.toml` has the only one.
            tree::remove(root, budgets::FURTHER);
            continue;
        }
        for node in tree::graft(root, &theirs, path) {
            names_in(node, &mut wanted);
        }
    }
    for name in wanted {
        if let Some(value) = variables::value(&theirs, &name) {
            variables::set(root, name, value.clone());
        }
    }
    Ok(())
}

/// Options of the command line as a TOML document, so that they merge, and fail, like files.
fn option_document(option: &str, table: &str, pairs: &[(String, String)]) -> Result<Arc<Document>, Faults> {
    let mut text = format!("[{table}]\n");
    let last = pairs.iter().enumerate().filter(|(at, (key, _))| !pairs[at + 1..].iter().any(|(later, _)| later == key));
    for (_, (key, value)) in last {
        // A JSON string is a TOML string, except that TOML requires DEL to be escaped.
        let quote = |text: &str| match serde_json::to_string(text) {
            Ok(quoted) => Ok(quoted.replace('\u{7f}', "\\u007f")),
            Err(error) => Err(Diagnostic::nowhere(error.to_string())),
        };
        text.extend([&quote(key)?, " = ", &quote(value)?, "\n"]);
    }
    Ok(Arc::new(Document { label: option.to_owned(), text }))
}
