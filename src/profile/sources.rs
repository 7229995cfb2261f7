//! The files of a profile: the layers of its name, and what each extends.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::built_in::BUILT_IN;
use super::diagnostic::{Diagnostic, Faults};
use super::document::Document;
use super::inherited::Inherited;
use super::schema::guess;
use super::tree::{self, Node, Value};
use super::variables;

/// The maximum size of a profile's file, in bytes.
const MAXIMUM_SIZE: u64 = 256 * 1024;

/// The index of the built-in layer among the documents of a name.
const BUILT_IN_LEVEL: usize = 0;

/// The index of the user's layer.
const USER_LEVEL: usize = 2;

/// The maximum length of a chain of `extends`.
const MAXIMUM_DEPTH: usize = 32;

/// The layers that contain profiles by name, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// Embedded in the program.
    BuiltIn,
    /// Derived from telemetry that is configured for Claude Code.
    Found,
    /// The machine's.
    System,
    /// The user's.
    User,
}

impl Layer {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Found => "found",
            Self::System => "system",
            Self::User => "user",
        }
    }
}

/// The directories of the layers.
#[derive(Clone, Copy, Debug)]
pub struct Directories<'a> {
    /// The machine's profiles.
    pub system: &'a Path,
    /// The user's profiles.
    pub user: &'a Path,
    /// Telemetry configured for Claude Code: a layer below all files of its name.
    pub inherited: Option<&'a Inherited>,
}

impl Directories<'_> {
    /// All profiles by name, each with its highest layer.
    pub fn list(&self) -> Vec<(String, Layer)> {
        let built_in = BUILT_IN.iter().map(|(name, _)| ((*name).to_owned(), Layer::BuiltIn));
        let of = |directory: &Path, layer| names(directory).into_iter().map(move |name| (name, layer));
        let found = self.inherited.filter(|inherited| inherited.is_profile());
        let found = found.map(|_| (super::INHERITED.to_owned(), Layer::Found));
        let all = built_in.chain(found).chain(of(self.system, Layer::System)).chain(of(self.user, Layer::User));
        // The map keeps the last of each name, which is the highest layer.
        all.collect::<std::collections::BTreeMap<_, _>>().into_iter().collect()
    }

    /// A profile's texts as returned by `read`, even if they are invalid.
    pub(super) fn texts(self, name: &str, read: impl Fn(&Path) -> Option<String>) -> Vec<String> {
        if super::check_name(name).is_err() {
            return Vec::new();
        }
        let built_in = BUILT_IN.iter().filter(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
        built_in.chain([self.system, self.user].iter().filter_map(|directory| read(&path(name, directory)))).collect()
    }

    /// A profile's documents, lowest layer first.
    fn layers(self, name: &str) -> Result<[Option<Arc<Document>>; 3], Faults> {
        let built_in = BUILT_IN.iter().find(|(known, _)| *known == name).map(|(name, text)| {
            Arc::new(Document { label: format!("built-in profile `{name}`"), text: (*text).to_owned() })
        });
        let file = |directory: &Path| document(&path(name, directory));
        Ok([built_in, file(self.system)?, file(self.user)?])
    }
}

fn names(directory: &Path) -> Vec<String> {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let names = files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".toml")?.to_owned()));
    names.filter(|name| super::check_name(name).is_ok()).collect()
}

/// Everything written under a name, merged: its layers, and below each what it extends.
pub(crate) fn load(name: &str, directories: Directories<'_>) -> Result<Node, Faults> {
    Loader { directories, chain: Vec::new() }.named(name, usize::MAX)
}

/// A document without a name of its own, layered on what it extends.
pub(crate) fn flatten(node: Node, directories: Directories<'_>) -> Result<Node, Faults> {
    Loader { directories, chain: Vec::new() }.flatten(node, "", usize::MAX)
}

/// A document as the user's layer of a name, layered on what it extends and on the lower layers.
pub(crate) fn as_own(name: &str, node: Node, directories: Directories<'_>) -> Result<Node, Faults> {
    let level = USER_LEVEL;
    let mut loader = Loader { directories, chain: Vec::new() };
    let lower = loader.layers_below(name, level)?;
    let flat = loader.flatten(node, name, level)?;
    over(lower, flat)
}

/// Everything below the user's layer of a name, if there is anything.
pub(crate) fn below_own(name: &str, directories: Directories<'_>) -> Result<Option<Node>, Faults> {
    Loader { directories, chain: Vec::new() }.layers_below(name, USER_LEVEL)
}

struct Loader<'a> {
    directories: Directories<'a>,
    /// The names being loaded, outermost first.
    chain: Vec<String>,
}

impl Loader<'_> {
    /// The layers of a name below index `below`. A profile that extends its own name means these.
    fn named(&mut self, name: &str, below: usize) -> Result<Node, Faults> {
        super::check_name(name)
            .map_err(|reason| Diagnostic::nowhere(format!("`{name}` is not a valid profile name: {reason}")))?;
        self.layers_below(name, below)?.ok_or_else(|| unknown(name, self.directories).into())
    }

    fn layers_below(&mut self, name: &str, below: usize) -> Result<Option<Node>, Faults> {
        let found = self.directories.inherited.filter(|_| name == super::INHERITED);
        let mut merged = found.and_then(Inherited::node);
        for (level, document) in self.directories.layers(name)?.into_iter().enumerate() {
            let Some(document) = document.filter(|_| level < below) else { continue };
            let flat = self.flatten(tree::parse(&document)?, name, level)?;
            merged = Some(over(merged, flat)?);
        }
        Ok(merged)
    }

    /// A document layered on what it extends.
    fn flatten(&mut self, node: Node, name: &str, level: usize) -> Result<Node, Faults> {
        let mut merged: Option<Node> = None;
        let mut loaded: Vec<Node> = Vec::new();
        for (parent, place) in parents(&node)? {
            if let Some(start) = self.chain.iter().position(|seen| *seen == parent && parent != name) {
                let circle = self.chain[start..].iter().map(String::as_str);
                let circle = circle.chain([name, parent.as_str()]).collect::<Vec<_>>().join(" → ");
                return Err(Diagnostic::at(&place.origin, format!("profiles extend each other: {circle}")).into());
            }
            if self.chain.len() >= MAXIMUM_DEPTH {
                return Err(Diagnostic::at(&place.origin, "profiles extend each other too deeply").into());
            }
            self.chain.push(name.to_owned());
            let below = if parent == name { level } else { usize::MAX };
            let next = self.named(&parent, below).map_err(|faults| located(faults, place));
            self.chain.pop();
            let next = next?;
            let clashes: Vec<_> = loaded.iter().flat_map(|one| variables::clashes(one, &next, &node, place)).collect();
            if !clashes.is_empty() {
                return Err(Faults(clashes));
            }
            merged = Some(over(merged, next.clone())?);
            loaded.push(next);
        }
        let shipped = (level == BUILT_IN_LEVEL).then_some(name);
        over(merged, variables::declare(node, shipped))
    }
}

/// Layers a tree on another one, whose variables it may refer to.
fn over(lower: Option<Node>, upper: Node) -> Result<Node, Faults> {
    match lower {
        Some(lower) => merged(lower, upper),
        None => Ok(upper),
    }
}

/// The same if the lower tree exists.
pub(crate) fn merged(lower: Node, upper: Node) -> Result<Node, Faults> {
    let upper = variables::fitted(&lower, upper)?;
    Ok(tree::merge(lower, upper))
}

/// Gives a fault without a place (an unknown name) the place of the reference.
fn located(mut faults: Faults, place: &Node) -> Faults {
    for fault in &mut faults.0 {
        fault.origin.get_or_insert_with(|| place.origin.clone());
    }
    faults
}

/// The names under `extends`, a string or a list, in the order in which they apply.
fn parents(node: &Node) -> Result<Vec<(String, &Node)>, Faults> {
    let Some(extends) = node.get("extends") else { return Ok(Vec::new()) };
    let names: Vec<_> = extends.texts().map(|(name, place)| (name.to_owned(), place)).collect();
    match &extends.value {
        Value::List(items) if items.len() == names.len() => Ok(names),
        Value::Text(_) => Ok(names),
        _ => Err(Diagnostic::at(&extends.origin, "`extends` takes a profile's name or a list of names").into()),
    }
}

/// A file's text, or `None` if there is no file.
pub(crate) fn document(path: &Path) -> Result<Option<Arc<Document>>, Faults> {
    let text =
        read(path).map_err(|reason| Diagnostic::nowhere(format!("cannot read `{}`: {reason}", path.display())))?;
    Ok(text.map(|text| Arc::new(Document { label: path.display().to_string(), text })))
}

fn read(path: &Path) -> Result<Option<String>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if !file.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(MAXIMUM_SIZE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAXIMUM_SIZE {
        return Err(format!("it is larger than {} KiB", MAXIMUM_SIZE / 1024));
    }
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
        format!("line {line} is not UTF-8")
    })
}

/// The path of the user's profile of that name.
fn path(name: &str, directory: &Path) -> PathBuf {
    directory.join(format!("{name}.toml"))
}

fn unknown(name: &str, directories: Directories<'_>) -> Diagnostic {
    let known = directories.list();
    let words: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
    let help = match guess(name, &words) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known: {}; yours belong in `{}`", words.join(", "), directories.user.display()),
    };
    Diagnostic::nowhere(format!("there is no profile `{name}`")).help(help)
}
