//! `ccrun wire` and `ccrun unwire`: settings of others that name us.

mod claude;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;

use super::{complain, print, refuse_inside_claude};
use crate::cli::{self, EditorFiles, UnwireTarget, WireTarget};
use crate::printable::{printable, visible};
use crate::setting::Setting;
use crate::surroundings::{Places, Surroundings};
use crate::wire::jsonc::Spot;
use crate::wire::wiring::Entry;
use crate::wire::{Plan, Records, Target, editors};

/// Where Claude Code's extension looks for what to start its Claude by.
const WRAPPER: &str = "claudeCode.claudeProcessWrapper";

/// Where it looks for variables to give to it.
const VARIABLES: &str = "claudeCode.environmentVariables";

pub(super) fn wire(options: cli::Wire, surroundings: &Surroundings) -> Result<ExitCode> {
    if let Some(refusal) = refuse_inside_claude("wire", surroundings) {
        return Ok(refusal);
    }
    let (setting, _) = Setting::gather(surroundings)?;
    match options.target {
        WireTarget::Code(options) => code(&options, &setting.places, surroundings),
        WireTarget::Claude(options) => claude::wire(options, &setting, surroundings),
    }
}

fn code(options: &cli::WireCode, places: &Places, surroundings: &Surroundings) -> Result<ExitCode> {
    let files = chosen(&options.files, places, surroundings)?;
    let records = records(places, options.dry_run)?;
    let entries = entries(options, &records);
    if !options.dry_run {
        // First, for a wrapper that is not there keeps Claude from starting.
        records.set_link(&surroundings.called())?;
    }
    let done = each(&files, |path| wire_file(path, &entries, Target::Code, &records, options.dry_run));
    tidy(&records, options.dry_run);
    Ok(done)
}

pub(super) fn unwire(options: cli::Unwire, surroundings: &Surroundings) -> Result<ExitCode> {
    if let Some(refusal) = refuse_inside_claude("unwire", surroundings) {
        return Ok(refusal);
    }
    let places = Setting::gather(surroundings)?.0.places;
    let (target, files, dry_run) = match options.target {
        UnwireTarget::Code(options) => {
            let all = options.files.editors.is_empty() && options.files.settings.is_none();
            let files = if all { None } else { Some(chosen(&options.files, &places, surroundings)?) };
            (Target::Code, files, options.dry_run)
        }
        UnwireTarget::Claude(options) => {
            let file = options.settings.map(|path| vec![surroundings.directory.join(path)]);
            (Target::Claude, file, options.dry_run)
        }
    };
    let records = records(&places, dry_run)?;
    let files = files.unwrap_or_else(|| records.all(target));
    if files.is_empty() {
        print("nothing is wired\n")?;
    }
    let done = each(&files, |path| unwire_file(path, &records, dry_run));
    tidy(&records, dry_run);
    Ok(done)
}

/// Those that may be changed, unless nothing is to be.
fn records(places: &Places, dry_run: bool) -> Result<Records> {
    if dry_run { Ok(Records::look(places.wired())) } else { Records::open(places.wired()) }
}

/// Nobody names the link any more once nothing is wired.
fn tidy(records: &Records, dry_run: bool) {
    if !dry_run && records.all(Target::Code).is_empty() {
        records.remove_link();
    }
}

/// Does something with each file. One that cannot be done keeps no other from it.
fn each(files: &[PathBuf], act: impl Fn(&Path) -> Result<()>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for path in files {
        if let Err(error) = act(path) {
            complain(&visible(&format!("{error:#}")));
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// The files that are meant: one that is named, those of editors that are named, or all that are found.
fn chosen(files: &EditorFiles, places: &Places, surroundings: &Surroundings) -> Result<Vec<PathBuf>> {
    if let Some(path) = &files.settings {
        return Ok(vec![surroundings.directory.join(path)]);
    }
    let data = surroundings.variable("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.unwrap_or_else(|| places.home.join(".local/share"));
    let config = places.config.parent().unwrap_or(&places.home);
    let known = editors::settings(&files.editors, &places.home, config, &data);
    let found: Vec<_> = known.iter().filter(|path| path.parent().is_some_and(Path::is_dir)).cloned().collect();
    if found.is_empty() {
        let looked: Vec<_> = known.iter().map(|path| format!("`{}`", Places::shortened(path))).collect();
        bail!("no editor has been here yet: name its settings by `--settings`; looked for {}", looked.join(", "));
    }
    Ok(found)
}

/// What is to stand in an editor's settings.
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

fn wire_file(path: &Path, entries: &[Entry], target: Target, records: &Records, dry_run: bool) -> Result<()> {
    let plan = Plan::wire(path, entries, target, records)?;
    let (shown, what) = (shown(path), what(entries));
    if !plan.changes() {
        return print(&format!("`{shown}` is wired already: {what}\n"));
    }
    if dry_run {
        return print(&format!("`{shown}` would be given {what}\n"));
    }
    plan.carry_out(records)?;
    let backup = printable(&Places::shortened(&records.backup(plan.path())));
    print(&format!("`{shown}` was given {what}\n  as it was before it is kept in `{backup}`; {}\n", target.advice()))
}

fn unwire_file(path: &Path, records: &Records, dry_run: bool) -> Result<()> {
    let shown = shown(path);
    let Some((plan, target)) = Plan::unwire(path, records)? else {
        return print(&format!("`{shown}` was not wired by ccrun, and is left as it is\n"));
    };
    for spot in &plan.left {
        complain(&format!("`{shown}`: `{}` is not what ccrun had put there, and stays", visible(&name(spot))));
    }
    if dry_run {
        return print(&format!("`{shown}` would be without ccrun again\n"));
    }
    plan.carry_out(records)?;
    print(&format!("`{shown}` is without ccrun again; {}\n", target.advice()))
}

/// The entries by their names; the values of variables are nobody's business.
fn what(entries: &[Entry]) -> String {
    let names = entries.iter().map(|Entry { spot, value }| match spot {
        Spot::In(list) => format!("`{}` in `{list}`", visible(value["name"].as_str().unwrap_or_default())),
        Spot::Key(key) | Spot::KeyOf(_, key) => format!("`{key}`"),
    });
    names.collect::<Vec<_>>().join(", ")
}

fn name(spot: &Spot) -> String {
    match spot {
        Spot::In(key) | Spot::Key(key) => key.clone(),
        Spot::KeyOf(table, key) => format!("{table}.{key}"),
    }
}

fn shown(path: &Path) -> String {
    printable(&Places::shortened(path))
}
