//! Programs that turn out to run `ccrun` again: a shim named `claude` on the PATH, a function in a script.
//!
//! Every launch leaves word in the environment of which process exec'ed which file. Without it a shim would exec
//! `ccrun`, which would exec the shim, for ever, with a collector for each round.

use std::fmt;
use std::path::Path;

use nix::unistd::{getpid, getppid};

use crate::process::Process;
use crate::surroundings::Identity;

/// The variable that carries it.
pub const VARIABLE: &str = "CCRUN_SENTINEL";

/// How many sessions may stand around one: a session in a session in a session is rare, and programs that start each
/// other through processes of their own would fork for ever.
const MAXIMUM_DEPTH: u32 = 12;

/// Stands before the pid of a process that stays as the parent.
const STAYS: char = '^';

/// Stands before the pid of one that was to be Claude Code.
const CLAUDE: char = '*';

/// Stands before the pid of one whose first file is a script that runs us, wherever that was found.
const SHIM: char = '!';

/// Which process exec'ed which files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentinel {
    /// The process that exec'ed them, or, where it stayed, the parent of the one that did.
    pid: i32,
    /// Whether it stayed.
    stays: bool,
    /// Whether it was to be Claude Code.
    is_claude: bool,
    /// Whether the first file is known to be a script that runs us.
    is_shim: bool,
    /// How many sessions stand around this one.
    depth: u32,
    /// What the process exec'ed so far, the last one last.
    files: Vec<Identity>,
}

/// What is about to be launched, in the light of what was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch {
    /// A session of its own, with word for the next.
    Session(Sentinel),
    /// That file was exec'ed already and ran `ccrun` again: the session that began then stands.
    Again(Sentinel),
    /// The file starts itself without end.
    Endless(Sentinel),
}

/// The process that is about to launch something.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Its pid.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
}

impl Caller {
    /// This process.
    pub fn current() -> Self {
        Self { pid: getpid().as_raw(), parent: getppid().as_raw() }
    }
}

impl Sentinel {
    /// Reads what an outer launch has left; what cannot be read was left by nobody.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let first = words.next()?;
        let pid = first.trim_start_matches([STAYS, CLAUDE, SHIM]);
        let marks = first.strip_suffix(pid)?;
        let (pid, depth) = (pid.parse().ok()?, words.next()?.parse().ok()?);
        let files = words.map(|word| {
            let (device, inode) = word.split_once(':')?;
            Some((device.parse().ok()?, inode.parse().ok()?))
        });
        let files = files.collect::<Option<_>>()?;
        let [stays, is_claude, is_shim] = [STAYS, CLAUDE, SHIM].map(|mark| marks.contains(mark));
        Some(Self { pid, stays, is_claude, is_shim, depth, files })
    }

    /// Judges the launch of a file. Only of Claude Code are there shims that pass on what they are given: a shell that
    /// execs a shell means another session. `is_shim` says whether the file that stands right around this launch is a
    /// script that runs us.
    pub fn judge(
        outer: Option<&Self>,
        caller: Caller,
        file: Identity,
        is_claude: bool,
        is_shim: impl FnOnce(Identity) -> bool,
    ) -> Launch {
        let fresh = |depth| {
            let (pid, files) = (caller.pid, vec![file]);
            Launch::Session(Self { pid, stays: false, is_claude, is_shim: false, depth, files })
        };
        let Some(outer) = outer else { return fresh(0) };
        let same_process = outer.pid == if outer.stays { caller.parent } else { caller.pid };
        // What was to be Claude Code, and is about to be it still, has been a script or a wrapper so far, or relaunches
        // itself.
        let again = is_claude && outer.is_claude && same_process;
        let forked = is_claude && outer.is_shim && outer.files.len() == 1 && outer.pid == caller.parent;
        if again || forked {
            return Launch::Again(outer.clone());
        }
        // A script runs us as a child of its own. Claude Code itself would be the last, and have asked for a session.
        if is_claude && outer.files.contains(&file) && outer.files.last().is_some_and(|last| is_shim(*last)) {
            return Launch::Again(outer.clone());
        }
        if outer.depth >= MAXIMUM_DEPTH { Launch::Endless(outer.clone()) } else { fresh(outer.depth + 1) }
    }

    /// Whether the process that left it is still there.
    pub fn lives(&self) -> bool {
        Process { pid: self.pid, started: None }.lives()
    }

    /// The same word of a process that stays as the parent of the one that execs.
    #[must_use]
    pub fn staying(self) -> Self {
        Self { stays: true, ..self }
    }

    /// The same word where the file is a script that runs us, which need not be on the PATH to be found again.
    #[must_use]
    pub fn of_shim(self) -> Self {
        Self { is_shim: true, ..self }
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
        let marks = [(self.stays, STAYS), (self.is_claude, CLAUDE), (self.is_shim, SHIM)];
        marks.iter().filter(|(is, _)| *is).try_for_each(|(_, mark)| write!(formatter, "{mark}"))?;
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

    fn caller(pid: i32) -> Caller {
        Caller { pid, parent: 1 }
    }

    #[test]
    fn word_is_passed_on() {
        let sentinel = session(Sentinel::judge(None, caller(7), SHIM, true, |_| false)).and(REAL);
        assert_eq!(Sentinel::parse(&sentinel.to_string()), Some(sentinel.clone()));
        assert_eq!(Sentinel::parse(&sentinel.clone().staying().to_string()), Some(sentinel.staying()));
        for text in ["", "7", "7 x", "7 0 1", "7 0 1:x"] {
            assert_eq!(Sentinel::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_same_process_as_claude_code_again_is_a_round_and_anything_else_is_nested() {
        let outer = session(Sentinel::judge(None, caller(7), SHIM, true, |_| false));
        let judge = |pid, file, is_claude| Sentinel::judge(Some(&outer), caller(pid), file, is_claude, |_| false);
        assert_eq!(judge(7, SHIM, true), Launch::Again(outer.clone()));
        assert_eq!(judge(7, REAL, true), Launch::Again(outer.clone()));
        for (pid, file, is_claude) in [(8, REAL, true), (8, SHIM, true), (7, SHIM, false)] {
            assert!(matches!(judge(pid, file, is_claude), Launch::Session(_)), "{pid} {file:?} {is_claude}");
        }
        let shell = session(Sentinel::judge(None, caller(7), SHIM, false, |_| false));
        let judged = Sentinel::judge(Some(&shell), caller(7), REAL, true, |_| false);
        assert!(matches!(judged, Launch::Session(_)), "a shell that execs `ccrun claude`");
    }

    #[test]
    fn a_shim_that_was_named_is_known_by_its_child_and_what_it_runs_is_no_shim() {
        let outer = session(Sentinel::judge(None, caller(7), SHIM, true, |_| false)).of_shim();
        assert_eq!(Sentinel::parse(&outer.to_string()), Some(outer.clone()));
        let judge = |outer: &Sentinel, parent| {
            let judged = Sentinel::judge(Some(outer), Caller { pid: 8, parent }, REAL, true, |_| false);
            matches!(judged, Launch::Again(_))
        };
        assert!(judge(&outer, 7) && !judge(&outer, 9));
        assert!(!judge(&outer.and(REAL), 7));
    }

    #[test]
    fn the_child_of_a_launcher_that_stays_is_the_same_process() {
        let outer = session(Sentinel::judge(None, caller(7), SHIM, true, |_| false)).staying();
        let judge = |parent, file| Sentinel::judge(Some(&outer), Caller { pid: 8, parent }, file, true, |_| false);
        assert_eq!(judge(7, SHIM), Launch::Again(outer.clone()));
        assert!(matches!(judge(9, SHIM), Launch::Session(_)) && matches!(judge(9, REAL), Launch::Session(_)));
    }

    #[test]
    fn a_script_that_runs_us_as_its_child_is_a_shim_too() {
        let outer = session(Sentinel::judge(None, caller(7), SHIM, true, |_| false));
        let judge = |file, is_claude| Sentinel::judge(Some(&outer), caller(8), file, is_claude, |last| last == SHIM);
        assert_eq!(judge(SHIM, true), Launch::Again(outer.clone()));
        assert!(matches!(judge(REAL, true), Launch::Session(_)) && matches!(judge(SHIM, false), Launch::Session(_)));
        // Once the real one runs, a session inside it is one of its own.
        let inside = Sentinel::judge(Some(&outer.and(REAL)), caller(8), SHIM, true, |last| last == SHIM);
        assert!(matches!(inside, Launch::Session(_)));
    }

    #[test]
    fn a_file_that_forks_itself_without_end_is_stopped() {
        let mut outer = session(Sentinel::judge(None, caller(0), SHIM, true, |_| false));
        let rounds = (1..).take_while(|pid| match Sentinel::judge(Some(&outer), caller(*pid), SHIM, true, |_| false) {
            Launch::Session(next) => {
                outer = next;
                true
            }
            _ => false,
        });
        assert_eq!(rounds.count(), MAXIMUM_DEPTH as usize);
    }
}
