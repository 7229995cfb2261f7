//! What the user has trusted of a repository: the project's file, every file that it names, and which secret goes to
//! which host because of it. Nothing here prompts.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use jiff::Timestamp;
use ring::digest;
use serde::{Deserialize, Serialize};

use crate::profile::Diagnostic;
use crate::state;
use crate::system::bounded;
use crate::system::hex::hex;
use crate::workspace::named_files::executables;
use crate::workspace::project::{FILE_NAME, ProjectFile};
use crate::workspace::repository;

/// The maximum size of a named file, in bytes.
const MAXIMUM_FILE: u64 = 1 << 20;

/// How many files may be named.
const MAXIMUM_FILES: usize = 64;

/// The maximum size of a file that may run, in bytes: it may be a program.
const MAXIMUM_REACHED: u64 = 16 << 20;

/// How many such files there may be.
const MAXIMUM_REACHED_FILES: usize = 512;

/// The maximum size of a record, in bytes: JSON may need six for one of the project's file.
const MAXIMUM_RECORD: u64 = 4 << 20;

/// What a project's file depends on besides its own text.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// Files of the repository that it names.
    pub files: BTreeSet<PathBuf>,
    /// Files that the merged plan names.
    pub reached: BTreeSet<PathBuf>,
    /// Directories in which any executable file may run, each with the words that cause it.
    pub directories: BTreeMap<PathBuf, BTreeSet<String>>,
    /// Which secret goes to which host in the merged plan, as shown to people.
    pub pairs: BTreeSet<(String, String)>,
}

/// Everything that needs trust, as it was when it was read: what is shown is what is trusted.
#[derive(Clone, Debug)]
pub struct Review {
    /// The project's file.
    pub project: ProjectFile,
    /// The named files, relative to the project's directory, and the SHA-256 of each.
    pub files: BTreeMap<String, String>,
    /// The same for other files that may run. They depend on the profile that the file extends.
    pub reached: BTreeMap<String, String>,
    /// The words that cannot be tracked, and the directory in which any executable file counts because of them.
    pub unfollowed: BTreeSet<(String, String)>,
    /// Which secret goes to which host.
    pub pairs: BTreeSet<(String, String)>,
    /// Detects later changes of the named files.
    pub trusted_digest: TrustedDigest,
}

impl Review {
    /// Reads everything that is named. A file that cannot be read in full is an error, because it cannot be trusted.
    pub fn read(project: &ProjectFile, named: &Named) -> Result<Self, Diagnostic> {
        if named.files.len() > MAXIMUM_FILES {
            let fault = Diagnostic::nowhere("the project's file names too many files of its repository");
            return Err(fault.help(format!("it names {}, and {MAXIMUM_FILES} are allowed", named.files.len())));
        }
        let document = hex(digest::digest(&digest::SHA256, project.document.text.as_bytes()));
        let trusted_digest = TrustedDigest {
            project: Some((project.path.clone(), document)),
            root: project.root.clone(),
            files: hashes(named.files.iter().cloned(), MAXIMUM_FILE, project)?,
            reached: reached(named, project)?,
            directories: named.directories.keys().cloned().collect(),
        };
        let relative = |path: &Path| relative(path, &project.directory);
        let relatives = |hashes: &BTreeMap<PathBuf, String>| {
            hashes.iter().map(|(path, hash)| (relative(path), hash.clone())).collect()
        };
        let words = named.directories.iter().flat_map(|(path, words)| words.iter().map(move |word| (word, path)));
        Ok(Self {
            project: project.clone(),
            files: relatives(&trusted_digest.files),
            reached: relatives(&trusted_digest.reached),
            unfollowed: words.map(|(word, path)| (word.clone(), directory_name(&relative(path)))).collect(),
            pairs: named.pairs.clone(),
            trusted_digest,
        })
    }

    /// The SHA-256 of all of it, in hexadecimal digits. It does not depend on the location of the repository, so it is
    /// the same for everyone who has the same content.
    pub fn hash(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        // Lengths come first, so that different lists of texts have different hashes.
        let mut add = |text: &str| {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        };
        add("ccrun project 1");
        add(&self.project.document.text);
        let pairs = self.pairs.iter().map(|(secret, host)| (secret, host)).collect();
        for list in [self.files.iter().collect::<Vec<_>>(), self.reached.iter().collect(), pairs] {
            add(&list.len().to_string());
            for (name, value) in list {
                add(name);
                add(value);
            }
        }
        hex(context.finish())
    }
}

/// The digests of the named files at the time they were trusted. A helper runs many times during a session, which may
/// itself have been tricked into changing it. So the digests are checked before each run.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TrustedDigest {
    /// The project's file and its SHA-256, or `None` without a project file.
    project: Option<(PathBuf, String)>,
    /// The root of its checkout.
    root: PathBuf,
    /// Absolute paths, and the SHA-256 of each.
    files: BTreeMap<PathBuf, String>,
    /// The same for other files that may run.
    reached: BTreeMap<PathBuf, String>,
    /// Directories in which any executable file counts. A new one is a change.
    directories: BTreeSet<PathBuf>,
}

impl TrustedDigest {
    /// Returns an error for the first file that has changed.
    pub fn check(&self) -> Result<(), Diagnostic> {
        self.files.iter().try_for_each(|(path, hash)| unchanged(path, hash, MAXIMUM_FILE))?;
        self.reached.iter().try_for_each(|(path, hash)| unchanged(path, hash, MAXIMUM_REACHED))?;
        self.directories.iter().try_for_each(|directory| {
            let found = executables::below(directory, &self.root).map_err(|_| changed(directory))?;
            let new = found.iter().find(|path| !self.reached.contains_key(*path) && !self.files.contains_key(*path));
            new.map_or(Ok(()), |path| Err(changed(path)))
        })
    }
}

/// What was trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The path, for people who read the records.
    path: String,
    /// [`Review::hash`].
    pub hash: String,
    /// When it was trusted.
    pub granted_at: Timestamp,
    /// The project's file.
    pub document: String,
    /// The named files and their hashes.
    pub files: BTreeMap<String, String>,
    /// Other files that may run, and their hashes.
    #[serde(default)]
    pub reached: BTreeMap<String, String>,
    /// Which secret goes to which host.
    pub pairs: BTreeSet<(String, String)>,
}

impl Accepted {
    /// Whether everything in a review was trusted. A secret that no longer goes anywhere, or a file that no longer
    /// runs, does not revoke trust: with another profile of the user, the same project file has others or none.
    fn covers(&self, review: &Review) -> bool {
        self.document == review.project.document.text
            && self.files == review.files
            && review.reached.iter().all(|(path, hash)| self.reached.get(path) == Some(hash))
            && review.pairs.is_subset(&self.pairs)
    }
}

/// Whether a project's file applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Trusted,
    /// It was never trusted.
    Untrusted,
    /// Another version was trusted.
    Changed {
        /// That version.
        accepted: Box<Accepted>,
    },
}

/// The records of what was trusted.
#[derive(Clone, Debug)]
pub struct Trust {
    directory: PathBuf,
}

impl Trust {
    /// The records in a directory, which need not exist.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Whether the file may be trusted in some version. If not, there is no need to find out what it names.
    pub fn is_known(&self, project: &ProjectFile) -> bool {
        self.knows(&project.path)
    }

    fn knows(&self, path: &Path) -> bool {
        self.has(path) || relatives(path).iter().any(|path| self.has(path))
    }

    /// Returns an error if trust was revoked, or if the project's file or a file that it names has changed. To be
    /// called before each unattended run of a command.
    pub fn holds(&self, trusted_digest: &TrustedDigest) -> Result<(), Diagnostic> {
        let Some((path, hash)) = &trusted_digest.project else { return Ok(()) };
        if !self.knows(path) {
            let fault = Diagnostic::nowhere(format!("it is no longer trusted: `{}`", path.display()));
            return Err(fault.help("`ccrun trust` shows the project again"));
        }
        unchanged(path, hash, MAXIMUM_FILE)?;
        trusted_digest.check()
    }

    /// Whether a project's file applies. Trust in one checkout of a repository is valid in the others.
    pub fn verdict(&self, review: &Review) -> Verdict {
        let own = self.accepted(&review.project.path);
        let covers = |accepted: &Accepted| accepted.covers(review);
        if own.as_ref().is_some_and(covers) {
            return Verdict::Trusted;
        }
        let others: Vec<_> = relatives(&review.project.path).iter().filter_map(|path| self.accepted(path)).collect();
        if others.iter().any(covers) {
            return Verdict::Trusted;
        }
        // A new worktree is compared with what was last trusted elsewhere.
        match own.or_else(|| others.into_iter().max_by_key(|accepted| accepted.granted_at)) {
            Some(accepted) => Verdict::Changed { accepted: Box::new(accepted) },
            None => Verdict::Untrusted,
        }
    }

    /// Whether this text of a project's file was trusted, regardless of the files that it names.
    pub fn accepts_text(&self, project: &ProjectFile) -> bool {
        let paths = relatives(&project.path).into_iter().chain([project.path.clone()]);
        let mut accepted = paths.filter_map(|path| self.accepted(&path));
        accepted.any(|accepted| accepted.document == project.document.text)
    }

    /// Trusts a review as it was read, and replaces what was trusted before.
    pub fn grant(&self, review: &Review, now: Timestamp) -> Result<()> {
        let accepted = Accepted {
            path: review.project.path.to_string_lossy().into_owned(),
            hash: review.hash(),
            granted_at: now,
            document: review.project.document.text.clone(),
            files: review.files.clone(),
            reached: review.reached.clone(),
            pairs: review.pairs.clone(),
        };
        let record = self.record(&review.project.path);
        state::private_directory(&self.directory)
            .and_then(|()| Ok(state::write(&record, &serde_json::to_vec_pretty(&accepted)?)?))
            .with_context(|| format!("cannot write to `{}`", self.directory.display()))
    }

    /// Revokes trust in a project's file, here and in the other checkouts of its repository, whose trust would be valid
    /// here. Returns whether there was any. The file itself need not exist.
    pub fn revoke(&self, path: &Path) -> Result<bool> {
        let mut any = false;
        for path in relatives(path).iter().map(PathBuf::as_path).chain([path]) {
            match state::remove(&self.record(path)) {
                Ok(()) => any = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).context("cannot revoke trust"),
            }
        }
        Ok(any)
    }

    /// Whether there is a record for exactly this path.
    pub fn has(&self, path: &Path) -> bool {
        self.record(path).symlink_metadata().is_ok()
    }

    /// What was trusted for exactly this path. An unreadable record grants no trust.
    fn accepted(&self, path: &Path) -> Option<Accepted> {
        let (bytes, _) = bounded::read_foreign(&self.record(path), MAXIMUM_RECORD).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn record(&self, path: &Path) -> PathBuf {
        self.directory.join(hex(digest::digest(&digest::SHA256, path.as_os_str().as_bytes())))
    }
}

/// The same project file in the other checkouts of its repository.
fn relatives(path: &Path) -> Vec<PathBuf> {
    let directory = path.parent().unwrap_or(path);
    let root = repository::checkout(directory).root;
    let Ok(below) = directory.strip_prefix(&root) else { return Vec::new() };
    let below = below.join(FILE_NAME);
    repository::relatives(&root).into_iter().map(|checkout| checkout.join(&below)).collect()
}

/// Other files that may run: those that the merged plan names, and those below directories in which anything may run.
fn reached(named: &Named, project: &ProjectFile) -> Result<BTreeMap<PathBuf, String>, Diagnostic> {
    let mut paths = named.reached.clone();
    for directory in named.directories.keys() {
        let found = executables::below(directory, &project.root).map_err(|reason| {
            let relative = directory_name(&relative(directory, &project.directory));
            let fault = Diagnostic::nowhere(format!("any file below `{relative}` may run, and {reason}"));
            fault.help("name the file to run by its path")
        })?;
        paths.extend(found);
    }
    paths.retain(|path| !named.files.contains(path));
    if paths.len() > MAXIMUM_REACHED_FILES {
        let fault = Diagnostic::nowhere("the project's file may run too many files");
        return Err(fault.help(format!(
            "{} may run, and {MAXIMUM_REACHED_FILES} are allowed; name the file to run by its path",
            paths.len()
        )));
    }
    hashes(paths.into_iter(), MAXIMUM_REACHED, project)
}

/// The hashes of files, each of which has a maximum size.
fn hashes(
    paths: impl Iterator<Item = PathBuf>,
    maximum: u64,
    project: &ProjectFile,
) -> Result<BTreeMap<PathBuf, String>, Diagnostic> {
    let hashed = paths.map(|path| {
        let hash = hash_of_file(&path, maximum).map_err(|reason| {
            let relative = relative(&path, &project.directory);
            let fault = Diagnostic::nowhere(format!("a file that the project's file names {reason}: `{relative}`"));
            fault.help(format!("name a regular file of at most {} MiB by its path", maximum >> 20))
        })?;
        Ok((path, hash))
    });
    hashed.collect()
}

fn unchanged(path: &Path, hash: &str, maximum: u64) -> Result<(), Diagnostic> {
    if hash_of_file(path, maximum).is_ok_and(|found| found == hash) { Ok(()) } else { Err(changed(path)) }
}

fn changed(path: &Path) -> Diagnostic {
    let fault = Diagnostic::nowhere(format!("a trusted file has changed: `{}`", path.display()));
    fault.help("`ccrun trust` shows the project again")
}

fn hash_of_file(path: &Path, maximum: u64) -> Result<String, bounded::Refusal> {
    // A link on the path could be redirected without a change to anything that is read here.
    if path.canonicalize()? != path {
        return Err(bounded::Refusal::Link);
    }
    let (bytes, _) = bounded::read_foreign(path, maximum)?;
    Ok(hex(digest::digest(&digest::SHA256, &bytes)))
}

/// A directory's name for people.
fn directory_name(relative: &str) -> String {
    if relative.is_empty() { ".".to_owned() } else { relative.to_owned() }
}

/// A path relative to a directory that shares its beginning.
fn relative(path: &Path, directory: &Path) -> String {
    let shared = directory.ancestors().find_map(|ancestor| Some((ancestor, path.strip_prefix(ancestor).ok()?)));
    let Some((ancestor, below)) = shared else { return path.to_string_lossy().into_owned() };
    let up = directory.strip_prefix(ancestor).map_or(0, |rest| rest.components().count());
    let relative: PathBuf = std::iter::repeat_n(Component::ParentDir, up).chain(below.components()).collect();
    relative.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
