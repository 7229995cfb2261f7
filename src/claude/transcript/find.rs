//! Which transcripts there are. Only regular files count, and no link is followed: a directory that others write to could
//! lead anywhere.

use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// How deep below a given directory transcripts are looked for: `projects/PROJECT/SESSION/subagents/…/agent-ID.jsonl`.
const DEEPEST: usize = 7;

/// How many entries of directories are looked at, all together.
const MOST: usize = 2_000_000;

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The sessions' transcripts, those written to last at the end: a fork comes after the session that it copied.
    pub transcripts: Vec<Transcript>,
    /// What was passed over.
    pub skipped: Skipped,
}

/// How much was passed over, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Links.
    pub links: u64,
    /// Devices, pipes and sockets.
    pub irregular: u64,
    /// Files and directories that cannot be read.
    pub unreadable: u64,
    /// What lies too deep, or is too much.
    pub beyond: u64,
}

/// The files of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// The session's id by the files' names; empty where they do not say it.
    pub session: String,
    /// The session's own file; none where only subagents' are left.
    pub main: Option<PathBuf>,
    /// Those of its subagents.
    pub agents: Vec<PathBuf>,
    /// All together, in bytes.
    pub size: u64,
    /// When the last of them was written to, in Unix milliseconds.
    pub modified: i64,
}

impl Transcript {
    /// All of its files, its own first.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.main.iter().chain(&self.agents).map(PathBuf::as_path)
    }
}

/// Finds transcripts in directories. Files that are named themselves may have any name.
pub fn find(paths: &[PathBuf]) -> Found {
    let mut search = Search::default();
    for path in paths {
        // What a person names may be a link.
        match path.canonicalize().and_then(|path| Ok((path.metadata()?, path))) {
            Ok((metadata, path)) if metadata.is_dir() => search.directory(&path, 0),
            Ok((metadata, path)) => search.file(&path, &metadata, true),
            Err(_) => search.skipped.unreadable += 1,
        }
    }
    let mut transcripts: Vec<_> = search.sessions.into_values().collect();
    transcripts.sort_by(|one, other| (one.modified, &one.session).cmp(&(other.modified, &other.session)));
    Found { transcripts, skipped: search.skipped }
}

#[derive(Default)]
struct Search {
    sessions: BTreeMap<(PathBuf, String), Transcript>,
    skipped: Skipped,
    seen: usize,
}

impl Search {
    fn directory(&mut self, directory: &Path, depth: usize) {
        let Ok(entries) = fs::read_dir(directory) else {
            self.skipped.unreadable += 1;
            return;
        };
        for entry in entries {
            self.seen += 1;
            if self.seen > MOST {
                self.skipped.beyond += 1;
                return;
            }
            match entry.and_then(|entry| self.entry(&entry, depth)) {
                Ok(()) => {}
                Err(_) => self.skipped.unreadable += 1,
            }
        }
    }

    fn entry(&mut self, entry: &DirEntry, depth: usize) -> io::Result<()> {
        let kind = entry.file_type()?;
        let path = entry.path();
        let is_one = path.extension().is_some_and(|extension| extension == "jsonl");
        if kind.is_dir() {
            if depth < DEEPEST {
                self.directory(&path, depth + 1);
            } else {
                self.skipped.beyond += 1;
            }
        } else if kind.is_symlink() {
            self.skipped.links += 1;
        } else if !kind.is_file() {
            self.skipped.irregular += 1;
        } else if is_one && named(&path).is_some() {
            self.file(&path, &entry.metadata()?, false);
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, metadata: &fs::Metadata, is_given: bool) {
        if !metadata.is_file() {
            self.skipped.irregular += 1;
            return;
        }
        let Some((session, is_agent)) = named(path).or(is_given.then(|| (String::new(), false))) else { return };
        // Files that do not say their session stand alone.
        let place = if session.is_empty() { path } else { path.parent().unwrap_or(path) };
        let place = if session.is_empty() || !is_agent { place.to_owned() } else { project(path) };
        let transcript = self.sessions.entry((place, session.clone())).or_default();
        transcript.session = session;
        if is_agent {
            transcript.agents.push(path.to_owned());
        } else {
            transcript.main = Some(path.to_owned());
        }
        let modified = metadata.modified().ok().and_then(|modified| modified.duration_since(UNIX_EPOCH).ok());
        let modified = modified.and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or_default();
        transcript.modified = transcript.modified.max(modified);
        transcript.size += metadata.len();
    }
}

/// The session that a file's name tells, and whether it is a subagent's: `SESSION.jsonl`, `SESSION/…/agent-ID.jsonl`, and
/// `agent-ID.jsonl` beside the sessions, which older versions wrote and which does not say its session.
fn named(path: &Path) -> Option<(String, bool)> {
    let stem = path.file_stem()?.to_str()?;
    if stem.starts_with("agent-") {
        let above = path.ancestors().skip(1).filter_map(|above| above.file_name()?.to_str());
        let session = above.take(DEEPEST).find(|name| is_id(name));
        return Some((session.unwrap_or_default().to_owned(), true));
    }
    is_id(stem).then(|| (stem.to_owned(), false))
}

/// The directory of the project that a subagent's file belongs to.
fn project(path: &Path) -> PathBuf {
    let above = path.ancestors().find(|above| above.file_name().and_then(|name| name.to_str()).is_some_and(is_id));
    above.and_then(Path::parent).unwrap_or(path).to_owned()
}

/// Whether it is a UUID.
fn is_id(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const ONE: &str = "b1d46c1a-4a4d-4fb5-af16-ea19d65fe751";

    fn write(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "{}\n").unwrap();
    }

    #[test]
    fn only_sessions_and_their_subagents_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let project = root.join("projects/-a");
        write(&project.join(format!("{ONE}.jsonl")));
        write(&project.join(format!("{ONE}/subagents/agent-a1.jsonl")));
        write(&project.join(format!("{ONE}/subagents/workflows/w/agent-a2.jsonl")));
        write(&project.join(format!("{ONE}/subagents/agent-a1.meta.json")));
        write(&project.join("agent-old.jsonl"));
        write(&root.join("history.jsonl"));
        let found = find(std::slice::from_ref(&root)).transcripts;
        let [old, one] = &found[..] else { panic!("{found:?}") };
        let (old, one) = if old.session.is_empty() { (old, one) } else { (one, old) };
        assert_eq!((old.files().count(), one.files().count(), one.session.as_str()), (1, 3, ONE));
        let given = project.join("agent-old.jsonl");
        assert_eq!(find(&[given, root.join("history.jsonl")]).transcripts.len(), 2);
    }

    #[test]
    fn links_devices_and_loops_are_skipped() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let project = root.join("projects/-a");
        write(&project.join(format!("{ONE}.jsonl")));
        symlink(root, project.join("round")).unwrap();
        symlink("/dev/zero", project.join("00000000-0000-0000-0000-000000000000.jsonl")).unwrap();
        nix::unistd::mkfifo(&project.join("00000000-0000-0000-0000-000000000001.jsonl"), nix::sys::stat::Mode::S_IRWXU)
            .unwrap();
        let deep = (0..20).fold(root.to_owned(), |path, _| path.join("d"));
        write(&deep.join(format!("{ONE}.jsonl")));
        let found = find(&[root.to_owned(), root.join("missing")]);
        assert_eq!(found.transcripts.len(), 1);
        assert_eq!(found.skipped, Skipped { links: 2, irregular: 1, unreadable: 1, beyond: 1 });
    }
}
