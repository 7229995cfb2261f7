//! Claude Code: which one would be launched, and whether it can be.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{AccessFlags, access};

use super::{Check, Finding, Group, Level, Subject};
use crate::bounded;
use crate::helper::{self, Ground};
use crate::launch::{self, ExecError};
use crate::surroundings::{Places, identity};

pub(super) const CHECKS: &[Check] = &[
    Check { id: "program.found", group: Group::Program, look: found },
    Check { id: "program.version", group: Group::Program, look: version },
    Check { id: "program.node", group: Group::Program, look: node },
    Check { id: "program.prefix", group: Group::Program, look: prefix },
    Check { id: "program.alias", group: Group::Program, look: alias },
];

/// Releases before which something is wrong that matters here: the first good one, how bad it is, and what it is.
const BEFORE: [([u64; 3], Level, &str); 4] = [
    ([1, 0, 61], Level::Failed, "does not know `--settings`, which ccrun hands it: it will not start"),
    ([2, 1, 85], Level::Failed, "crashes where a signal is switched off, as traces are unless asked for"),
    ([2, 1, 161], Level::Warning, "loses the events of a session's first moments, in silence"),
    ([2, 1, 214], Level::Warning, "counts the cost and the tokens of some answers twice"),
];

/// The least time that a program gets to say its version.
const LEAST: Duration = Duration::from_secs(1);

/// How much of a program is read to see what runs it, in bytes.
const FIRST_LINE: u64 = 256;

/// How much of a shell's start-up file is read, in bytes.
const MAXIMUM_RC: u64 = 1 << 20;

/// Where shells keep aliases, below the home directory.
const RC_FILES: [&str; 7] =
    [".bashrc", ".bash_aliases", ".bash_profile", ".profile", ".zshrc", ".zprofile", ".config/fish/config.fish"];

/// What a launch would run: scripts that run `ccrun` again are passed over.
fn program(subject: &Subject) -> Result<PathBuf, ExecError> {
    launch::find(OsStr::new("claude"), &subject.surroundings, launch::is_shim)
}

fn found(subject: &Subject) -> Vec<Finding> {
    let first = launch::find(OsStr::new("claude"), &subject.surroundings, |_| false);
    let shim = first.ok().filter(|first| launch::is_shim(first));
    let finding = match (program(subject), shim) {
        (Ok(path), None) => Finding::ok(format!("Claude Code is `{}`", path.display())),
        (Ok(path), Some(shim)) => Finding::ok(format!("Claude Code is `{}`", path.display()))
            .detail(format!("`{}` runs ccrun again and is passed over", shim.display())),
        (Err(ExecError::NotFound { .. }), Some(shim)) => Finding::failed(format!(
            "there is no Claude Code: the one `claude` that can be found, `{}`, runs ccrun again, without end",
            shim.display()
        ))
        .fix("put the directory that Claude Code is in on PATH, or set CCRUN_CLAUDE to its absolute path"),
        (Err(ExecError::NotFound { .. }), None) => {
            Finding::failed("there is no Claude Code: no `claude` is on PATH, nor where its installers put it")
                .fix("install Claude Code, put its directory on PATH, or set CCRUN_CLAUDE to its absolute path")
        }
        (Err(ExecError::Windows { program }), _) => Finding::failed(format!(
            "`{}` is the Claude Code of Windows, which does not run inside WSL",
            program.display()
        ))
        .fix("install Claude Code inside WSL, too, or set CCRUN_CLAUDE to one that is"),
        (Err(error), _) => {
            Finding::failed(error.to_string()).fix("set CCRUN_CLAUDE to the absolute path of Claude Code, or unset it")
        }
    };
    vec![finding]
}

fn version(subject: &Subject) -> Vec<Finding> {
    let Ok(path) = program(subject) else { return Vec::new() };
    // With hardly any time left, for something else took it, nothing can be said against the program.
    if is_without_node(&path, subject) || subject.patience() < LEAST {
        return Vec::new();
    }
    let argv = [path.to_string_lossy().into_owned(), "--version".to_owned()];
    // There may be no home directory to start in.
    let ground = Ground { home: Path::new("/"), ..subject.ground() };
    let said = match helper::run(&argv, ground, subject.patience()) {
        Ok(said) => said,
        Err(reason) => {
            let finding = Finding::failed(format!("`{} --version` {reason}", path.display()));
            return vec![finding.fix("run it by hand; where it says the same, install Claude Code anew")];
        }
    };
    let Some(version) = parsed(&said) else {
        let finding = Finding::warning(format!("`{} --version` names no version", path.display()));
        return vec![finding.detail(format!("it says: {said}")).fix("is that Claude Code? CCRUN_CLAUDE names another")];
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

/// `2.1.329 (Claude Code)`, and nothing else that only has numbers in it.
fn parsed(said: &str) -> Option<[u64; 3]> {
    let first = said.split_whitespace().next()?;
    let numbers: Vec<_> = first.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect();
    numbers.get(..3)?.try_into().ok()
}

/// Whether a program is a script for Node, by its first line.
fn is_of_node(path: &Path) -> bool {
    let start = bounded::read(path, FIRST_LINE).unwrap_or_default();
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.starts_with(b"#!") && line.windows(4).any(|word| word == b"node")
}

fn is_without_node(path: &Path, subject: &Subject) -> bool {
    is_of_node(path) && which::which_in("node", subject.surroundings.variable("PATH"), "/").is_err()
}

fn node(subject: &Subject) -> Vec<Finding> {
    let Ok(path) = program(subject) else { return Vec::new() };
    if !is_without_node(&path, subject) {
        return Vec::new();
    }
    let finding = Finding::failed(format!("`{}` is a script for `node`, which is not on PATH", path.display()));
    vec![finding.fix("install Node.js or put its directory on PATH, or install Claude Code natively, without Node.js")]
}

/// Where npm has put it, its own updates need to write.
fn prefix(subject: &Subject) -> Vec<Finding> {
    let Ok(path) = program(subject) else { return Vec::new() };
    let Some(modules) = modules(&path.canonicalize().unwrap_or(path)) else { return Vec::new() };
    if access(&modules, AccessFlags::W_OK).is_ok() {
        return vec![Finding::ok(format!("it came from npm, and `{}` can be written", modules.display()))];
    }
    let what = "Claude Code came from npm, and cannot update itself";
    let finding = Finding::warning(format!("{what}: `{}` cannot be written", modules.display()));
    vec![finding.fix("`npm config set prefix ~/.npm-global` and install it there, or install it natively")]
}

/// The `node_modules` that a program is in, if it is Claude Code's package.
fn modules(path: &Path) -> Option<PathBuf> {
    let scope = path.ancestors().find(|ancestor| ancestor.ends_with("node_modules/@anthropic-ai"))?;
    scope.parent().map(Path::to_owned)
}

/// The first installer kept a Claude Code below `~/.claude/local`, and an alias for it, which shells take before all
/// that is on PATH.
fn alias(subject: &Subject) -> Vec<Finding> {
    let home = &subject.setting.places.home;
    let old = home.join(".claude/local/claude");
    let aliases = RC_FILES.iter().filter_map(|name| alias_in(&home.join(name)));
    let mut found: Vec<_> = aliases
        .map(|place| {
            Finding::warning(format!(
                "{place} makes `claude` mean the Claude Code of the old installer: what you type does not come to ccrun"
            ))
            .fix("write `alias claude='ccrun claude'` there instead")
        })
        .collect();
    let is_other = program(subject).is_ok_and(|path| identity(&path) != identity(&old));
    if found.is_empty() && old.exists() && is_other {
        found.push(
            Finding::warning(format!("there is a second Claude Code, of the old installer: `{}`", old.display()))
                .fix("`claude doctor` says which one is used; remove the other, with its alias"),
        );
    }
    found
}

/// Where an alias for the old installer's stands in a file.
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
    fn versions_are_told_from_other_words() {
        for (said, version) in [
            ("2.1.329 (Claude Code)", Some([2, 1, 329])),
            ("1.0.3-beta.1", Some([1, 0, 3])),
            ("claude 2.1.0", None),
            ("", None),
            ("2.1", None),
        ] {
            assert_eq!(parsed(said), version, "{said}");
        }
    }

    #[test]
    fn npms_directory_is_found_from_the_program() {
        let path = "/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js";
        assert_eq!(modules(Path::new(path)), Some(PathBuf::from("/usr/lib/node_modules")));
        assert_eq!(modules(Path::new("/home/a/.local/share/claude/versions/2.1.329")), None);
    }
}
