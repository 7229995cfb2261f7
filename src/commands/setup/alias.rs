//! The line in a shell's rc file. It is the line of `install.sh --with-alias`, so that `install.sh --uninstall` finds
//! both.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{decide, print};
use crate::cli::Choices;
use crate::commands::init::own_path;
use crate::state::Places;
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal::printable::visible;
use crate::workspace::Workspace;

/// Offers to add the alias if the user can be asked. Otherwise says how to add it by hand.
pub(super) fn offer(choices: Choices, workspace: &Workspace, process: &ProcessEnvironment) -> Result<()> {
    let Some((rc, line)) = place(workspace, process) else {
        if choices.alias {
            super::complain("ccrun does not know your shell: add the alias by hand");
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
        return print(&format!("{shown} already has the alias\n"));
    }
    let question = format!("Alias `claude` to `ccrun claude` in {shown}?");
    if !decide(choices.alias, choices.no_alias, &question)? {
        return if choices.no_alias { Ok(()) } else { print("to add the alias, see `ccrun init --help`\n") };
    }
    append(&rc, &before, &line).with_context(|| format!("cannot write `{}`", rc.display()))?;
    print(&format!("added to {shown}; it takes effect in new shells:\n  {}\n", visible(&line)))
}

/// Appends the line on a line of its own. Follows a link to the file itself.
fn append(rc: &Path, before: &[u8], line: &str) -> std::io::Result<()> {
    let separator = if before.is_empty() || before.ends_with(b"\n") { "" } else { "\n" };
    if let Some(directory) = rc.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(rc)?;
    file.write_all(format!("{separator}{line}\n").as_bytes())?;
    file.sync_all()
}

/// The rc file, and the line for it.
fn place(workspace: &Workspace, process: &ProcessEnvironment) -> Option<(PathBuf, String)> {
    let home = &workspace.places.home;
    let shell = Path::new(process.variable("SHELL")?).file_name()?.to_str()?.to_owned();
    let within = |variable: &str, otherwise: PathBuf| process.variable(variable).map_or(otherwise, PathBuf::from);
    // Quoted as in install.sh, which removes the same line.
    let ccrun = own_path(process).replace('\'', r"'\''");
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
