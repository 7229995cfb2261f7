//! The project's own file: the nearest `.ccrun.toml` upwards, read as what a stranger may have put there.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::Diagnostic;
use super::document::Document;
use super::entries::entries;
use super::tree;
use crate::bounded;

/// What a project's file is called.
pub const FILE_NAME: &str = ".ccrun.toml";

/// How large it may be, in bytes.
const MAXIMUM_SIZE: u64 = 256 * 1024;

/// A project's file, as it was when it was read. What is trusted is this text, and never what stands there later.
#[derive(Clone, Debug)]
pub struct ProjectFile {
    /// Its absolute path, free of links.
    pub path: PathBuf,
    /// The directory that it is in.
    pub directory: PathBuf,
    /// The root of the checkout it belongs to; its own directory where there is none.
    pub root: PathBuf,
    /// What it says.
    pub document: Arc<Document>,
}

impl ProjectFile {
    /// The entries of the keyring that it names itself.
    pub fn keyring_entries(&self) -> BTreeSet<String> {
        tree::parse(&self.document).map(|root| entries(&root)).unwrap_or_default()
    }
}

/// The nearest project's file from a directory upwards, as far as the home directory, which is not looked in, and the
/// file system reach. A nearest file that cannot be used hides those above it, for it was meant to.
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

/// The directories from this one upwards that may hold what belongs to a project, without links: none at or above the
/// home directory, none on another file system.
pub fn reach(directory: &Path, home: &Path) -> Vec<PathBuf> {
    // A path that cannot be resolved, for a directory above it cannot be searched, is taken as it is.
    let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (directory, home) = (canonical(directory), canonical(home));
    let device = |path: &Path| path.metadata().ok().map(|metadata| metadata.dev());
    let start = device(&directory);
    let ancestors = directory.ancestors().take_while(|ancestor| **ancestor != home && device(ancestor) == start);
    ancestors.map(Path::to_owned).collect()
}

/// The root of the project that a directory belongs to, without links: that of its checkout, else where the project's
/// file is.
pub fn root_of(directory: &Path, home: &Path) -> Option<PathBuf> {
    let reach = reach(directory, home);
    let has_file = |directory: &&PathBuf| directory.join(FILE_NAME).symlink_metadata().is_ok();
    root(&reach).or_else(|| reach.iter().find(has_file)).cloned()
}

/// The root of the checkout among directories that follow each other upwards.
pub fn root(directories: &[PathBuf]) -> Option<&PathBuf> {
    directories.iter().find(|directory| directory.join(".git").symlink_metadata().is_ok())
}

/// The file's text; nothing where there is none.
fn read(path: &Path) -> Result<Option<String>, Diagnostic> {
    // The reason stands before the path, which may be too long to be shown whole.
    let unusable = |reason: &str| Diagnostic::nowhere(format!("the project's file {reason}: `{}`", path.display()));
    let (bytes, metadata) = match bounded::read_foreign(path, MAXIMUM_SIZE) {
        Ok(found) => found,
        // Nothing is there, or nothing that can be seen from here.
        Err(_) if path.symlink_metadata().is_err() => return Ok(None),
        Err(refusal) => return Err(unusable(&refusal.to_string()).help("it is a file of its own, up to 256 KiB")),
    };
    if ![0, nix::unistd::geteuid().as_raw()].contains(&metadata.uid()) {
        return Err(unusable("belongs to another user").help("only yours and root's are read"));
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

    /// A home directory, free of links, with a project in it.
    fn home() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().canonicalize().unwrap();
        fs::create_dir_all(home.join("project/below")).unwrap();
        (directory, home)
    }

    /// What is said of a project's file that cannot be used.
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

        // However one got there, it is the same file.
        symlink(&project, home.join("link")).unwrap();
        assert_eq!(find(&home.join("link/below"), &home).unwrap().unwrap().path, found.path);
    }

    #[test]
    fn nothing_at_or_above_the_home_directory_is_looked_at() {
        let (_keep, above) = home();
        let home = above.join("project");
        fs::write(above.join(FILE_NAME), "").unwrap();
        fs::write(home.join(FILE_NAME), "").unwrap();
        assert!(find(&home.join("below"), &home).unwrap().is_none());
        assert!(find(&home, &home).unwrap().is_none());
        // Nor through a link to it, nor for a checkout that holds the whole home.
        symlink(&home, above.join("link")).unwrap();
        assert!(find(&home.join("below"), &above.join("link")).unwrap().is_none());
        fs::create_dir(home.join(".git")).unwrap();
        fs::write(home.join("below").join(FILE_NAME), "").unwrap();
        assert_eq!(find(&home.join("below"), &home).unwrap().unwrap().root, home.join("below"));
        // A home that is elsewhere bounds nothing.
        assert_eq!(find(&home, &home.join("below")).unwrap().unwrap().directory, home);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn another_file_system_is_not_looked_at() {
        // `/proc` is one wherever there is one, and what holds it is another.
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
        assert!(refused(&home).contains("is no regular file"));
        fs::remove_file(&path).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(refused(&home).contains("is no regular file"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(refused(&home).contains("is no regular file"));
    }

    #[test]
    fn only_so_much_of_only_text_is_read() {
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
    fn a_strangers_file_is_not_read() {
        if !nix::unistd::geteuid().is_root() {
            // Nobody else can give a file away.
            return;
        }
        let (_keep, home) = home();
        let path = home.join("project").join(FILE_NAME);
        fs::write(&path, "").unwrap();
        chown(&path, Some(12345), None).unwrap();
        assert!(refused(&home).contains("belongs to another user"));
    }

    #[test]
    fn a_path_acts_on_no_terminal() {
        let (_keep, home) = home();
        let directory = home.join("project/\u{1b}[31m\u{202e}");
        fs::create_dir(&directory).unwrap();
        fs::create_dir(directory.join(FILE_NAME)).unwrap();
        let said = find(&directory, &home).unwrap_err().to_string();
        assert!(said.contains("\\u{1b}[31m\\u{202e}"), "{said}");
    }
}
