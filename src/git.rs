//! What a repository is called and which branch is checked out, read from its files; git itself is never run, for a
//! repository's own configuration can make it run anything.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::bounded;

/// How many linked worktrees of a repository are looked at.
const MAXIMUM_WORKTREES: usize = 256;

/// The directory that a project is known by, and its branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkout {
    /// The nearest directory upwards that holds `.git`, else the directory itself.
    pub root: PathBuf,
    /// The branch's name; `None` without a repository or on no branch.
    pub branch: Option<String>,
}

/// Looks from a directory upwards.
pub fn checkout(directory: &Path) -> Checkout {
    let root = directory.ancestors().find(|ancestor| ancestor.join(".git").symlink_metadata().is_ok());
    let branch = root.and_then(|root| {
        let git = root.join(".git");
        // In a linked worktree `.git` is a file that names the directory.
        let git = match small_file(&git) {
            Some(text) => root.join(text.strip_prefix("gitdir: ")?.trim_end()),
            None => git,
        };
        let head = small_file(&git.join("HEAD"))?;
        Some(head.trim_end().strip_prefix("ref: refs/heads/")?.to_owned())
    });
    Checkout { root: root.unwrap_or(directory).to_owned(), branch }
}

/// What the repository is called whose checkout is at `root`: its directory's name, that of the main checkout where
/// this is a linked worktree of it. None where there is no repository.
pub fn repository_name(root: &Path) -> Option<String> {
    root.join(".git").symlink_metadata().ok()?;
    let common = common_directory(root).filter(|common| common.ends_with(".git"));
    let main = common.as_deref().and_then(Path::parent).unwrap_or(root);
    Some(main.file_name()?.to_string_lossy().into_owned())
}

/// The other checkouts of the repository that the checkout at `root` belongs to: the main one, and linked worktrees.
/// Each pair names each other, so that no checkout gets in by a claim of its own. All paths are free of links.
pub fn relatives(root: &Path) -> Vec<PathBuf> {
    let Some(common) = common_directory(root) else { return Vec::new() };
    let main = common.parent().filter(|_| common.ends_with(".git")).map(Path::to_owned);
    let names = std::fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten();
    let linked = names.take(MAXIMUM_WORKTREES).filter_map(|entry| linked_checkout(&common, &entry.file_name()));
    let own = root.canonicalize().ok();
    main.into_iter().chain(linked).filter(|checkout| Some(checkout) != own.as_ref()).collect()
}

/// The directory that all checkouts of a repository share, if the one at `root` is known there.
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

/// Where the linked worktree of a name is, if it, too, says that it is that.
fn linked_checkout(common: &Path, name: &OsStr) -> Option<PathBuf> {
    let expected = common.join("worktrees").join(name);
    let git = expected.join(small_file(&expected.join("gitdir"))?.trim_end());
    let checkout = git.parent().filter(|_| git.ends_with(".git"))?.canonicalize().ok()?;
    // Free of links on both sides: a link to the worktrees of another repository makes them nobody's own.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_read_from_a_checkout_and_from_a_worktree() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("repository");
        std::fs::create_dir_all(root.join(".git/worktrees/w")).unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join(".git/HEAD"), "ref: refs/heads/feature/x\n").unwrap();
        assert_eq!(checkout(&root.join("a/b")), Checkout { root: root.clone(), branch: Some("feature/x".into()) });

        let linked = directory.path().join("linked");
        std::fs::create_dir(&linked).unwrap();
        std::fs::write(root.join(".git/worktrees/w/HEAD"), "ref: refs/heads/w\n").unwrap();
        std::fs::write(linked.join(".git"), "gitdir: ../repository/.git/worktrees/w\n").unwrap();
        assert_eq!(checkout(&linked).branch.as_deref(), Some("w"));
    }

    #[test]
    fn a_link_to_a_device_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join(".git")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", directory.path().join(".git/HEAD")).unwrap();
        assert_eq!(checkout(directory.path()).branch, None);
    }

    /// A repository `main` with a linked worktree `linked`, as git lays them out.
    fn linked(directory: &Path) -> (PathBuf, PathBuf) {
        let (main, linked) = (directory.join("main"), directory.join("linked"));
        let administration = main.join(".git/worktrees/w");
        std::fs::create_dir_all(&administration).unwrap();
        std::fs::create_dir(&linked).unwrap();
        std::fs::write(linked.join(".git"), format!("gitdir: {}\n", administration.display())).unwrap();
        std::fs::write(administration.join("gitdir"), format!("{}\n", linked.join(".git").display())).unwrap();
        std::fs::write(administration.join("commondir"), "../..\n").unwrap();
        (main, linked)
    }

    fn canonical() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap();
        (directory, path)
    }

    #[test]
    fn the_checkouts_of_a_repository_know_each_other() {
        let (_keep, directory) = canonical();
        let (main, linked) = linked(&directory);
        assert_eq!(
            (repository_name(&main).as_deref(), repository_name(&linked).as_deref()),
            (Some("main"), Some("main"))
        );
        assert_eq!(repository_name(&directory), None);
        assert_eq!(relatives(&main), std::slice::from_ref(&linked));
        assert_eq!(relatives(&linked), std::slice::from_ref(&main));
        assert_eq!(relatives(&directory), [] as [PathBuf; 0]);

        // As git 2.48 writes them if asked to.
        std::fs::write(linked.join(".git"), "gitdir: ../main/.git/worktrees/w\n").unwrap();
        std::fs::write(main.join(".git/worktrees/w/gitdir"), "../../../../linked/.git\n").unwrap();
        assert_eq!(relatives(&linked), [main]);
    }

    #[test]
    fn a_forged_claim_makes_no_relative() {
        let (_keep, directory) = canonical();
        let (main, linked) = linked(&directory);
        let forged = directory.join("forged");
        std::fs::create_dir(&forged).unwrap();

        // It names a worktree's place in the repository, where another checkout is known.
        std::fs::copy(linked.join(".git"), forged.join(".git")).unwrap();
        assert_eq!(relatives(&forged), [] as [PathBuf; 0]);

        // It brings such a place of its own, which says that it belongs to the repository.
        let own = forged.join("own");
        std::fs::create_dir(&own).unwrap();
        std::fs::write(forged.join(".git"), "gitdir: own\n").unwrap();
        std::fs::write(own.join("gitdir"), "../.git\n").unwrap();
        std::fs::write(own.join("commondir"), main.join(".git").to_str().unwrap()).unwrap();
        assert_eq!(relatives(&forged), [] as [PathBuf; 0]);

        // It passes for a repository that has the other's worktrees, by name and by a link.
        std::fs::remove_file(forged.join(".git")).unwrap();
        std::fs::create_dir_all(forged.join(".git/worktrees/w")).unwrap();
        let pointer = std::fs::read(main.join(".git/worktrees/w/gitdir")).unwrap();
        std::fs::write(forged.join(".git/worktrees/w/gitdir"), pointer).unwrap();
        assert_eq!(relatives(&forged), [] as [PathBuf; 0]);
        std::fs::remove_dir_all(forged.join(".git/worktrees")).unwrap();
        std::os::unix::fs::symlink(main.join(".git/worktrees"), forged.join(".git/worktrees")).unwrap();
        assert_eq!(relatives(&forged), [] as [PathBuf; 0]);
        std::fs::remove_dir_all(forged.join(".git")).unwrap();
        std::os::unix::fs::symlink(main.join(".git"), forged.join(".git")).unwrap();
        assert_eq!(relatives(&forged), [] as [PathBuf; 0]);

        // And the real ones still know each other alone.
        assert_eq!(relatives(&main), [linked]);
    }
}
