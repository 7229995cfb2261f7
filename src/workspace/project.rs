//! The project's own file: the nearest `.ccrun.toml` upwards, treated as untrusted input.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::profile::entries::entries;
use crate::profile::{Diagnostic, Document, tree};
use crate::system::bounded;

/// The name of a project's file.
pub const FILE_NAME: &str = ".ccrun.toml";

/// Its maximum size, in bytes.
const MAXIMUM_SIZE: u64 = 256 * 1024;

/// A project's file with the text that was read. Trust applies to this text, not to the current content of the file.
#[derive(Clone, Debug)]
pub struct ProjectFile {
    /// Its absolute path without links.
    pub path: PathBuf,
    /// The directory that it is in.
    pub directory: PathBuf,
    /// The root of its checkout, or its own directory if there is none.
    pub root: PathBuf,
    /// What it says.
    pub document: Arc<Document>,
}

impl ProjectFile {
    /// The keyring entries that it names itself.
    pub fn keyring_entries(&self) -> BTreeSet<String> {
        tree::parse(&self.document).map(|root| entries(&root)).unwrap_or_default()
    }
}

/// The nearest project file from a directory upwards, within the same file system and below the home directory. A
/// nearest file that cannot be used hides those above it, as it was meant to.
pub fn find(directory: &Path, home: &Path) -> Result<Option<ProjectFile>, Diagnostic> {
    let reach = reach(directory, home);
    for (at, directory) in reach.iter().enumerate() {
        let path = directory.join(FILE_NAME);
        let Some(text) = read(&path)? else { continue };
        let root = root(&reach[at..]).unwrap_or(directory).to_owned();
        let document = Arc::new(Document { label: path.display().to_string(), text });
        return Ok(Some(ProjectFile { path, directory: directory.clone(), root, document }));
    }
    Ok(None)
}

/// The directories from this one upwards that may belong to a project, without links. None is at or above the home
/// directory, or on another file system.
pub fn reach(directory: &Path, home: &Path) -> Vec<PathBuf> {
    // A path that cannot be resolved, because a parent directory is not searchable, is used as it is.
    let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (directory, home) = (canonical(directory), canonical(home));
    let device = |path: &Path| path.metadata().ok().map(|metadata| metadata.dev());
    let start = device(&directory);
    let ancestors = directory.ancestors().take_while(|ancestor| **ancestor != home && device(ancestor) == start);
    ancestors.map(Path::to_owned).collect()
}

/// The root of the project of a directory, without links: that of its checkout, else the directory of the project's
/// file.
pub fn root_of(directory: &Path, home: &Path) -> Option<PathBuf> {
    let reach = reach(directory, home);
    let has_file = |directory: &&PathBuf| directory.join(FILE_NAME).symlink_metadata().is_ok();
    root(&reach).or_else(|| reach.iter().find(has_file)).cloned()
}

/// The root of the checkout among directories that lead upwards.
pub fn root(directories: &[PathBuf]) -> Option<&PathBuf> {
    directories.iter().find(|directory| directory.join(".git").symlink_metadata().is_ok())
}

/// The file's text, or `None` if there is no file.
fn read(path: &Path) -> Result<Option<String>, Diagnostic> {
    // The reason precedes the path, which may be too long to be shown in full.
    let unusable = |reason: &str| Diagnostic::nowhere(format!("the project's file {reason}: `{}`", path.display()));
    let (bytes, metadata) = match bounded::read_foreign(path, MAXIMUM_SIZE) {
        Ok(found) => found,
        // Nothing is there, or nothing that is visible.
        Err(_) if path.symlink_metadata().is_err() => return Ok(None),
        Err(refusal) => return Err(unusable(&refusal.to_string()).help("it must be a regular file of at most 256 KiB")),
    };
    if ![0, nix::unistd::geteuid().as_raw()].contains(&metadata.uid()) {
        return Err(unusable("belongs to another user").help("only files of you and root are read"));
    }
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
        unusable(&format!("is not UTF-8 in line {line}"))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    /// A home directory without links, with a project in it.
    fn home() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().canonicalize().unwrap();
        fs::create_dir_all(home.join("project/below")).unwrap();
        (directory, home)
    }

    /// The error for a project's file that cannot be used.
    fn refused(home: &Path) -> String {
        find(&home.join("project/below"), home).unwrap_err().to_string()
    }

    #[test]
    fn the_nearest_file_upwards_is_found() {
        let (_keep, home) = home();
        let (project, below) = (home.join("project"), home.join("project/below"));
        assert!(find(&below, &home).unwrap().is_none());
        fs::write(project.join(FILE_NAME), "a = 1\n").unwrap();
        let found = find(&below, &home).unwrap().unwrap();
        assert_eq!((&found.path, &found.directory, &found.root), (&project.join(FILE_NAME), &project, &project));
        assert_eq!(found.document.text, "a = 1\n");
        assert_eq!(found.document.label, project.join(FILE_NAME).display().to_string());

        assert_eq!(root_of(&below, &home).unwrap(), project);

        fs::write(below.join(FILE_NAME), "").unwrap();
        assert_eq!(root_of(&below, &home).unwrap(), below);
        fs::create_dir(project.join(".git")).unwrap();
        let found = find(&below, &home).unwrap().unwrap();
        assert_eq!((&found.directory, &found.root), (&below, &project));

        assert_eq!(root_of(&below, &home).unwrap(), project);
        assert_eq!(root_of(&home, &home), None);

        // The file is the same by any path.
        symlink(&project, home.join("link")).unwrap();
        assert_eq!(find(&home.join("link/below"), &home).unwrap().unwrap().path, found.path);
    }

    #[test]
    fn nothing_at_or_above_the_home_directory_is_read() {
        let (_keep, above) = home();
        let home = above.join("project");
        fs::write(above.join(FILE_NAME), "").unwrap();
        fs::write(home.join(FILE_NAME), "").unwrap();
        assert!(find(&home.join("below"), &home).unwrap().is_none());
        assert!(find(&home, &home).unwrap().is_none());
        // Nor through a link to it, nor for a checkout that contains the whole home directory.
        symlink(&home, above.join("link")).unwrap();
        assert!(find(&home.join("below"), &above.join("link")).unwrap().is_none());
        fs::create_dir(home.join(".git")).unwrap();
        fs::write(home.join("below").join(FILE_NAME), "").unwrap();
        assert_eq!(find(&home.join("below"), &home).unwrap().unwrap().root, home.join("below"));
        // A home directory elsewhere is no boundary.
        assert_eq!(find(&home, &home.join("below")).unwrap().unwrap().directory, home);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn another_file_system_is_not_searched() {
        // Where `/proc` exists, it is another file system than its parent.
        assert_eq!(reach(Path::new("/proc/self/fd"), Path::new("/nowhere")).last().unwrap(), Path::new("/proc"));
    }

    #[test]
    fn only_a_regular_file_is_read() {
        let (_keep, home) = home();
        let path = home.join("project").join(FILE_NAME);
        symlink("/dev/zero", &path).unwrap();
        assert!(refused(&home).contains("the project's file is a link, which is never followed: `"));
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(refused(&home).contains("is not a regular file"));
        fs::remove_file(&path).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(refused(&home).contains("is not a regular file"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(refused(&home).contains("is not a regular file"));
    }

    #[test]
    fn only_text_up_to_a_limit_is_read() {
        let (_keep, home) = home();
        let path = home.join("project").join(FILE_NAME);
        fs::write(&path, "#".repeat(256 * 1024)).unwrap();
        assert!(find(&home.join("project"), &home).unwrap().is_some());
        fs::write(&path, "#".repeat(256 * 1024 + 1)).unwrap();
        assert!(refused(&home).contains("is larger than 256 KiB"));
        fs::write(&path, b"a = 1\n# \xff\n").unwrap();
        assert!(refused(&home).contains("is not UTF-8 in line 2"));
    }

    #[test]
    fn another_users_file_is_not_read() {
        if !nix::unistd::geteuid().is_root() {
            // Only root can give files away.
            return;
        }
        let (_keep, home) = home();
        let path = home.join("project").join(FILE_NAME);
        fs::write(&path, "").unwrap();
        chown(&path, Some(12345), None).unwrap();
        assert!(refused(&home).contains("belongs to another user"));
    }

    #[test]
    fn control_characters_in_a_path_are_escaped() {
        let (_keep, home) = home();
        let directory = home.join("project/\u{1b}[31m\u{202e}");
        fs::create_dir(&directory).unwrap();
        fs::create_dir(directory.join(FILE_NAME)).unwrap();
        let said = find(&directory, &home).unwrap_err().to_string();
        assert!(said.contains("\\u{1b}[31m\\u{202e}"), "{said}");
    }
}
