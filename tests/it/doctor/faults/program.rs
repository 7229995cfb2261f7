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
        says: &["there is no Claude Code: no `claude` is on PATH"],
        fix: "install Claude Code",
    },
    Fault {
        name: "the only claude is a script that runs ccrun",
        inject: |sandbox| claude(sandbox, "exec ccrun claude \"$@\""),
        options: &[],
        id: "program.found",
        level: "failed",
        says: &["/bin/claude`, runs ccrun again, without end"],
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
        says: &["its version, 1.0.51, is too old", "does not know `--settings`"],
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
        says: &["names no version", "it says: Claude the printer"],
        fix: "is that Claude Code?",
    },
    Fault {
        name: "npm's, without node",
        inject: |sandbox| {
            sandbox.program("claude", "#!/usr/bin/env node\nprocess.exit(0)\n");
            let bin = sandbox.home().with_file_name("bin").display().to_string();
            sandbox.set("PATH", bin);
        },
        options: &[],
        id: "program.node",
        level: "failed",
        says: &["/bin/claude` is a script for `node`, which is not on PATH"],
        fix: "install Node.js",
    },
    Fault {
        name: "the old installer's alias",
        inject: |sandbox| {
            sandbox.write("home/.bashrc", "# mine\nalias claude=\"$HOME/.claude/local/claude\"\n");
        },
        options: &[],
        id: "program.alias",
        level: "warning",
        says: &["~/.bashrc:2 makes `claude` mean the Claude Code of the old installer"],
        fix: "alias claude='ccrun claude'",
    },
    Fault {
        name: "a second Claude Code",
        inject: |sandbox| drop(sandbox.write("home/.claude/local/claude", "#!/bin/sh\n")),
        options: &[],
        id: "program.alias",
        level: "warning",
        says: &["there is a second Claude Code, of the old installer: `~/.claude/local/claude`"],
        fix: "remove the other",
    },
];

#[test]
fn the_program() {
    all_are_named(FAULTS);
}
