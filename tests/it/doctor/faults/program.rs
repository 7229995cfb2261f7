//! Faults of the program.

use super::{Fault, all_are_named};
use crate::doctor::claude;

const FAULTS: &[Fault] = &[
    Fault {
        name: "Claude Code is not installed",
        inject: |sandbox| std::fs::remove_file(sandbox.home().with_file_name("bin/claude")).unwrap(),
        options: &[],
        id: "program.found",
        level: "failed",
        says: &["there is no Claude Code: `claude` is neither on PATH"],
        fix: "install Claude Code",
    },
    Fault {
        name: "the only claude is a script that runs ccrun",
        inject: |sandbox| claude(sandbox, "exec ccrun claude \"$@\""),
        options: &[],
        id: "program.found",
        level: "failed",
        says: &["/bin/claude`, runs ccrun again in a loop"],
        fix: "CCRUN_CLAUDE",
    },
    Fault {
        name: "CCRUN_CLAUDE names nothing",
        inject: |sandbox| {
            sandbox.set("CCRUN_CLAUDE", "/nowhere/claude");
        },
        options: &[],
        id: "program.found",
        level: "failed",
        says: &["CCRUN_CLAUDE is `/nowhere/claude`: there is no such file"],
        fix: "set CCRUN_CLAUDE to the absolute path",
    },
    Fault {
        name: "CCRUN_CLAUDE names ccrun",
        inject: |sandbox| {
            let ccrun = sandbox.home().with_file_name("bin").join("ccrun").display().to_string();
            sandbox.set("CCRUN_CLAUDE", ccrun);
        },
        options: &[],
        id: "program.found",
        level: "failed",
        says: &["that is ccrun itself"],
        fix: "set CCRUN_CLAUDE to the absolute path",
    },
    Fault {
        name: "a version without --settings",
        inject: |sandbox| claude(sandbox, "echo '1.0.51 (Claude Code)'"),
        options: &[],
        id: "program.version",
        level: "failed",
        says: &["its version, 1.0.51, is too old", "does not support `--settings`"],
        fix: "`claude update`",
    },
    Fault {
        name: "a version that loses events",
        inject: |sandbox| claude(sandbox, "echo '2.1.100 (Claude Code)'"),
        options: &[],
        id: "program.version",
        level: "warning",
        says: &["2.1.100", "loses the events of a session's first moments"],
        fix: "`claude update`",
    },
    Fault {
        name: "a program that fails",
        inject: |sandbox| claude(sandbox, "echo 'cannot find module' >&2; exit 3"),
        options: &[],
        id: "program.version",
        level: "failed",
        says: &["--version` ended with exit status: 3: cannot find module"],
        fix: "run it by hand",
    },
    Fault {
        name: "a program that hangs",
        inject: |sandbox| claude(sandbox, "exec sleep 600"),
        options: &[],
        id: "program.version",
        level: "failed",
        says: &["--version` took longer than"],
        fix: "run it by hand",
    },
    Fault {
        name: "something else of that name",
        inject: |sandbox| claude(sandbox, "echo 'Claude the printer'"),
        options: &[],
        id: "program.version",
        level: "warning",
        says: &["prints no version", "it says: Claude the printer"],
        fix: "check that it is Claude Code",
    },
    Fault {
        name: "the old installer's alias",
        inject: |sandbox| {
            sandbox.write("home/.bashrc", "# mine\nalias claude=\"$HOME/.claude/local/claude\"\n");
        },
        options: &[],
        id: "program.alias",
        level: "warning",
        says: &["~/.bashrc:2 aliases `claude` to the old installer's Claude Code"],
        fix: "alias claude='ccrun claude'",
    },
    Fault {
        name: "a second Claude Code",
        inject: |sandbox| drop(sandbox.write("home/.claude/local/claude", "#!/bin/sh\n")),
        options: &[],
        id: "program.alias",
        level: "warning",
        says: &["there is a second Claude Code, from the old installer: `~/.claude/local/claude`"],
        fix: "remove the other",
    },
];

#[test]
fn the_program() {
    all_are_named(FAULTS);
}
