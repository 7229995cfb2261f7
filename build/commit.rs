// Finds out the commit of the sources. A test includes this file, so it has no inner attributes.

use std::path::Path;
use std::process::Command;

/// How many digits of a commit are shown.
const DIGITS: usize = 12;

/// The commit of these sources: of a packed crate, or of the git repository that they are.
pub(super) fn commit(root: &Path) -> Option<String> {
    match std::fs::read_to_string(root.join(".cargo_vcs_info.json")) {
        Ok(info) => packed(&info),
        Err(_) => git(root, &["rev-parse", "HEAD"]).map(|commit| short(&commit)),
    }
}

/// The commit in the file that `cargo package` writes.
fn packed(info: &str) -> Option<String> {
    let commit = info.split("\"sha1\": \"").nth(1)?.split('"').next()?;
    let is_commit = commit.len() >= DIGITS && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let changed = if info.contains("\"dirty\": true") { "-modified" } else { "" };
    is_commit.then(|| short(commit) + changed)
}

fn short(commit: &str) -> String {
    commit.chars().take(DIGITS).collect()
}

/// The files that change with the commit.
pub(super) fn watched(root: &Path) -> Vec<String> {
    let path = |name| git(root, &["rev-parse", "--git-path", name]).map(|path| root.join(path));
    let files = ["HEAD", "logs/HEAD"].into_iter().filter_map(path);
    // Cargo would run this script each time because of a file that does not exist.
    files.filter(|path| path.exists()).map(|path| path.display().to_string()).collect()
}

/// What git says about these sources. `None` without git, and for sources that are somewhere in another repository.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let ask = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    ask(&["rev-parse", "--show-prefix"]).filter(String::is_empty)?;
    ask(arguments).filter(|said| !said.is_empty())
}
