//! `ccrun trust` and `ccrun untrust`: shows what a project's file does before it may.

pub(super) mod view;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::{ask, colour, complain, print, refuse_inside_claude, run};
use crate::cli;
use crate::printable::printable;
use crate::profile::project::{self, FILE_NAME};
use crate::profile::{Faults, Plan};
use crate::setting::Setting;
use crate::state;
use crate::surroundings::{Places, Surroundings};
use crate::trust::{Subject, Trust, Verdict};

pub(super) fn trust(options: &cli::Trust, surroundings: &Surroundings) -> Result<ExitCode> {
    if let Some(refusal) = refuse_inside_claude("trust", surroundings) {
        return Ok(refusal);
    }
    let directory = directory(options.path.as_deref(), surroundings)?;
    let (subject, view) = match read(&directory, surroundings) {
        Ok(Some(read)) => read,
        Ok(None) => {
            complain(&format!("there is no `{FILE_NAME}` in `{}` or above", shown(&directory)));
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return invalid(error, surroundings),
    };
    let (setting, _) = Setting::gather(surroundings)?;
    let places = setting.places;
    let trust = Trust::new(places.trust());
    let path = shown(&subject.project.path);
    let verdict = trust.verdict(&subject);
    if verdict == Verdict::Trusted {
        print(&format!("`{path}` is trusted already\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !accepts(options, &subject, &text(&view, &subject, &verdict))? {
        return Ok(ExitCode::FAILURE);
    }
    state::prepare(&places)?;
    // What was shown is granted, whatever stands there by now.
    trust.grant(&subject, Timestamp::now())?;
    print(&format!("`{path}` is trusted\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether the user accepts what `text` says, by option or asked.
fn accepts(options: &cli::Trust, subject: &Subject, text: &str) -> Result<bool> {
    if let Some(expected) = &options.hash {
        if *expected != subject.hash() {
            print(text)?;
            complain("nothing was trusted: `--hash` names something else than what is there now");
            return Ok(false);
        }
        return Ok(true);
    }
    if !options.yes && ask::is_possible() {
        // What is asked about stands where the question does, wherever stdout goes.
        return ask::ask(&format!("{text}\nTrust it? [y/N] "));
    }
    print(text)?;
    if !options.yes {
        complain("nothing was trusted: there is no terminal to ask on; use `--hash` with the hash above, or `--yes`");
    }
    Ok(options.yes)
}

pub(super) fn untrust(options: &cli::Untrust, surroundings: &Surroundings) -> Result<ExitCode> {
    if let Some(refusal) = refuse_inside_claude("untrust", surroundings) {
        return Ok(refusal);
    }
    let directory = directory(options.path.as_deref(), surroundings)?;
    let trust = Trust::new(Setting::gather(surroundings)?.0.places.trust());
    // The file may have gone, or be one that is not read any more, and what was accepted of it is still recorded.
    let mut files = directory.ancestors().map(|ancestor| ancestor.join(FILE_NAME));
    let Some(path) = files.find(|file| trust.has(file) || file.symlink_metadata().is_ok()) else {
        complain(&format!("there is no `{FILE_NAME}` in `{}` or above", shown(&directory)));
        return Ok(ExitCode::FAILURE);
    };
    let what = if trust.revoke(&path)? { "is not trusted any more" } else { "was not trusted" };
    print(&format!("`{}` {what}\n", shown(&path)))?;
    Ok(ExitCode::SUCCESS)
}

/// The directory that is meant, by itself or by the project's file in it, without links where it is there.
fn directory(path: Option<&Path>, surroundings: &Surroundings) -> Result<PathBuf> {
    let path = path.map_or_else(|| surroundings.directory.clone(), |path| surroundings.directory.join(path));
    let is_file = path.file_name().is_some_and(|name| name == FILE_NAME);
    let directory = if is_file { path.parent().unwrap_or(&path) } else { &path };
    match directory.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(directory.to_owned()),
        other => other.with_context(|| format!("cannot look into `{}`", directory.display())),
    }
}

/// The project's file with all that it brings, and what it does together with the profile that applies there.
fn read(directory: &Path, surroundings: &Surroundings) -> Result<Option<(Subject, Plan)>> {
    let (setting, config) = Setting::gather(surroundings)?;
    let Some(project) = project::find(directory, &setting.places.home).map_err(Faults::from)? else { return Ok(None) };
    let selection = run::selection(cli::Launch::default(), surroundings);
    Ok(Some(setting.subject(&project, &selection, &config)?))
}

/// Says what is wrong with a project's file, and which exit code stands for that.
fn invalid(error: anyhow::Error, surroundings: &Surroundings) -> Result<ExitCode> {
    let faults = error.downcast::<Faults>()?;
    let colour = colour(&io::stderr(), surroundings);
    complain(&format!("nothing was trusted\n{}", faults.render(colour)));
    Ok(ExitCode::from(2))
}

/// The plan, what of it is new, and the hash that stands for it.
fn text(view: &Plan, subject: &Subject, verdict: &Verdict) -> String {
    let width = terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0));
    let path = subject.project.path.to_string_lossy();
    let files = subject.files.keys().cloned().collect();
    let mut parts = vec![view::plan(&path, view, Some(files), width)];
    if let Verdict::Changed { accepted } = verdict {
        let date = accepted.granted_at.to_zoned(jiff::tz::TimeZone::system()).date();
        let difference = view::difference(accepted, subject, width);
        parts.push(format!("Since it was accepted on {date}:\n{difference}"));
    }
    parts.push(format!("SHA-256 {}\n", subject.hash()));
    parts.join("\n\n")
}

fn shown(path: &Path) -> String {
    printable(&Places::shortened(path))
}
