//! Checks which Claude Code would be launched, and whether it runs. For faults of its installation there is `claude
//! doctor`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Check, Finding, Group, Level, Subject};
use crate::launch::{self, ExecError};
use crate::secret::command;
use crate::secret::command::FetchContext;
use crate::state::Places;
use crate::system::bounded;
use crate::system::file_identity::file_identity;

pub(super) const CHECKS: &[Check] = &[
    Check { id: "program.found", group: Group::Program, look: found },
    Check { id: "program.version", group: Group::Program, look: version },
    Check { id: "program.alias", group: Group::Program, look: alias },
];

/// Releases with known faults that matter here: the first release without the fault, its severity, and a description.
const BEFORE: [([u64; 3], Level, &str); 6] = [
    ([1, 0, 61], Level::Failed, "does not support `--settings`, which ccrun passes: it will not start"),
    ([2, 1, 85], Level::Failed, "crashes if a signal is switched off, as traces are by default"),
    ([2, 1, 161], Level::Warning, "silently loses the events of a session's first moments"),
    ([2, 1, 208], Level::Warning, "starts its background service without the configured wrapper"),
    ([2, 1, 214], Level::Warning, "counts the cost and the tokens of some answers twice"),
    ([2, 1, 240], Level::Warning, "ignores a whole settings file for more values than ccrun checks"),
];

/// The minimum time for a program to print its version.
const LEAST: Duration = Duration::from_secs(1);

/// How much of a shell's start-up file is read, in bytes.
const MAXIMUM_RC: u64 = 1 << 20;

/// Files below the home directory where shells define aliases.
const RC_FILES: [&str; 7] =
    [".bashrc", ".bash_aliases", ".bash_profile", ".profile", ".zshrc", ".zprofile", ".config/fish/config.fish"];

/// The program that a launch would run. Scripts that run `ccrun` again are skipped.
fn program(subject: &Subject) -> Result<PathBuf, ExecError> {
    launch::find(OsStr::new("claude"), &subject.process, launch::is_shim)
}

fn found(subject: &Subject) -> Vec<Finding> {
    let first = launch::find(OsStr::new("claude"), &subject.process, |_| false);
    let shim = first.ok().filter(|first| launch::is_shim(first));
    let finding = match (program(subject), shim) {
        (Ok(path), None) => Finding::ok(format!("Claude Code is `{}`", path.display())),
        (Ok(path), Some(shim)) => Finding::ok(format!("Claude Code is `{}`", path.display()))
            .detail(format!("`{}` runs ccrun again and is skipped", shim.display())),
        (Err(ExecError::NotFound { .. }), Some(shim)) => Finding::failed(format!(
            "there is no Claude Code: the only `claude`, `{}`, runs ccrun again in a loop",
            shim.display()
        ))
        .fix("add the directory of Claude Code to PATH, or set CCRUN_CLAUDE to its absolute path"),
        (Err(ExecError::NotFound { .. }), None) => {
            Finding::failed("there is no Claude Code: `claude` is neither on PATH nor where its installers put it")
                .fix("install Claude Code, add its directory to PATH, or set CCRUN_CLAUDE to its absolute path")
        }
        (Err(ExecError::Windows { program }), _) => Finding::failed(format!(
            "`{}` is the Claude Code of Windows, which does not run inside WSL",
            program.display()
        ))
        .fix("install Claude Code inside WSL, or set CCRUN_CLAUDE to one that is"),
        (Err(error), _) => {
            Finding::failed(error.to_string()).fix("set CCRUN_CLAUDE to the absolute path of Claude Code, or unset it")
        }
    };
    vec![finding]
}

fn version(subject: &Subject) -> Vec<Finding> {
    let Ok(path) = program(subject) else { return Vec::new() };
    // If other checks used up the time, say nothing against the program.
    if subject.patience() < LEAST {
        return Vec::new();
    }
    let argv = [path.to_string_lossy().into_owned(), "--version".to_owned()];
    // The home directory may not exist.
    let context = FetchContext { home: Path::new("/"), ..subject.context() };
    let said = match command::run(&argv, context, subject.patience()) {
        Ok(said) => said,
        Err(reason) => {
            let finding = Finding::failed(format!("`{} --version` {reason}", path.display()));
            return vec![finding.fix("run it by hand; if it fails too, reinstall Claude Code")];
        }
    };
    let Some(version) = parsed(&said) else {
        let finding = Finding::warning(format!("`{} --version` prints no version", path.display()));
        return vec![
            finding
                .detail(format!("it says: {said}"))
                .fix("check that it is Claude Code, or set CCRUN_CLAUDE to another"),
        ];
    };
    let known: Vec<_> = BEFORE.iter().filter(|(good, ..)| version < *good).collect();
    let shown = version.map(|part| part.to_string()).join(".");
    let Some(worst) = known.iter().map(|(_, level, _)| *level).max() else {
        return vec![Finding::ok(format!("its version is {shown}"))];
    };
    let mut finding = Finding { level: worst, ..Finding::ok(format!("its version, {shown}, is too old")) };
    finding.details = known.iter().map(|(_, _, what)| format!("it {what}")).collect();
    vec![finding.fix("`claude update`")]
}

/// Parses `2.1.332 (Claude Code)`, but not other text that contains numbers.
fn parsed(said: &str) -> Option<[u64; 3]> {
    let first = said.split_whitespace().next()?;
    let numbers: Vec<_> = first.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect();
    numbers.get(..3)?.try_into().ok()
}

/// The first installer put Claude Code below `~/.claude/local` and defined an alias for it, which shells prefer to
/// everything on PATH.
fn alias(subject: &Subject) -> Vec<Finding> {
    let home = &subject.workspace.places.home;
    let old = home.join(".claude/local/claude");
    let aliases = RC_FILES.iter().filter_map(|name| alias_in(&home.join(name)));
    let mut found: Vec<_> = aliases
        .map(|place| {
            Finding::warning(format!(
                "{place} aliases `claude` to the old installer's Claude Code: the `claude` that you type bypasses ccrun"
            ))
            .fix("write `alias claude='ccrun claude'` there instead")
        })
        .collect();
    let is_other = program(subject).is_ok_and(|path| file_identity(&path) != file_identity(&old));
    if found.is_empty() && old.exists() && is_other {
        found.push(
            Finding::warning(format!("there is a second Claude Code, from the old installer: `{}`", old.display()))
                .fix("`claude doctor` says which one is used; remove the other, with its alias"),
        );
    }
    found
}

/// The place of an alias for the old installer's Claude Code in a file.
fn alias_in(file: &Path) -> Option<String> {
    let text = bounded::read(file, MAXIMUM_RC).ok()?;
    let text = String::from_utf8_lossy(&text);
    let is_one = |line: &str| {
        let line = line.trim();
        let rest = line.strip_prefix("alias ").map(str::trim_start).and_then(|rest| rest.strip_prefix("claude"));
        rest.is_some_and(|rest| rest.starts_with(['=', ' '])) && line.contains(".claude/local/claude")
    };
    let at = text.lines().position(is_one)?;
    Some(format!("{}:{}", Places::shortened(file), at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_distinguished_from_other_output() {
        for (said, version) in [
            ("2.1.332 (Claude Code)", Some([2, 1, 332])),
            ("1.0.3-beta.1", Some([1, 0, 3])),
            ("claude 2.1.0", None),
            ("", None),
            ("2.1", None),
        ] {
            assert_eq!(parsed(said), version, "{said}");
        }
    }
}
