//! `ccrun profile add` and `ccrun profile edit`: files that others wrote, and that are being written.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use super::profile::{create, file, invalid, template};
use super::trust::view;
use super::{ask, complain, print};
use crate::printable::printable;
use crate::setting::Setting;
use crate::surroundings::Surroundings;
use crate::{bounded, state};

/// The largest profile, in bytes.
const MAXIMUM_SIZE: u64 = 256 * 1024;

/// Takes a colleague's file among the user's profiles, once they have seen what it does.
pub(super) fn add(setting: &Setting, given: &Path, yes: bool, surroundings: &Surroundings) -> Result<ExitCode> {
    let given = surroundings.directory.join(given);
    let name = given.file_name().and_then(|name| name.to_str()?.strip_suffix(".toml"));
    let Some(name) = name else { bail!("`{}` is no `NAME.toml`", given.display()) };
    let path = file(&setting.places, name)?;
    let text = read(&given)?;
    if path.symlink_metadata().is_ok() {
        bail!("there is a profile `{name}` already, and none is overwritten: `{}`", path.display());
    }
    if let Err(faults) = setting.check_own(name, &given, &text) {
        return Ok(invalid(&faults, surroundings));
    }
    // As it will stand there: relative paths start at the file.
    let plan = match setting.plan_own(name, &path, &text) {
        Ok(plan) => plan,
        Err(faults) => return Ok(invalid(&faults, surroundings)),
    };
    let width = terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0));
    let shown = view::plan(&given.to_string_lossy(), &plan, None, width);
    if !yes && ask::is_possible() {
        if !ask::ask(&format!("{shown}\n\nAdd it as `{name}`? [y/N] "))? {
            return Ok(ExitCode::FAILURE);
        }
    } else {
        print(&format!("{shown}\n"))?;
        if !yes {
            complain("nothing was added: there is no terminal to ask on; use `--yes`");
            return Ok(ExitCode::FAILURE);
        }
    }
    create(setting, &path, &text)?;
    print(&format!("wrote {}: use it with `ccrun -p {name} claude`\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Opens a profile of the user's in their editor. What stands there stays until what was written is valid.
pub(super) fn edit(setting: &Setting, name: &str, surroundings: &Surroundings) -> Result<ExitCode> {
    let path = file(&setting.places, name)?;
    // A link stays one: the file that it leads to is what is written.
    let path = path.canonicalize().unwrap_or(path);
    let before = if path.exists() { Some(read(&path)?) } else { None };
    let directory = setting.places.profiles();
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make `{}`", directory.display()))?;
    let copy = tempfile::Builder::new().prefix(&format!(".{name}-")).suffix(".toml").tempfile_in(&directory)?;
    let first = before.clone().unwrap_or_else(|| template(&[], &[]));
    std::fs::write(copy.path(), first).with_context(|| format!("cannot write `{}`", copy.path().display()))?;
    loop {
        open(copy.path(), surroundings)?;
        let text = read(copy.path())?;
        if before.as_ref() == Some(&text) {
            print("nothing was changed\n")?;
            return Ok(ExitCode::SUCCESS);
        }
        let Err(faults) = setting.check_own(name, &path, &text) else {
            state::write(&path, text.as_bytes()).with_context(|| format!("cannot write `{}`", path.display()))?;
            print(&format!("wrote {}\n", path.display()))?;
            return Ok(ExitCode::SUCCESS);
        };
        let code = invalid(&faults, surroundings);
        if !ask::is_possible() || !ask::ask("Edit it again? [y/N] ")? {
            complain(&format!("nothing was written: `{}` is as it was", printable(&path.display().to_string())));
            return Ok(code);
        }
    }
}

/// Opens a file in the user's editor and waits for that to end. The variables may hold arguments.
fn open(path: &Path, surroundings: &Surroundings) -> Result<()> {
    let editor = surroundings.text("VISUAL").or_else(|| surroundings.text("EDITOR")).unwrap_or("vi");
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
