//! Lists Claude Code's sessions on this machine by the names of its files. No transcript is opened.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::system::bounded;

/// The maximum number of directory entries to read.
const MAXIMUM_ENTRIES: usize = 200_000;

/// The maximum size of a running session's file, in bytes.
const MAXIMUM_FILE: u64 = 64 << 10;

/// The ids of sessions whose transcript was last written in a range of Unix milliseconds, and of running sessions.
/// `directory` is Claude Code's configuration directory.
pub fn known_sessions(directory: &Path, since: Option<i64>, until: Option<i64>) -> BTreeSet<String> {
    let mut left = MAXIMUM_ENTRIES;
    let mut found = BTreeSet::new();
    let mut look = |directory: &Path, suffix: &str, each: &mut dyn FnMut(&std::fs::DirEntry, &str)| {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if left == 0 {
                return;
            }
            left -= 1;
            let name = entry.file_name();
            if let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(suffix)) {
                each(&entry, stem);
            }
        }
    };
    let mut projects = Vec::new();
    look(&directory.join("projects"), "", &mut |entry, _| projects.push(entry.path()));
    // A link could lead anywhere.
    for project in projects.iter().filter(|project| !project.is_symlink()) {
        look(project, ".jsonl", &mut |entry, id| {
            if is_id(id) && is_within(entry, since, until) {
                found.insert(id.to_owned());
            }
        });
    }
    look(&directory.join("sessions"), ".json", &mut |entry, _| {
        if !is_within(entry, since, until) {
            return;
        }
        let read = bounded::read_foreign(&entry.path(), MAXIMUM_FILE).ok();
        let session: Option<Value> = read.and_then(|(bytes, _)| serde_json::from_slice(&bytes).ok());
        let id = session.and_then(|session| Some(session["sessionId"].as_str()?.to_owned()));
        // A session without a prompt has used nothing.
        found.extend(id.filter(|id| is_id(id) && has_transcript(&projects, id)));
    });
    found
}

fn has_transcript(projects: &[std::path::PathBuf], id: &str) -> bool {
    projects.iter().any(|project| project.join(format!("{id}.jsonl")).is_file())
}

/// Whether a name is a session's id: a UUID of 36 characters. Subagents' files have other names.
fn is_id(text: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    text.len() == 36
        && text.bytes().enumerate().all(
            |(at, byte)| {
                if dashes.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() }
            },
        )
}

fn is_within(entry: &std::fs::DirEntry, since: Option<i64>, until: Option<i64>) -> bool {
    let Ok(metadata) = entry.metadata() else { return false };
    let written = metadata.modified().ok().map(milliseconds);
    metadata.is_file()
        && written.is_none_or(|at| since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until))
}

fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_recognised_by_the_names_of_transcripts() {
        let home = tempfile::tempdir().unwrap();
        let one = "7a64b203-14d5-4676-b6c2-e55abef40001";
        let two = "7a64b203-14d5-4676-b6c2-e55abef40002";
        let project = home.path().join("projects/-home-me-api");
        std::fs::create_dir_all(project.join(one).join("subagents")).unwrap();
        std::fs::create_dir_all(home.path().join("sessions")).unwrap();
        for name in [&format!("{one}.jsonl"), "agent-1234.jsonl", "notes.txt", &format!("{two}.jsonl.bak")] {
            std::fs::write(project.join(name), "not read").unwrap();
        }
        let running =
            |id: &str| std::fs::write(home.path().join("sessions/12.json"), format!("{{\"sessionId\":\"{id}\"}}"));
        running(two).unwrap();
        assert_eq!(known_sessions(home.path(), None, None), [one.to_owned()].into());
        std::fs::write(project.join(format!("{two}.jsonl")), "").unwrap();
        assert_eq!(known_sessions(home.path(), None, None).len(), 2);
        let file = std::fs::File::options().append(true).open(project.join(format!("{one}.jsonl"))).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(5)).unwrap();
        assert_eq!(known_sessions(home.path(), Some(5000), Some(5001)), [one.to_owned()].into());
        assert_eq!(known_sessions(home.path(), Some(5001), None), [two.to_owned()].into());
        assert!(known_sessions(&home.path().join("nowhere"), None, None).is_empty());
    }
}
