//! `ccrun trust` and `ccrun untrust`: shows what a project's file does before it takes effect.

pub(super) mod view;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::selection::selection;
use super::{colour, complain, gather, print, refuse_inside_claude};
use crate::profile::{Effects, Faults};
use crate::state::Places;
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal;
use crate::terminal::printable::printable;
use crate::terminal::prompt;
use crate::workspace::project::FILE_NAME;
use crate::workspace::trust::{Review, Trust, Verdict};
use crate::workspace::{Config, Workspace, project};
use crate::{cli, state};

pub(super) fn trust(options: &cli::Trust, process: &ProcessEnvironment) -> Result<ExitCode> {
    if let Some(refusal) = refuse_inside_claude("trust", process) {
        return Ok(refusal);
    }
    let directory = directory(options.path.as_deref(), process)?;
    let (workspace, config) = gather(process)?;
    let (review, view) = match read(&directory, &workspace, &config, process) {
        Ok(Some(read)) => read,
        Ok(None) => {
            complain(&format!("there is no `{FILE_NAME}` in `{}` or above", shown(&directory)));
            return Ok(ExitCode::FAILURE);
        }
        Err(faults) => return Ok(invalid(&faults, process)),
    };
    let places = workspace.places;
    let trust = Trust::new(places.trust());
    let path = shown(&review.project.path);
    let verdict = trust.verdict(&review);
    if verdict == Verdict::Trusted {
        print(&format!("`{path}` is already trusted\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !accepts(options, &review, &text(&view, &review, &verdict))? {
        return Ok(ExitCode::FAILURE);
    }
    state::prepare(&places)?;
    // Trusts what was shown, even if the file has changed since.
    trust.grant(&review, process.started_at)?;
    print(&format!("`{path}` is trusted\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether the user accepts the plan in `text`, by option or when asked.
fn accepts(options: &cli::Trust, review: &Review, text: &str) -> Result<bool> {
    if let Some(expected) = &options.hash {
        if *expected != review.hash() {
            print(text)?;
            complain("nothing was trusted: `--hash` does not match the current content");
            return Ok(false);
        }
        return Ok(true);
    }
    if !options.yes && prompt::is_possible() {
        // Print the plan where the question is printed, even if stdout is redirected.
        return prompt::ask(&format!("{text}\nTrust it? [y/N] "));
    }
    print(text)?;
    if !options.yes {
        complain(
            "nothing was trusted: there is no terminal to confirm on; use `--hash` with the hash above, or `--yes`",
        );
    }
    Ok(options.yes)
}

pub(super) fn untrust(options: &cli::Untrust, process: &ProcessEnvironment) -> Result<ExitCode> {
    if let Some(refusal) = refuse_inside_claude("untrust", process) {
        return Ok(refusal);
    }
    let directory = directory(options.path.as_deref(), process)?;
    let trust = Trust::new(Workspace::gather(process)?.0.places.trust());
    // The file may be gone or no longer readable, but its trust is still recorded.
    let mut files = directory.ancestors().map(|ancestor| ancestor.join(FILE_NAME));
    let Some(path) = files.find(|file| trust.has(file) || file.symlink_metadata().is_ok()) else {
        complain(&format!("there is no `{FILE_NAME}` in `{}` or above", shown(&directory)));
        return Ok(ExitCode::FAILURE);
    };
    let what = if trust.revoke(&path)? { "is no longer trusted" } else { "was not trusted" };
    print(&format!("`{}` {what}\n", shown(&path)))?;
    Ok(ExitCode::SUCCESS)
}

/// The directory, given by itself or by the project file in it. Links are resolved if it exists.
fn directory(path: Option<&Path>, process: &ProcessEnvironment) -> Result<PathBuf> {
    let path = path.map_or_else(|| process.directory.clone(), |path| process.directory.join(path));
    let is_file = path.file_name().is_some_and(|name| name == FILE_NAME);
    let directory = if is_file { path.parent().unwrap_or(&path) } else { &path };
    match directory.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(directory.to_owned()),
        other => other.with_context(|| format!("cannot look into `{}`", directory.display())),
    }
}

/// Reads the project's file with everything it depends on, and what it does together with the profile that applies
/// there.
fn read(
    directory: &Path,
    workspace: &Workspace,
    config: &Config,
    process: &ProcessEnvironment,
) -> Result<Option<(Review, Effects)>, Faults> {
    let Some(project) = project::find(directory, &workspace.places.home)? else {
        return Ok(None);
    };
    let selection = selection(cli::Launch::default(), process);
    Ok(Some(workspace.review(&project, &selection, config)?))
}

/// Reports errors in a project's file and returns the exit code.
fn invalid(faults: &Faults, process: &ProcessEnvironment) -> ExitCode {
    let colour = colour(&io::stderr(), process);
    complain(&format!("nothing was trusted\n{}", faults.render(colour)));
    ExitCode::from(2)
}

/// The plan, what is new in it, and its hash.
fn text(view: &Effects, review: &Review, verdict: &Verdict) -> String {
    let width = terminal::width(&std::io::stdout()).unwrap_or(100);
    let path = review.project.path.to_string_lossy();
    let mut parts = vec![view::effects(&path, view, Some(review), width)];
    if let Verdict::Changed { accepted } = verdict {
        let date = accepted.granted_at.to_zoned(jiff::tz::TimeZone::system()).date();
        let difference = view::difference(accepted, review, width);
        parts.push(format!("Changes since it was trusted on {date}:\n{difference}"));
    }
    parts.push(format!("SHA-256 {}\n", review.hash()));
    parts.join("\n\n")
}

fn shown(path: &Path) -> String {
    printable(&Places::shortened(path))
}
