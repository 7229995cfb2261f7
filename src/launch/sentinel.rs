//! Detects programs that run `ccrun` again: a shim named `claude` on the PATH, or a function in a script.
//!
//! Every launch records in the environment which process exec'ed which file. Without that, a shim would exec `ccrun`,
//! which would exec the shim, forever, and each round would start a collector.

use std::fmt;
use std::path::Path;

use nix::unistd::{getpid, getppid};

use crate::system::file_identity::FileIdentity;
use crate::system::process::Process;

/// The variable that carries the sentinel.
pub const VARIABLE: &str = "CCRUN_SENTINEL";

/// The maximum nesting of sessions. Each has a collector, and deep nesting is rare.
const MAXIMUM_DEPTH: u32 = 12;

/// How deep programs may start each other beyond that, to stop endless forking.
const HOPELESS_DEPTH: u32 = 64;

/// Marks the pid of a process that stays as the parent.
const STAYS: char = '^';

/// Marks the pid of a process that was to become Claude Code.
const CLAUDE: char = '*';

/// Marks the pid of a process whose first file is a shim, wherever it was found.
const SHIM: char = '!';

/// Which process exec'ed which files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentinel {
    /// The process that exec'ed them or, if it stayed, the parent of that process.
    pid: i32,
    /// Whether the process stayed as the parent.
    stays: bool,
    /// Whether it was to become Claude Code.
    is_claude: bool,
    /// Whether the first file is known to be a shim.
    is_shim: bool,
    /// How many sessions surround this one.
    depth: u32,
    /// The files that the process has exec'ed, in order.
    files: Vec<FileIdentity>,
}

/// How a launch relates to the outer one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// A new session, with a sentinel for the next launch.
    Session(Sentinel),
    /// That file was exec'ed before and ran `ccrun` again: the existing session continues.
    Again(Sentinel),
    /// The sessions are nested too deep for another, so the launch joins the innermost one, unless the file is a shim.
    Deep(Sentinel),
    /// The file starts itself endlessly.
    Endless(Sentinel),
}

/// The process that is about to launch something.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Its pid.
    pub pid: i32,
    /// Its parent's pid.
    pub parent: i32,
}

impl Caller {
    /// This process.
    pub fn current() -> Self {
        Self { pid: getpid().as_raw(), parent: getppid().as_raw() }
    }
}

impl Sentinel {
    /// Parses the sentinel of an outer launch. Text that cannot be parsed is ignored.
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

    /// Judges the launch of a file. Only Claude Code has shims that pass on their arguments; a shell that execs a shell
    /// starts a new session. `is_shim` tells whether the file that surrounds this launch is a script that runs `ccrun`.
    pub fn judge(
        outer: Option<&Self>,
        caller: Caller,
        file: FileIdentity,
        is_claude: bool,
        is_shim: impl FnOnce(FileIdentity) -> bool,
    ) -> Nesting {
        let fresh = |depth| {
            let (pid, files) = (caller.pid, vec![file]);
            Nesting::Session(Self { pid, stays: false, is_claude, is_shim: false, depth, files })
        };
        let Some(outer) = outer else { return fresh(0) };
        let same_process = outer.pid == if outer.stays { caller.parent } else { caller.pid };
        // A process that was to become Claude Code and still is has been a script or a wrapper so far, or is
        // relaunching itself.
        let again = is_claude && outer.is_claude && same_process;
        let forked = is_claude && outer.is_shim && outer.files.len() == 1 && outer.pid == caller.parent;
        if again || forked {
            return Nesting::Again(outer.clone());
        }
        // A script runs `ccrun` as its child. Claude Code itself would be the last file, and a launch inside it starts
        // a session.
        if is_claude && outer.files.contains(&file) && outer.files.last().is_some_and(|last| is_shim(*last)) {
            return Nesting::Again(outer.clone());
        }
        match outer.depth {
            ..MAXIMUM_DEPTH => fresh(outer.depth + 1),
            MAXIMUM_DEPTH..HOPELESS_DEPTH => Nesting::Deep(outer.clone()),
            HOPELESS_DEPTH.. => Nesting::Endless(outer.clone()),
        }
    }

    /// The sentinel of a process that launches a file without a new session.
    #[must_use]
    pub fn deeper(self, caller: Caller, file: FileIdentity, is_claude: bool) -> Self {
        Self { pid: caller.pid, is_claude, depth: self.depth + 1, files: vec![file], ..Self::default() }
    }

    /// Whether the process that left it still exists.
    pub fn lives(&self) -> bool {
        Process { pid: self.pid, started: None }.lives()
    }

    /// The same sentinel for a process that stays as the parent of the one that execs.
    #[must_use]
    pub fn staying(self) -> Self {
        Self { stays: true, ..self }
    }

    /// The same sentinel for a shim, which need not be on the PATH to be found again.
    #[must_use]
    pub fn of_shim(self) -> Self {
        Self { is_shim: true, ..self }
    }

    /// Whether the process has exec'ed this file before.
    pub fn has_seen(&self, path: &Path) -> bool {
        crate::system::file_identity::file_identity(path).is_some_and(|file| self.files.contains(&file))
    }

    /// The same sentinel with another file.
    #[must_use]
    pub fn and(mut self, file: FileIdentity) -> Self {
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

    const SHIM: FileIdentity = (1, 2);
    const REAL: FileIdentity = (1, 3);

    fn session(nesting: Nesting) -> Sentinel {
        if let Nesting::Session(sentinel) = nesting { sentinel } else { panic!("{nesting:?}") }
    }

    fn caller(pid: i32) -> Caller {
        Caller { pid, parent: 1 }
    }

    #[test]
    fn sentinels_survive_a_round_trip() {
        let sentinel = session(Sentinel::judge(None, caller(7), SHIM, true, |_| false)).and(REAL);
        assert_eq!(Sentinel::parse(&sentinel.to_string()), Some(sentinel.clone()));
        assert_eq!(Sentinel::parse(&sentinel.clone().staying().to_string()), Some(sentinel.staying()));
        for text in ["", "7", "7 x", "7 0 1", "7 0 1:x"] {
            assert_eq!(Sentinel::parse(text), None, "{text}");
        }
    }

    #[test]
    fn claude_code_again_in_the_same_process_continues_the_session() {
        let outer = session(Sentinel::judge(None, caller(7), SHIM, true, |_| false));
        let judge = |pid, file, is_claude| Sentinel::judge(Some(&outer), caller(pid), file, is_claude, |_| false);
        assert_eq!(judge(7, SHIM, true), Nesting::Again(outer.clone()));
        assert_eq!(judge(7, REAL, true), Nesting::Again(outer.clone()));
        for (pid, file, is_claude) in [(8, REAL, true), (8, SHIM, true), (7, SHIM, false)] {
            assert!(matches!(judge(pid, file, is_claude), Nesting::Session(_)), "{pid} {file:?} {is_claude}");
        }
        let shell = session(Sentinel::judge(None, caller(7), SHIM, false, |_| false));
        let judged = Sentinel::judge(Some(&shell), caller(7), REAL, true, |_| false);
        assert!(matches!(judged, Nesting::Session(_)), "a shell that execs `ccrun claude`");
    }

    #[test]
    fn a_named_shim_is_detected_by_its_child_and_the_real_program_is_not_a_shim() {
        let outer = session(Sentinel::judge(None, caller(7), SHIM, true, |_| false)).of_shim();
        assert_eq!(Sentinel::parse(&outer.to_string()), Some(outer.clone()));
        let judge = |outer: &Sentinel, parent| {
            let judged = Sentinel::judge(Some(outer), Caller { pid: 8, parent }, REAL, true, |_| false);
            matches!(judged, Nesting::Again(_))
        };
        assert!(judge(&outer, 7) && !judge(&outer, 9));
        assert!(!judge(&outer.and(REAL), 7));
    }

    #[test]
    fn the_child_of_a_supervising_launcher_counts_as_the_same_process() {
        let outer = session(Sentinel::judge(None, caller(7), SHIM, true, |_| false)).staying();
        let judge = |parent, file| Sentinel::judge(Some(&outer), Caller { pid: 8, parent }, file, true, |_| false);
        assert_eq!(judge(7, SHIM), Nesting::Again(outer.clone()));
        assert!(matches!(judge(9, SHIM), Nesting::Session(_)) && matches!(judge(9, REAL), Nesting::Session(_)));
    }

    #[test]
    fn a_script_that_runs_ccrun_as_a_child_is_a_shim() {
        let outer = session(Sentinel::judge(None, caller(7), SHIM, true, |_| false));
        let judge = |file, is_claude| Sentinel::judge(Some(&outer), caller(8), file, is_claude, |last| last == SHIM);
        assert_eq!(judge(SHIM, true), Nesting::Again(outer.clone()));
        assert!(matches!(judge(REAL, true), Nesting::Session(_)) && matches!(judge(SHIM, false), Nesting::Session(_)));
        // Once the real one runs, a launch inside it is a new session.
        let inside = Sentinel::judge(Some(&outer.and(REAL)), caller(8), SHIM, true, |last| last == SHIM);
        assert!(matches!(inside, Nesting::Session(_)));
    }

    #[test]
    fn a_file_that_forks_itself_endlessly_is_stopped() {
        let mut outer = session(Sentinel::judge(None, caller(0), SHIM, true, |_| false));
        let rounds = (1..).take_while(|pid| match Sentinel::judge(Some(&outer), caller(*pid), SHIM, true, |_| false) {
            Nesting::Session(next) => {
                outer = next;
                true
            }
            _ => false,
        });
        assert_eq!(rounds.count(), MAXIMUM_DEPTH as usize);
    }
}
