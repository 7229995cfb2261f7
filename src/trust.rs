//! What of a stranger's repository its reader has accepted: a project's file, every file that it names, and which
//! secret goes where because of it. Nothing here asks anybody anything.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use jiff::Timestamp;
use ring::digest;
use serde::{Deserialize, Serialize};

use crate::profile::Diagnostic;
use crate::profile::project::{FILE_NAME, ProjectFile};
use crate::{bounded, git, state};

/// How large a named file may be, in bytes.
const MAXIMUM_FILE: u64 = 1 << 20;

/// How many files may be named.
const MAXIMUM_FILES: usize = 64;

/// How much of a record is read, in bytes: JSON may take six for one of the project's file.
const MAXIMUM_RECORD: u64 = 4 << 20;

/// What a project's file brings in besides its own text.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// Files of the repository that it names.
    pub files: BTreeSet<PathBuf>,
    /// Which secret goes to which host in the resolved plan, each as a person would write it.
    pub pairs: BTreeSet<(String, String)>,
}

/// All that is to be trusted, as it was when it was read: what is shown is what is accepted.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The project's file.
    pub project: ProjectFile,
    /// The named files, relative to the project's directory, and the SHA-256 of each.
    pub files: BTreeMap<String, String>,
    /// Which secret goes to which host.
    pub pairs: BTreeSet<(String, String)>,
    /// What holds the named files to it, for whoever comes back to them.
    pub seal: Seal,
}

impl Subject {
    /// Reads what is named. A file that cannot be trusted, for one cannot tell what it holds, is an error.
    pub fn read(project: &ProjectFile, named: &Named) -> Result<Self, Diagnostic> {
        if named.files.len() > MAXIMUM_FILES {
            let fault = Diagnostic::nowhere("the project's file names too many files of its repository");
            return Err(fault.help(format!("{} are named, {MAXIMUM_FILES} may be", named.files.len())));
        }
        let hashed = named.files.iter().map(|path| {
            let hash = hash_of_file(path).map_err(|reason| {
                let relative = relative(path, &project.directory);
                let fault = Diagnostic::nowhere(format!("a file that the project's file names {reason}: `{relative}`"));
                fault.help("name a regular file of at most 1 MiB by its own path")
            })?;
            Ok((path.clone(), hash))
        });
        let document = hex(digest::digest(&digest::SHA256, project.document.text.as_bytes()));
        let own = Some((project.path.clone(), document));
        let seal = Seal { project: own, files: hashed.collect::<Result<_, Diagnostic>>()? };
        let files = seal.files.iter().map(|(path, hash)| (relative(path, &project.directory), hash.clone())).collect();
        Ok(Self { project: project.clone(), files, pairs: named.pairs.clone(), seal })
    }

    /// The SHA-256 of all of it, in hexadecimal digits. It says nothing of where the repository is, so that it is the
    /// same for everybody who has the same.
    pub fn hash(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        // Lengths first, so that no two lists of texts look the same.
        let mut add = |text: &str| {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        };
        add("ccrun project 1");
        add(&self.project.document.text);
        for list in [self.files.iter().collect::<Vec<_>>(), self.pairs.iter().map(|(a, b)| (a, b)).collect()] {
            add(&list.len().to_string());
            for (name, value) in list {
                add(name);
                add(value);
            }
        }
        hex(context.finish())
    }
}

/// The named files as they were when they were trusted. A helper runs again and again while a session lives, which may
/// itself have been led to change it: so each time, before it runs, the seal is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seal {
    /// The project's file and its SHA-256; none where no project's file takes part.
    project: Option<(PathBuf, String)>,
    /// Absolute paths, and the SHA-256 of each.
    files: BTreeMap<PathBuf, String>,
}

impl Seal {
    /// Says which file, if any, is not what it was.
    pub fn check(&self) -> Result<(), Diagnostic> {
        self.files.iter().try_for_each(|(path, hash)| unchanged(path, hash))
    }
}

/// What was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Where, for people who look into the directory.
    path: String,
    /// [`Subject::hash`].
    pub hash: String,
    /// When.
    pub granted_at: Timestamp,
    /// The project's file.
    pub document: String,
    /// The named files and their hashes.
    pub files: BTreeMap<String, String>,
    /// Which secret goes to which host.
    pub pairs: BTreeSet<(String, String)>,
}

impl Accepted {
    /// Whether everything of a subject was accepted. A secret that goes nowhere any more takes no trust away: another
    /// profile of the user's under the same project's file has other secrets, or none.
    fn covers(&self, subject: &Subject) -> bool {
        self.document == subject.project.document.text
            && self.files == subject.files
            && subject.pairs.is_subset(&self.pairs)
    }
}

/// Whether a project's file applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Trusted,
    /// Nobody has accepted it.
    Untrusted,
    /// Another state of it was accepted.
    Changed {
        /// That state.
        accepted: Box<Accepted>,
    },
}

/// The records of what was accepted.
#[derive(Clone, Debug)]
pub struct Trust {
    directory: PathBuf,
}

impl Trust {
    /// The records in a directory, which need not be there.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Whether the file could be trusted, in some state: without that, there is no need to find out what it names.
    pub fn is_known(&self, project: &ProjectFile) -> bool {
        self.knows(&project.path)
    }

    fn knows(&self, path: &Path) -> bool {
        self.has(path) || relatives(path).iter().any(|path| self.has(path))
    }

    /// Says what, if anything, is not as it was when it was trusted: that it is trusted at all, the project's file, or
    /// one that it names. To be asked before a command runs without anybody looking.
    pub fn holds(&self, seal: &Seal) -> Result<(), Diagnostic> {
        let Some((path, hash)) = &seal.project else { return Ok(()) };
        if !self.knows(path) {
            let fault = Diagnostic::nowhere(format!("it is not trusted any more: `{}`", path.display()));
            return Err(fault.help("`ccrun trust` shows the project anew"));
        }
        unchanged(path, hash)?;
        seal.check()
    }

    /// Whether a project's file applies. What was accepted in one checkout of a repository is accepted in the others.
    pub fn verdict(&self, subject: &Subject) -> Verdict {
        let own = self.accepted(&subject.project.path);
        let covers = |accepted: &Accepted| accepted.covers(subject);
        if own.as_ref().is_some_and(covers) {
            return Verdict::Trusted;
        }
        let others: Vec<_> = relatives(&subject.project.path).iter().filter_map(|path| self.accepted(path)).collect();
        if others.iter().any(covers) {
            return Verdict::Trusted;
        }
        // What was accepted elsewhere last is what a new worktree differs from.
        match own.or_else(|| others.into_iter().max_by_key(|accepted| accepted.granted_at)) {
            Some(accepted) => Verdict::Changed { accepted: Box::new(accepted) },
            None => Verdict::Untrusted,
        }
    }

    /// Accepts a subject as it was read, in place of what was accepted before.
    pub fn grant(&self, subject: &Subject, now: Timestamp) -> Result<()> {
        let accepted = Accepted {
            path: subject.project.path.to_string_lossy().into_owned(),
            hash: subject.hash(),
            granted_at: now,
            document: subject.project.document.text.clone(),
            files: subject.files.clone(),
            pairs: subject.pairs.clone(),
        };
        let record = self.record(&subject.project.path);
        state::private_directory(&self.directory)
            .and_then(|()| Ok(state::write(&record, &serde_json::to_vec_pretty(&accepted)?)?))
            .with_context(|| format!("cannot write to `{}`", self.directory.display()))
    }

    /// Takes back whatever was accepted for a project's file, here and in the other checkouts of its repository, from
    /// where it would count here. Says whether anything was. The file itself need not be there any more.
    pub fn revoke(&self, path: &Path) -> Result<bool> {
        let mut any = false;
        for path in relatives(path).iter().map(PathBuf::as_path).chain([path]) {
            match std::fs::remove_file(self.record(path)) {
                Ok(()) => any = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).context("cannot take the trust back"),
            }
        }
        Ok(any)
    }

    /// Whether something is recorded for this very path.
    pub fn has(&self, path: &Path) -> bool {
        self.record(path).symlink_metadata().is_ok()
    }

    /// What was accepted for this very path. A record that cannot be read accepts nothing.
    fn accepted(&self, path: &Path) -> Option<Accepted> {
        let (bytes, _) = bounded::read_foreign(&self.record(path), MAXIMUM_RECORD).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn record(&self, path: &Path) -> PathBuf {
        self.directory.join(hex(digest::digest(&digest::SHA256, path.as_os_str().as_bytes())))
    }
}

/// The same project's file in the other checkouts of its repository.
fn relatives(path: &Path) -> Vec<PathBuf> {
    let directory = path.parent().unwrap_or(path);
    let root = git::checkout(directory).root;
    let Ok(below) = directory.strip_prefix(&root) else { return Vec::new() };
    let below = below.join(FILE_NAME);
    git::relatives(&root).into_iter().map(|checkout| checkout.join(&below)).collect()
}

fn unchanged(path: &Path, hash: &str) -> Result<(), Diagnostic> {
    if hash_of_file(path).is_ok_and(|found| found == hash) {
        return Ok(());
    }
    let fault = Diagnostic::nowhere(format!("a trusted file has changed: `{}`", path.display()));
    Err(fault.help("`ccrun trust` shows the project anew"))
}

fn hash_of_file(path: &Path) -> Result<String, bounded::Refusal> {
    // A link on the way could be turned elsewhere, and nothing that is read here would have changed.
    if path.canonicalize()? != path {
        return Err(bounded::Refusal::Link);
    }
    let (bytes, _) = bounded::read_foreign(path, MAXIMUM_FILE)?;
    Ok(hex(digest::digest(&digest::SHA256, &bytes)))
}

/// A path as it is seen from a directory that shares its beginning.
fn relative(path: &Path, directory: &Path) -> String {
    let shared = directory.ancestors().find_map(|ancestor| Some((ancestor, path.strip_prefix(ancestor).ok()?)));
    let Some((ancestor, below)) = shared else { return path.to_string_lossy().into_owned() };
    let up = directory.strip_prefix(ancestor).map_or(0, |rest| rest.components().count());
    let relative: PathBuf = std::iter::repeat_n(Component::ParentDir, up).chain(below.components()).collect();
    relative.to_string_lossy().into_owned()
}

fn hex(digest: digest::Digest) -> String {
    let digit = |digit: u8| char::from_digit(u32::from(digit), 16).unwrap_or('0');
    digest.as_ref().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
