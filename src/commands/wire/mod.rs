//! `ccrun wire` and `ccrun unwire`: adds ccrun to the settings of other programs.

mod claude;
mod statusline;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;

use super::{complain, gather, print, profile, refuse_in_foreign_home, refuse_inside_claude};
use crate::cli::{self, EditorFiles, UnwireTarget, WireTarget};
use crate::profile::Selection;
use crate::state::Places;
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal::printable::{printable, visible};
use crate::wiring::entry::Entry;
use crate::wiring::jsonc::Spot;
use crate::wiring::{Edit, Records, Target, editors};
use crate::workspace::Workspace;

/// The setting in which the Claude Code extension finds the program to start Claude with.
const WRAPPER: &str = "claudeCode.claudeProcessWrapper";

/// The setting with variables for Claude.
const VARIABLES: &str = "claudeCode.environmentVariables";

pub(super) fn wire(options: cli::Wire, process: &ProcessEnvironment) -> Result<ExitCode> {
    let refusal = refuse_inside_claude("wire", process).or_else(|| refuse_in_foreign_home("wire", process));
    if let Some(refusal) = refusal {
        return Ok(refusal);
    }
    let (workspace, config) = gather(process)?;
    match options.target {
        WireTarget::Code(options) => {
            let profiles: Vec<_> = options.profile.iter().cloned().collect();
            // Each window's project has its own say; what is written down has to exist.
            let selection = Selection { profiles, ..Selection::default() };
            if options.profile.is_some()
                && let Err(faults) = workspace.resolve(&selection, &config)
            {
                return Ok(profile::invalid(&faults, process));
            }
            code(&options, &workspace.places, process)
        }
        WireTarget::Claude(options) => claude::wire(options, &workspace, &config, process),
        WireTarget::Statusline(options) => statusline::wire(options, &workspace.places, process),
    }
}

fn code(options: &cli::WireCode, places: &Places, process: &ProcessEnvironment) -> Result<ExitCode> {
    let files = chosen(&options.files, places, process)?;
    let records = records(places, options.dry_run)?;
    let entries = entries(options, &records);
    if !options.dry_run {
        // The link comes first: if the wrapper is missing, Claude does not start.
        records.set_link(&process.called())?;
    }
    let done = each(&files, |path| {
        let edit = Edit::wire(path, |_| Ok(entries.clone()), Target::Code, &records)?;
        wire_file(path, &edit, &what(&entries), Target::Code, &records, options.dry_run)
    });
    tidy(&records, options.dry_run);
    Ok(done)
}

pub(super) fn unwire(options: cli::Unwire, process: &ProcessEnvironment) -> Result<ExitCode> {
    let refusal = refuse_inside_claude("unwire", process).or_else(|| refuse_in_foreign_home("unwire", process));
    if let Some(refusal) = refusal {
        return Ok(refusal);
    }
    let places = Workspace::gather(process)?.0.places;
    let (target, files, dry_run) = match options.target {
        UnwireTarget::Code(options) => {
            let all = options.files.editors.is_empty() && options.files.settings.is_none();
            let files = if all { None } else { Some(chosen(&options.files, &places, process)?) };
            (Target::Code, files, options.dry_run)
        }
        UnwireTarget::Claude(options) => {
            let file = options.settings.map(|path| vec![process.directory.join(path)]);
            (Target::Claude, file, options.dry_run)
        }
        UnwireTarget::Statusline(options) => {
            let file = options.settings.map(|path| vec![process.directory.join(path)]);
            (Target::StatusLine, file, options.dry_run)
        }
    };
    let records = records(&places, dry_run)?;
    let files = files.unwrap_or_else(|| records.all(target));
    if files.is_empty() {
        print("nothing is wired\n")?;
    }
    let done = each(&files, |path| unwire_file(path, target, &records, dry_run));
    tidy(&records, dry_run);
    Ok(done)
}

/// Locks the records for a change, unless nothing will change.
fn records(places: &Places, dry_run: bool) -> Result<Records> {
    if dry_run { Ok(Records::look(places.wired())) } else { Records::open(places.wired()) }
}

/// Removes the link when nothing is wired any longer.
fn tidy(records: &Records, dry_run: bool) {
    if !dry_run && records.all(Target::Code).is_empty() {
        records.remove_link();
    }
}

/// What became of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Changed,
    /// There was nothing to change, or this is a dry run.
    Unchanged,
}

/// Applies `act` to each file. A failure does not stop the others; the last line then says which files were changed.
fn each(files: &[PathBuf], act: impl Fn(&Path) -> Result<Done>) -> ExitCode {
    let (mut changed, mut failed) = (Vec::new(), Vec::new());
    for path in files {
        match act(path) {
            Ok(Done::Changed) => changed.push(path),
            Ok(Done::Unchanged) => {}
            Err(error) => {
                complain(&visible(&format!("{error:#}")));
                failed.push(path);
            }
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    if files.len() > 1 {
        let names = |paths: &[&PathBuf]| match paths {
            [] => "none".to_owned(),
            paths => paths.iter().map(|path| format!("`{}`", shown(path))).collect::<Vec<_>>().join(", "),
        };
        complain(&format!("changed: {}; not changed: {}", names(&changed), names(&failed)));
    }
    ExitCode::FAILURE
}

/// The files: one that is named, those of named editors, or all that are found.
fn chosen(files: &EditorFiles, places: &Places, process: &ProcessEnvironment) -> Result<Vec<PathBuf>> {
    if let Some(path) = &files.settings {
        return Ok(vec![process.directory.join(path)]);
    }
    let data = process.variable("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.unwrap_or_else(|| places.home.join(".local/share"));
    let config = places.config.parent().unwrap_or(&places.home);
    let known = editors::settings(&files.editors, &places.home, config, &data);
    let found: Vec<_> = known.iter().filter(|path| path.parent().is_some_and(Path::is_dir)).cloned().collect();
    if found.is_empty() {
        let looked: Vec<_> = known.iter().map(|path| format!("`{}`", Places::shortened(path))).collect();
        bail!("no editor was found: pass its settings file with `--settings`; looked for {}", looked.join(", "));
    }
    Ok(found)
}

/// The entries for an editor's settings.
fn entries(options: &cli::WireCode, records: &Records) -> Vec<Entry> {
    let wrapper = json!(records.link().display().to_string());
    let profile = options.profile.iter().map(|name| ("CCRUN_PROFILE", name));
    let variables = profile.chain(options.env.iter().map(|(name, value)| (name.as_str(), value)));
    let variables = variables.map(|(name, value)| Entry {
        spot: Spot::In(VARIABLES.to_owned()),
        value: json!({"name": name, "value": value}),
    });
    std::iter::once(Entry { spot: Spot::Key(WRAPPER.to_owned()), value: wrapper }).chain(variables).collect()
}

/// Changes a file, and prints what was added.
fn wire_file(path: &Path, edit: &Edit, what: &str, target: Target, records: &Records, dry_run: bool) -> Result<Done> {
    let shown = shown(path);
    if !edit.changes() {
        print(&format!("`{shown}` is already wired: {what}\n"))?;
        return Ok(Done::Unchanged);
    }
    if dry_run {
        print(&format!("would add to `{shown}`: {what}\n"))?;
        return Ok(Done::Unchanged);
    }
    edit.carry_out(records)?;
    let backup = printable(&Places::shortened(&edit.backup(records)));
    print(&format!("added to `{shown}`: {what}\n  the old file is kept as `{backup}`; {}\n", target.advice()))?;
    Ok(Done::Changed)
}

fn unwire_file(path: &Path, target: Target, records: &Records, dry_run: bool) -> Result<Done> {
    let shown = shown(path);
    let Some(edit) = Edit::unwire(path, target, records)? else {
        print(&format!("`{shown}` is not wired by ccrun and was not changed\n"))?;
        return Ok(Done::Unchanged);
    };
    for spot in &edit.left {
        complain(&format!("`{shown}`: `{}` has changed since ccrun wrote it, and stays", visible(&spot.to_string())));
    }
    if dry_run {
        print(&format!("would remove ccrun from `{shown}`\n"))?;
        return Ok(Done::Unchanged);
    }
    edit.carry_out(records)?;
    print(&format!("removed ccrun from `{shown}`; {}\n", target.advice()))?;
    Ok(Done::Changed)
}

/// The names of the entries. The values of variables are not shown.
fn what(entries: &[Entry]) -> String {
    let names = entries.iter().map(|Entry { spot, value }| match spot {
        Spot::In(list) => format!("`{}` in `{list}`", visible(value["name"].as_str().unwrap_or_default())),
        Spot::Key(key) | Spot::KeyOf(_, key) | Spot::Over(_, key) => format!("`{key}`"),
    });
    names.collect::<Vec<_>>().join(", ")
}

fn shown(path: &Path) -> String {
    printable(&Places::shortened(path))
}
