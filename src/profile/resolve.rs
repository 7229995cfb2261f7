//! Which profile applies, and what all its layers say together.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::config::Config;
use super::diagnostic::{Diagnostic, Faults};
use super::document::Document;
use super::entries::entries;
use super::expand::{self, expand};
use super::inherited::NAME as INHERITED;
use super::model::Profile;
use super::plan::{Plan, plan};
use super::project::ProjectFile;
use super::sources::{self, Directories};
use super::tree::{self, Node};
use super::{read, schema, values};
use crate::helper::Ground;

/// The profile that applies where nobody chose one.
pub const DEFAULT: &str = "local";

/// What the user chose, as it was said: enough to resolve the same profile again after its session ended.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// Names of profiles: the first is the profile, the others are laid over it from left to right.
    pub profiles: Vec<String>,
    /// `--var NAME=VALUE`, in order.
    pub variables: Vec<(String, String)>,
    /// `--resource KEY=VALUE`, in order.
    pub resource: Vec<(String, String)>,
    /// `--env NAME=VALUE`, in order. Never written down: it may hold the program's own secrets, and says nothing of a
    /// destination.
    #[serde(skip)]
    pub env: Vec<(String, String)>,
    /// The directory from which a project's file is looked for.
    pub directory: Option<PathBuf>,
}

impl Selection {
    /// The same without the values of `--resource`, which do not decide where telemetry goes: they may be what the
    /// profile redacts.
    #[must_use]
    pub fn without_values(&self) -> Self {
        let names = |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| (name.clone(), String::new())).collect();
        Self { resource: names(&self.resource), ..self.clone() }
    }
}

/// Shows no value of a variable, which may be a secret.
impl fmt::Debug for Selection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let selection = &mut formatter.debug_struct("Selection");
        selection.field("profiles", &self.profiles).field("variables", &names(&self.variables));
        selection.field("resource", &self.resource).field("env", &names(&self.env));
        selection.field("directory", &self.directory).finish()
    }
}

/// A profile, and what was written to make it so.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What it means.
    pub profile: Profile,
    /// All layers merged, variables put in: every value with its origin.
    pub(super) root: Node,
    /// What was written before the administrator's word, if there is any.
    before: Option<Node>,
    /// Keys of values that are fetched, where they were left out: they may differ from machine to machine.
    pub left_out: Vec<String>,
}

impl Resolved {
    /// Where a value stands, by the keys that lead to it: `FILE:LINE:COLUMN`, or the option that said it.
    pub fn origin<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<String> {
        let node = path.into_iter().try_fold(&self.root, Node::get)?;
        Some(node.origin.to_string())
    }

    /// Where the value stands that an administrator's word took the place of, by its dotted key.
    pub fn overruled(&self, key: &str) -> Option<String> {
        let before = tree::find(self.before.as_ref()?, key)?.origin.to_string();
        let now = tree::find(&self.root, key).map(|node| node.origin.to_string());
        (now.as_ref() != Some(&before)).then_some(before)
    }
}

/// Everything that is written for a selection, with a project's file if one takes part.
#[derive(Clone, Debug)]
pub struct Merged {
    name: String,
    root: Node,
    /// What was written before the administrator's word, if there is any.
    before: Option<Node>,
}

impl Merged {
    /// What it would do because of a project's file. Nothing is fetched for that.
    pub fn plan(&self, project: &ProjectFile) -> Plan {
        plan(&self.root, &project.document)
    }

    /// What it means, but for values that would be fetched: nothing is fetched or run.
    pub fn outline(mut self) -> Result<Resolved, Faults> {
        let left_out = values::leave_out(&mut self.root);
        let resolved = interpret(&self.name, self.root, Vec::new())?;
        Ok(Resolved { before: self.before, left_out, ..resolved })
    }

    /// What it means. Values may be taken from the `ground`'s variables, and commands run on it.
    pub fn meaning(self, ground: Ground<'_>) -> Result<Resolved, Faults> {
        let resolved = meaning(&self.name, self.root, ground)?;
        Ok(Resolved { before: self.before, ..resolved })
    }
}

/// Merges all layers of a selection.
pub fn merge(
    selection: &Selection,
    config: &Config,
    project: Option<&ProjectFile>,
    directories: Directories<'_>,
) -> Result<Merged, Faults> {
    let project = project.map(|project| tree::parse(&project.document)).transpose()?;
    let theirs = project.as_ref().and_then(|project| project.get("profile")).and_then(Node::text);
    let mut names = selection.profiles.iter().map(String::as_str);
    // A project's file that is a profile by itself leaves nothing to be chosen.
    let is_one = |project: &Node| ["extends", "destination"].iter().any(|key| project.get(key).is_some());
    let found = directories.inherited.filter(|found| found.is_profile() && !project.as_ref().is_some_and(is_one));
    let chosen = names.next().or(theirs).or(config.profile.as_deref()).or(found.map(|_| INHERITED));
    let name = chosen.unwrap_or(DEFAULT).to_owned();
    let mut root = sources::load(&name, directories)?;
    if let Some(project) = project {
        root = tree::merge(root, sources::flatten(project, directories)?);
    }
    for overlay in names {
        root = tree::merge(root, sources::load(overlay, directories)?);
    }
    let options = [
        ("--var", "vars", &selection.variables),
        ("--resource", "resource", &selection.resource),
        ("--env", "env", &selection.env),
    ];
    for (option, table, pairs) in options.into_iter().filter(|(.., pairs)| !pairs.is_empty()) {
        root = tree::merge(root, tree::parse(&option_document(option, table, pairs)?)?);
    }
    let before = (!config.enforce.is_empty()).then(|| root.clone());
    enforce(&mut root, config, directories)?;
    Ok(Merged { name, root, before })
}

/// What a profile says of itself, whether or not the rest of it is right.
pub fn describe(selection: &Selection, directories: Directories<'_>) -> Result<String, Faults> {
    let name = selection.profiles.first().map_or(DEFAULT, String::as_str);
    let root = sources::load(name, directories)?;
    Ok(root.get("description").and_then(Node::text).unwrap_or_default().to_owned())
}

/// The entries of the keyring that a profile names, whether or not the rest of it is right. Nothing is fetched.
pub fn keyring_entries(name: &str, directories: Directories<'_>) -> Result<BTreeSet<String>, Faults> {
    let mut root = sources::load(name, directories)?;
    expand(&mut root, &mut Vec::new());
    Ok(entries(&root))
}

/// Checks a document that somebody hands over. Nothing is fetched or run: a value that would be stands as `fetched`.
pub fn check_document(document: &Arc<Document>, directories: Directories<'_>) -> Result<Resolved, Faults> {
    let mut root = sources::flatten(tree::parse(document)?, directories)?;
    values::leave_out(&mut root);
    interpret(&document.label, root, Vec::new())
}

/// Checks a document as the user's profile of a name, which it is to become; nothing is fetched or run.
pub fn check_own(name: &str, document: &Arc<Document>, directories: Directories<'_>) -> Result<Resolved, Faults> {
    let mut root = sources::as_own(name, tree::parse(document)?, directories)?;
    values::leave_out(&mut root);
    interpret(name, root, Vec::new())
}

/// What a document would do as the user's profile of a name.
pub fn plan_own(name: &str, document: &Arc<Document>, directories: Directories<'_>) -> Result<Plan, Faults> {
    Ok(plan(&sources::as_own(name, tree::parse(document)?, directories)?, document))
}

/// What a merged tree means: values fetched, variables put in, everything checked, then read. All faults come at once.
pub(super) fn meaning(name: &str, mut root: Node, ground: Ground<'_>) -> Result<Resolved, Faults> {
    let mut faults = Vec::new();
    values::fetch(&mut root, ground, &mut faults);
    interpret(name, root, faults)
}

/// What is meant once every value is there.
fn interpret(name: &str, mut root: Node, mut faults: Vec<Diagnostic>) -> Result<Resolved, Faults> {
    expand(&mut root, &mut faults);
    schema::check(root.entries().unwrap_or(&tree::Entries::new()), schema::PROFILE, "", &mut faults);
    let profile = read::read(name, &root, &mut faults);
    faults.sort_by_key(|fault| fault.origin.as_ref().map(|origin| (origin.document.label.clone(), origin.span.start)));
    if faults.is_empty() {
        Ok(Resolved { profile, root, before: None, left_out: Vec::new() })
    } else {
        Err(Faults(faults))
    }
}

/// Puts the system default profile's word in place of everybody else's, for the keys that its administrator names. The
/// variables in it are that profile's too: with another's value they would say something else.
fn enforce(root: &mut Node, config: &Config, directories: Directories<'_>) -> Result<(), Faults> {
    if config.enforce.is_empty() {
        return Ok(());
    }
    let system = Directories { user: directories.system, ..directories };
    let theirs = sources::load(config.system_profile.as_deref().unwrap_or(DEFAULT), system)?;
    let mut variables = BTreeSet::new();
    for path in &config.enforce {
        tree::remove(root, path);
        for node in tree::graft(root, &theirs, path) {
            expand::names(node, &mut variables);
        }
    }
    for name in variables {
        tree::graft(root, &theirs, &format!("vars.{name}"));
    }
    Ok(())
}

/// Options of the command line as the document that they stand for, so that they merge, and fail, as files do.
fn option_document(option: &str, table: &str, pairs: &[(String, String)]) -> Result<Arc<Document>, Faults> {
    let mut text = format!("[{table}]\n");
    let last = pairs.iter().enumerate().filter(|(at, (key, _))| !pairs[at + 1..].iter().any(|(later, _)| later == key));
    for (_, (key, value)) in last {
        // A JSON string is a TOML string, but for DEL, which TOML wants escaped.
        let quote = |text: &str| match serde_json::to_string(text) {
            Ok(quoted) => Ok(quoted.replace('\u{7f}', "\\u007f")),
            Err(error) => Err(Diagnostic::nowhere(error.to_string())),
        };
        text.extend([&quote(key)?, " = ", &quote(value)?, "\n"]);
    }
    Ok(Arc::new(Document { label: option.to_owned(), text }))
}
