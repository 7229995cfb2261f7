//! What a repository is called and which branch is checked out, read from its files; git itself is never run, for a
//! repository's own configuration can make it run anything.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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

/// A regular file of at most 4 KiB, never through a link, a pipe or a device.
fn small_file(path: &Path) -> Option<String> {
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits()).open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > 4096 {
        return None;
    }
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).ok()?;
    Some(text)
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
}
