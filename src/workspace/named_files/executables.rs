//! Every executable file below a directory of the repository.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How many directory entries are read: a repository must not delay a launch.
const MAXIMUM_ENTRIES: usize = 20_000;

/// Finds them, including those that links within the repository lead to. Git's own directory is left out, because a
/// checkout puts nothing there.
pub(in crate::workspace) fn below(directory: &Path, root: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::from([directory.to_owned()]);
    let mut waiting = vec![directory.to_owned()];
    let mut left = MAXIMUM_ENTRIES;
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory)? {
            left = left.checked_sub(1).ok_or_else(too_many)?;
            let Some(path) = path(&entry?, root)? else { continue };
            let metadata = fs::metadata(&path)?;
            if metadata.is_dir() && seen.insert(path.clone()) {
                waiting.push(path);
            } else if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
                found.insert(path);
            }
        }
    }
    Ok(found)
}

/// The path of an entry without links, or `None` if it is outside the repository or dangling.
fn path(entry: &DirEntry, root: &Path) -> io::Result<Option<PathBuf>> {
    if entry.file_name() == ".git" {
        return Ok(None);
    }
    if !entry.file_type()?.is_symlink() {
        return Ok(Some(entry.path()));
    }
    match entry.path().canonicalize() {
        Ok(path) => Ok(Some(path).filter(|path| path.starts_with(root))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn too_many() -> io::Error {
    io::Error::other(format!("it holds more than {MAXIMUM_ENTRIES} entries"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_executable_below_is_found_through_links_too() {
        let keep = tempfile::tempdir().unwrap();
        let root = keep.path().canonicalize().unwrap();
        for (file, mode) in
            [("a/x", 0o755), ("a/b/y", 0o711), ("a/text", 0o644), ("c/z", 0o755), ("a/.git/hook", 0o755), ("d", 0o755)]
        {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), "").unwrap();
            fs::set_permissions(root.join(file), fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink("../c", root.join("a/c")).unwrap();
        symlink("../../a", root.join("a/b/round")).unwrap();
        symlink("/bin/sh", root.join("a/elsewhere")).unwrap();
        symlink("nowhere", root.join("a/dangling")).unwrap();
        let found = below(&root.join("a"), &root).unwrap();
        assert_eq!(found, ["a/x", "a/b/y", "c/z"].map(|file| root.join(file)).into());
    }

    #[test]
    fn a_directory_with_too_many_entries_is_refused() {
        let keep = tempfile::tempdir().unwrap();
        assert!(below(&keep.path().join("none"), keep.path()).is_err());
        for number in 0..=MAXIMUM_ENTRIES {
            fs::write(keep.path().join(number.to_string()), "").unwrap();
        }
        assert!(below(keep.path(), keep.path()).unwrap_err().to_string().contains("more than 20000"));
    }
}
