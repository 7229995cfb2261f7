//! The line in a shell's rc file, as `install.sh --with-alias` writes it, so that its `--uninstall` finds either.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{decide, print};
use crate::cli::Choices;
use crate::commands::init::own_path;
use crate::printable::visible;
use crate::setting::Setting;
use crate::surroundings::{Places, Surroundings};

/// Asks for it where that is possible, and says what to do by hand where it is not done.
pub(super) fn offer(choices: Choices, setting: &Setting, surroundings: &Surroundings) -> Result<()> {
    let Some((rc, line)) = place(setting, surroundings) else {
        if choices.alias {
            super::complain("your shell is none that ccrun knows: give it an alias by hand");
        }
        return Ok(());
    };
    let before = match std::fs::read(&rc) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot read `{}`", rc.display()));
        }
        read => read.unwrap_or_default(),
    };
    let shown = visible(&Places::shortened(&rc));
    if before.split(|byte| *byte == b'\n').any(|one| one == line.as_bytes()) {
        return print(&format!("{shown} has the alias already\n"));
    }
    let question = format!("let `claude` be `ccrun claude`, by a line in {shown}?");
    if !decide(choices.alias, choices.no_alias, &question)? {
        return if choices.no_alias { Ok(()) } else { print("for the alias: `ccrun init --help`\n") };
    }
    append(&rc, &before, &line).with_context(|| format!("cannot write `{}`", rc.display()))?;
    print(&format!("added to {shown}, for shells that start from now on:\n  {}\n", visible(&line)))
}

/// At the end, on a line of its own, in the very file that a link may lead to.
fn append(rc: &Path, before: &[u8], line: &str) -> std::io::Result<()> {
    let separator = if before.is_empty() || before.ends_with(b"\n") { "" } else { "\n" };
    if let Some(directory) = rc.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(rc)?;
    file.write_all(format!("{separator}{line}\n").as_bytes())
}

/// Which file, and the line for it.
fn place(setting: &Setting, surroundings: &Surroundings) -> Option<(PathBuf, String)> {
    let home = &setting.places.home;
    let shell = Path::new(surroundings.variable("SHELL")?).file_name()?.to_str()?.to_owned();
    let within = |variable: &str, otherwise: PathBuf| surroundings.variable(variable).map_or(otherwise, PathBuf::from);
    let ccrun = own_path(surroundings).replace('\'', r"'\''");
    let line = |shell: &str| format!("eval \"$('{ccrun}' init {shell})\"  # ccrun");
    match shell.as_str() {
        "bash" => Some((home.join(".bashrc"), line("bash"))),
        "zsh" => Some((within("ZDOTDIR", home.clone()).join(".zshrc"), line("zsh"))),
        "fish" => {
            let rc = within("XDG_CONFIG_HOME", home.join(".config")).join("fish/config.fish");
            Some((rc, format!("'{ccrun}' init fish | source  # ccrun")))
        }
        _ => None,
    }
}
