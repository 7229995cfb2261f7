//! Programs that turn out to run `ccrun` again: a shim named `claude` on the PATH, a function in a script.
//!
//! Every launch leaves word in the environment of which process exec'ed which file. Without it a shim would exec
//! `ccrun`, which would exec the shim, for ever, with a collector for each round.

use std::fmt;
use std::path::Path;

use crate::surroundings::Identity;

/// The variable that carries it.
pub const VARIABLE: &str = "CCRUN_SENTINEL";

/// How often one file may start itself through processes of their own: a session in a session in a session is rare,
/// and a shim that does not exec would fork for ever.
const MAXIMUM_DEPTH: u32 = 8;

/// Which process exec'ed which files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentinel {
    pid: i32,
    /// How many launches of the same file stand around this one.
    depth: u32,
    /// What the process exec'ed so far, the last one last.
    files: Vec<Identity>,
}

/// What is about to be launched, in the light of what was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch {
    /// A session of its own, with word for the next.
    Session(Sentinel),
    /// This very process exec'ed that file already: it ran `ccrun` again, and the session that began then stands.
    Again(Sentinel),
    /// The file starts itself without end.
    Endless,
}

impl Sentinel {
    /// Reads what an outer launch has left; what cannot be read was left by nobody.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (pid, depth) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let files = words.map(|word| {
            let (device, inode) = word.split_once(':')?;
            Some((device.parse().ok()?, inode.parse().ok()?))
        });
        Some(Self { pid, depth, files: files.collect::<Option<_>>()? })
    }

    /// Judges the launch of a file by the process `pid`. Only of Claude Code are there shims that pass on what they are
    /// given: a shell that execs a shell means another session.
    pub fn judge(outer: Option<&Self>, pid: i32, file: Identity, is_claude: bool) -> Launch {
        let fresh = |depth| Launch::Session(Self { pid, depth, files: vec![file] });
        match outer {
            Some(outer) if is_claude && outer.pid == pid && outer.files.contains(&file) => Launch::Again(outer.clone()),
            Some(outer) if outer.files.last() != Some(&file) => fresh(0),
            Some(outer) if outer.depth >= MAXIMUM_DEPTH => Launch::Endless,
            Some(outer) => fresh(outer.depth + 1),
            None => fresh(0),
        }
    }

    /// Whether the process has exec'ed this file already.
    pub fn has_seen(&self, path: &Path) -> bool {
        crate::surroundings::identity(path).is_some_and(|file| self.files.contains(&file))
    }

    /// The same word, with one file more.
    #[must_use]
    pub fn and(mut self, file: Identity) -> Self {
        self.files.push(file);
        self
    }
}

impl fmt::Display for Sentinel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.pid, self.depth)?;
        self.files.iter().try_for_each(|(device, inode)| write!(formatter, " {device}:{inode}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIM: Identity = (1, 2);
    const REAL: Identity = (1, 3);

    fn session(launch: Launch) -> Sentinel {
        if let Launch::Session(sentinel) = launch { sentinel } else { panic!("{launch:?}") }
    }

    #[test]
    fn word_is_passed_on() {
        let sentinel = session(Sentinel::judge(None, 7, SHIM, true)).and(REAL);
        assert_eq!(Sentinel::parse(&sentinel.to_string()), Some(sentinel));
        for text in ["", "7", "7 x", "7 0 1", "7 0 1:x"] {
            assert_eq!(Sentinel::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_same_process_and_file_are_a_round_and_anything_else_is_nested() {
        let outer = session(Sentinel::judge(None, 7, SHIM, true));
        let judge = |pid, file, is_claude| Sentinel::judge(Some(&outer), pid, file, is_claude);
        assert_eq!(judge(7, SHIM, true), Launch::Again(outer.clone()));
        for (pid, file, is_claude) in [(7, REAL, true), (8, SHIM, true), (7, SHIM, false)] {
            assert!(matches!(judge(pid, file, is_claude), Launch::Session(_)), "{pid} {file:?} {is_claude}");
        }
    }

    #[test]
    fn a_file_that_forks_itself_without_end_is_stopped() {
        let mut outer = session(Sentinel::judge(None, 0, SHIM, true));
        let rounds = (1..).take_while(|pid| match Sentinel::judge(Some(&outer), *pid, SHIM, true) {
            Launch::Session(next) => {
                outer = next;
                true
            }
            _ => false,
        });
        assert_eq!(rounds.count(), MAXIMUM_DEPTH as usize);
    }
}
