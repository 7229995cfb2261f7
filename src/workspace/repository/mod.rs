//! The name of a repository and its current branch, read from its files. Git itself is never run, because a
//! repository's own configuration can make it run anything.

mod reftable;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::system::bounded;

/// How many linked worktrees of a repository are read.
const MAXIMUM_WORKTREES: usize = 256;

/// The directory that identifies a project, and its branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkout {
    /// The nearest directory upwards with a `.git`, else the directory itself.
    pub root: PathBuf,
    /// The branch's name; `None` without a repository or on no branch.
    pub branch: Option<String>,
}

/// Searches from a directory upwards.
pub fn checkout(directory: &Path) -> Checkout {
    let root = directory.ancestors().find(|ancestor| ancestor.join(".git").symlink_metadata().is_ok());
    let branch = root.and_then(|root| branch(&git_directory(root)?));
    Checkout { root: root.unwrap_or(directory).to_owned(), branch }
}

/// The same, if the environment names a git directory with `GIT_DIR`, and its files with `GIT_WORK_TREE`. Both may be
/// relative to the directory.
pub fn checkout_by(directory: &Path, git: Option<&Path>, files: Option<&Path>) -> Checkout {
    let Some(git) = git else { return checkout(directory) };
    let root = files.map_or_else(|| directory.to_owned(), |files| directory.join(files));
    Checkout { root, branch: branch(&directory.join(git)) }
}

/// The directory with the checkout's own `HEAD`. In linked worktrees and submodules, `.git` is a file that names it.
fn git_directory(root: &Path) -> Option<PathBuf> {
    let git = root.join(".git");
    match small_file(&git) {
        Some(text) => Some(root.join(text.strip_prefix("gitdir: ")?.trim_end())),
        None => Some(git),
    }
}

/// The current branch, or `None` on no branch, as in the middle of a rebase.
fn branch(git: &Path) -> Option<String> {
    let head = git.join("HEAD");
    // `HEAD` is a link with `core.preferSymlinkRefs`.
    let link = std::fs::read_link(&head).ok().and_then(|target| target.to_str().map(str::to_owned));
    let reference = match link {
        Some(link) => link,
        None => small_file(&head)?.trim_end().strip_prefix("ref: ")?.to_owned(),
    };
    let reference = if reference == STUB { reftable::head(git)? } else { reference };
    reference.strip_prefix("refs/heads/").map(str::to_owned)
}

/// The content of `HEAD` if it is stored elsewhere. It is no valid branch name.
const STUB: &str = "refs/heads/.invalid";

/// The name of the repository with a checkout at `root`: the name of its directory, or of the main checkout's if this
/// is a linked worktree. `None` without a repository.
pub fn repository_name(root: &Path) -> Option<String> {
    root.join(".git").symlink_metadata().ok()?;
    let common = common_directory(root);
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let of_common = common.and_then(|common| {
        let own = name(&common)?;
        // `shop/.git`, `shop/.bare` with worktrees beside it, and the bare `widget.git`.
        if own.starts_with('.') {
            name(common.parent()?)
        } else {
            Some(own.strip_suffix(".git").unwrap_or(&own).to_owned())
        }
    });
    of_common.or_else(|| name(root))
}

/// The other checkouts of the repository of the checkout at `root`: the main one and linked worktrees. Both sides must
/// name each other, so that no checkout can claim to belong to a repository. All paths are without links.
pub fn relatives(root: &Path) -> Vec<PathBuf> {
    let Some(common) = common_directory(root) else { return Vec::new() };
    let main = common.parent().filter(|_| common.ends_with(".git")).map(Path::to_owned);
    let names = std::fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten();
    let linked = names.take(MAXIMUM_WORKTREES).filter_map(|entry| linked_checkout(&common, &entry.file_name()));
    let own = root.canonicalize().ok();
    main.into_iter().chain(linked).filter(|checkout| Some(checkout) != own.as_ref()).collect()
}

/// The directory that all checkouts of a repository share, if it knows the one at `root`.
fn common_directory(root: &Path) -> Option<PathBuf> {
    let git = root.join(".git");
    if git.symlink_metadata().ok()?.is_dir() {
        return git.canonicalize().ok();
    }
    let administration = administration(root)?;
    let common = administration.join(small_file(&administration.join("commondir"))?.trim_end()).canonicalize().ok()?;
    let checkout = linked_checkout(&common, administration.file_name()?)?;
    (checkout == root.canonicalize().ok()?).then_some(common)
}

/// The path of the linked worktree with this name, if the worktree agrees.
fn linked_checkout(common: &Path, name: &OsStr) -> Option<PathBuf> {
    let expected = common.join("worktrees").join(name);
    let git = expected.join(small_file(&expected.join("gitdir"))?.trim_end());
    let checkout = git.parent().filter(|_| git.ends_with(".git"))?.canonicalize().ok()?;
    // Resolve links on both sides: a link to the worktrees of another repository must not make them relatives.
    (administration(&checkout)? == expected).then_some(checkout)
}

/// The directory that a linked worktree's `.git` names.
fn administration(checkout: &Path) -> Option<PathBuf> {
    let text = small_file(&checkout.join(".git"))?;
    checkout.join(text.strip_prefix("gitdir: ")?.trim_end()).canonicalize().ok()
}

/// A regular file of at most 4 KiB, never through a link, a pipe or a device.
fn small_file(path: &Path) -> Option<String> {
    let (bytes, _) = bounded::read_foreign(path, 4096).ok()?;
    String::from_utf8(bytes).ok()
}
