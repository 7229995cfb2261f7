//! `ccrun profile add` and `ccrun profile edit`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use super::files::{create, file, invalid, template};
use crate::commands::trust::view;
use crate::commands::{complain, print};
use crate::profile::Layer;
use crate::profile::schema::guess;
use crate::state;
use crate::system::bounded;
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal;
use crate::terminal::printable::printable;
use crate::terminal::prompt;
use crate::workspace::Workspace;

/// The largest profile, in bytes.
const MAXIMUM_SIZE: u64 = 256 * 1024;

/// Adds a colleague's file to the user's profiles, after showing what it does.
pub(super) fn add(workspace: &Workspace, given: &Path, yes: bool, process: &ProcessEnvironment) -> Result<ExitCode> {
    let given = process.directory.join(given);
    let name = given.file_name().and_then(|name| name.to_str()?.strip_suffix(".toml"));
    let Some(name) = name else { bail!("`{}` is not named `NAME.toml`", given.display()) };
    let path = file(&workspace.places, name)?;
    let text = read(&given)?;
    if path.symlink_metadata().is_ok() {
        bail!("the profile `{name}` already exists and is not overwritten: `{}`", path.display());
    }
    if let Err(faults) = workspace.check_own(name, &given, &text) {
        return Ok(invalid(&faults, process));
    }
    // Resolve it as it will be installed: relative paths start at the file.
    let effects = match workspace.effects_own(name, &path, &text) {
        Ok(effects) => effects,
        Err(faults) => return Ok(invalid(&faults, process)),
    };
    let width = terminal::width(&std::io::stdout()).unwrap_or(100);
    let shown = view::effects(&given.to_string_lossy(), &effects, None, width);
    if !yes && prompt::is_possible() {
        if !prompt::ask(&format!("{shown}\n\nAdd it as `{name}`? [y/N] "))? {
            return Ok(ExitCode::FAILURE);
        }
    } else {
        print(&format!("{shown}\n"))?;
        if !yes {
            complain("nothing was added: there is no terminal to confirm on; use `--yes`");
            return Ok(ExitCode::FAILURE);
        }
    }
    create(workspace, &path, &text)?;
    print(&format!("wrote {}; use it with `ccrun -p {name} claude`\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Opens one of the user's profiles in their editor. The old version stays until the new one is valid.
pub(super) fn edit(workspace: &Workspace, name: &str, process: &ProcessEnvironment) -> Result<ExitCode> {
    let path = file(&workspace.places, name)?;
    if path.symlink_metadata().is_err() {
        let profiles = workspace.profiles();
        match profiles.iter().find(|(known, _)| known == name) {
            Some((_, layer)) => {
                complain(&format!("`{name}` is a {} profile: what you write is layered on top", layer.name()));
            }
            None => return Ok(unknown(name, &profiles)),
        }
    }
    // Keep a link a link, and write the file that it points to.
    let path = path.canonicalize().unwrap_or(path);
    let before = if path.exists() { Some(read(&path)?) } else { None };
    let directory = workspace.places.profiles();
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot create `{}`", directory.display()))?;
    let copy = tempfile::Builder::new().prefix(&format!(".{name}-")).suffix(".toml").tempfile_in(&directory)?;
    let first = before.clone().unwrap_or_else(|| template(&[], &[]));
    std::fs::write(copy.path(), first).with_context(|| format!("cannot write `{}`", copy.path().display()))?;
    loop {
        open(copy.path(), process)?;
        let text = read(copy.path())?;
        if before.as_ref() == Some(&text) {
            print("nothing was changed\n")?;
            return Ok(ExitCode::SUCCESS);
        }
        let Err(faults) = workspace.check_own(name, &path, &text) else {
            state::write(&path, text.as_bytes()).with_context(|| format!("cannot write `{}`", path.display()))?;
            print(&format!("wrote {}\n", path.display()))?;
            return Ok(ExitCode::SUCCESS);
        };
        let code = invalid(&faults, process);
        if !prompt::is_possible() || !prompt::ask("Edit again? [y/N] ")? {
            complain(&format!("nothing was written: `{}` is unchanged", printable(&path.display().to_string())));
            return Ok(code);
        }
    }
}

/// Reports an unknown profile, with a guess.
fn unknown(name: &str, profiles: &[(String, Layer)]) -> ExitCode {
    let known: Vec<&str> = profiles.iter().map(|(known, _)| known.as_str()).collect();
    let meant = guess(name, &known).map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
    complain(&format!("there is no profile `{name}`: {meant}`ccrun profile new {name}` creates it"));
    ExitCode::from(2)
}

/// Opens a file in the user's editor and waits for it to exit. $VISUAL and $EDITOR may contain arguments.
fn open(path: &Path, process: &ProcessEnvironment) -> Result<()> {
    let editor = process.text("VISUAL").or_else(|| process.text("EDITOR")).unwrap_or("vi");
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(PathBuf::from(path));
    let status = command.status().with_context(|| format!("cannot run the editor `{editor}`"))?;
    if !status.success() {
        bail!("the editor `{editor}` failed ({status}): nothing was written");
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    let shown = path.display();
    let bytes = bounded::read(path, MAXIMUM_SIZE + 1).with_context(|| format!("cannot read `{shown}`"))?;
    if bytes.len() as u64 > MAXIMUM_SIZE {
        bail!("`{shown}` is larger than {} KiB", MAXIMUM_SIZE / 1024);
    }
    String::from_utf8(bytes).with_context(|| format!("`{shown}` is not UTF-8"))
}
