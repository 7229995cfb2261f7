//! Which files make up a profile: layers of the same name, and what each extends.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Faults};
use super::document::Document;
use super::reader::guess;
use super::tree::{self, Node, Value};

/// The profiles that come with the program, by name.
const BUILT_IN: [(&str, &str); 2] =
    [("local", include_str!("../../profiles/local.toml")), ("otlp", include_str!("../../profiles/otlp.toml"))];

/// How large a profile's file may be, in bytes.
const MAXIMUM_SIZE: u64 = 256 * 1024;

/// How long a chain of `extends` may be.
const MAXIMUM_DEPTH: usize = 32;

/// Everything written under a name, merged: the built-in profile, the user's over it, and below each what it extends.
pub(super) fn load(name: &str, directory: &Path) -> Result<Node, Faults> {
    Loader { directory, chain: Vec::new() }.named(name, usize::MAX)
}

struct Loader<'a> {
    directory: &'a Path,
    /// The names being loaded, outermost first, each with the layer that is at work.
    chain: Vec<(String, usize)>,
}

impl Loader<'_> {
    /// The layers below number `below` of a name. A profile that extends its own name means these.
    fn named(&mut self, name: &str, below: usize) -> Result<Node, Faults> {
        super::check_name(name)
            .map_err(|reason| Diagnostic::nowhere(format!("`{name}` is no profile's name: {reason}")))?;
        let mut merged: Option<Node> = None;
        for (level, document) in layers(name, self.directory)?.into_iter().enumerate() {
            let Some(document) = document.filter(|_| level < below) else { continue };
            let flat = self.flatten(tree::parse(&document)?, name, level)?;
            merged = Some(match merged {
                Some(lower) => tree::merge(lower, flat),
                None => flat,
            });
        }
        merged.ok_or_else(|| unknown(name, self.directory).into())
    }

    /// A file laid over what it extends.
    fn flatten(&mut self, node: Node, name: &str, level: usize) -> Result<Node, Faults> {
        let mut merged: Option<Node> = None;
        for (parent, place) in parents(&node)? {
            if let Some(start) = self.chain.iter().position(|(seen, _)| *seen == parent && parent != name) {
                let circle = self.chain[start..].iter().map(|(name, _)| name.as_str());
                let circle = circle.chain([name, parent.as_str()]).collect::<Vec<_>>().join(" → ");
                return Err(Diagnostic::at(&place.origin, format!("profiles extend each other: {circle}")).into());
            }
            if self.chain.len() >= MAXIMUM_DEPTH {
                return Err(Diagnostic::at(&place.origin, "profiles extend each other too deeply").into());
            }
            self.chain.push((name.to_owned(), level));
            let below = if parent == name { level } else { usize::MAX };
            let loaded = self.named(&parent, below).map_err(|faults| located(faults, place));
            self.chain.pop();
            let lower = loaded?;
            merged = Some(match merged {
                Some(lowest) => tree::merge(lowest, lower),
                None => lower,
            });
        }
        Ok(match merged {
            Some(lower) => tree::merge(lower, node),
            None => node,
        })
    }
}

/// Gives a fault that has no place (an unknown name) the place that named it.
fn located(mut faults: Faults, place: &Node) -> Faults {
    for fault in &mut faults.0 {
        fault.origin.get_or_insert_with(|| place.origin.clone());
    }
    faults
}

/// The names under `extends`, a string or a list, in the order in which they apply.
fn parents(node: &Node) -> Result<Vec<(String, &Node)>, Faults> {
    let Value::Table(entries) = &node.value else { return Ok(Vec::new()) };
    let items: Vec<&Node> = match entries.get("extends") {
        None => return Ok(Vec::new()),
        Some(Node { value: Value::List(items), .. }) => items.iter().collect(),
        Some(single) => vec![single],
    };
    let name = |item: &'_ Node| match &item.value {
        Value::Text(name) => Ok(name.clone()),
        _ => Err(Diagnostic::at(&item.origin, "`extends` takes a profile's name or a list of names")),
    };
    items.into_iter().map(|item| Ok((name(item)?, item))).collect()
}

/// A profile's documents, lowest layer first.
fn layers(name: &str, directory: &Path) -> Result<Vec<Option<Arc<Document>>>, Faults> {
    let built_in = BUILT_IN.iter().find(|(known, _)| *known == name).map(|(name, text)| {
        Arc::new(Document { label: format!("built-in profile `{name}`"), text: (*text).to_owned() })
    });
    let path = path(name, directory);
    let user = read(&path)
        .map_err(|reason| Diagnostic::nowhere(format!("cannot read `{}`: {reason}", path.display())))?
        .map(|text| Arc::new(Document { label: path.display().to_string(), text }));
    Ok(vec![built_in, user])
}

fn path(name: &str, directory: &Path) -> PathBuf {
    directory.join(format!("{name}.toml"))
}

/// A file's text; nothing where there is no file.
fn read(path: &Path) -> Result<Option<String>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if !file.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("it is no regular file".to_owned());
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

fn unknown(name: &str, directory: &Path) -> Diagnostic {
    let mut known: Vec<String> = BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect();
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    known.extend(files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".toml")?.to_owned())));
    known.sort();
    known.dedup();
    let words: Vec<&str> = known.iter().map(String::as_str).collect();
    let help = match guess(name, &words) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known: {}; yours belong in `{}`", words.join(", "), directory.display()),
    };
    Diagnostic::nowhere(format!("there is no profile `{name}`")).help(help)
}
