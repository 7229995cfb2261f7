//! `ccrun profile`: lists, shows, checks and creates profiles.

mod edit;
mod files;

pub(super) use self::files::{file, invalid};

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;

use self::files::{create, template};
use super::selection::selection;
use super::{complain, gather, print, print_json, refuse_in_foreign_home, refuse_inside_claude};
use crate::cli::{self, ProfileCommand};
use crate::profile::{Layer, Resolved, Selection, json_schema, show};
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal;
use crate::terminal::printable::{printable, visible};
use crate::terminal::table::{Column, Table};
use crate::workspace::project::ProjectFile;
use crate::workspace::{Config, IgnoredProject, Workspace};
use crate::{claude, credential};

pub(super) fn run(command: ProfileCommand, process: &ProcessEnvironment) -> Result<ExitCode> {
    let writes = match command {
        ProfileCommand::New { .. } => Some("profile new"),
        ProfileCommand::Add { .. } => Some("profile add"),
        ProfileCommand::Edit { .. } => Some("profile edit"),
        _ => None,
    };
    let refuse = |verb| refuse_inside_claude(verb, process).or_else(|| refuse_in_foreign_home(verb, process));
    if let Some(refusal) = writes.and_then(refuse) {
        return Ok(refusal);
    }
    let (workspace, config) = gather(process)?;
    match command {
        ProfileCommand::List { json } => {
            let chosen = process.text("CCRUN_PROFILE").map(str::to_owned);
            let project = workspace.project(&selection(cli::Launch::default(), process), &config);
            list(&workspace, &chosen.unwrap_or_else(|| workspace.default_profile(&config)), project, json)
        }
        ProfileCommand::Show { name, given, json } => {
            let launch = cli::Launch::from(given);
            let launch = cli::Launch { profiles: name.into_iter().chain(launch.profiles).collect(), ..launch };
            show((&workspace, &config), &selection(launch, process), json, process)
        }
        ProfileCommand::Check { names } => check((&workspace, &config), names, process),
        ProfileCommand::New { name, extends, variables, from_env } => {
            if from_env {
                return from_env_new(&workspace, &name, process);
            }
            let text = template(&extends, &variables);
            let selection = Selection { profiles: extends, variables, ..Selection::default() };
            match workspace.check_variables(&selection) {
                Ok(()) => new(&workspace, &name, &text, process),
                Err(faults) => Ok(invalid(&faults, process)),
            }
        }
        ProfileCommand::Add { file, yes } => edit::add(&workspace, &file, yes, process),
        ProfileCommand::Edit { name } => edit::edit(&workspace, &name, process),
        ProfileCommand::Path { name } => path(&workspace, name.as_deref()),
        ProfileCommand::Schema => {
            print_json(&json_schema())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Lists profiles. `project` is the project file that applies, or why the one that exists does not.
fn list(
    workspace: &Workspace,
    default: &str,
    project: Result<Option<ProjectFile>, IgnoredProject>,
    json: bool,
) -> Result<ExitCode> {
    let described = |(name, layer): (String, Layer)| {
        let selection = Selection { profiles: vec![name.clone()], ..Selection::default() };
        // `profile check` explains faults in full.
        let description = workspace.describe(&selection).unwrap_or_else(|fault| format!("invalid: {fault}"));
        (name, layer, description)
    };
    let profiles: Vec<_> = workspace.profiles().into_iter().map(described).collect();
    if json {
        let entry = |(name, layer, description): &(String, Layer, String)| {
            let (layer, is_default) = (layer.name(), name == default);
            json!({ "name": name, "layer": layer, "description": description, "default": is_default })
        };
        let entries: Vec<_> = profiles.iter().map(entry).collect();
        print_json(&entries)?;
        return Ok(ExitCode::SUCCESS);
    }
    let columns = [Column::word(""), Column::name("NAME"), Column::word("LAYER"), Column::prose("DESCRIPTION")];
    let mut table = Table::new(columns);
    for (name, layer, description) in profiles {
        let mark = if name == default { "*" } else { "" };
        table.push([mark.to_owned(), printable(&name), layer.name().to_owned(), printable(&description)]);
    }
    let table = table.text(terminal::width(&std::io::stdout()));
    print(&format!("{table}* is the default\n"))?;
    match project {
        Ok(Some(project)) => print(&format!("`{}` also applies here\n", visible(&project.path.to_string_lossy())))?,
        Ok(None) => {}
        Err(ignored) => print(&format!("{}\n", visible(&ignored.to_string())))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(
    (workspace, config): (&Workspace, &Config),
    selection: &Selection,
    json: bool,
    process: &ProcessEnvironment,
) -> Result<ExitCode> {
    let resolved = match workspace.resolve(selection, config) {
        Ok((resolved, ignored)) => {
            if let Some(ignored) = ignored {
                complain(&visible(&ignored.to_string()));
            }
            resolved
        }
        Err(faults) => return Ok(invalid(&faults, process)),
    };
    let lines = resolved.lines();
    if json {
        print_json(&show::as_json(&lines))?;
        return Ok(ExitCode::SUCCESS);
    }
    let lines: Vec<_> = lines.iter().map(|line| (value(line), remark(line))).collect();
    let width = lines.iter().map(|(value, _)| value.chars().count()).max().unwrap_or(0);
    for (value, remark) in lines {
        print(&format!("{value:width$}  # {remark}\n", width = width.min(60)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Why Claude Code would ignore the profile's `[settings]`, and where the fault is.
fn settings_fault(resolved: &Resolved) -> Option<String> {
    let (_, fault) = claude::sound(resolved.profile.settings.clone(), "`[settings]`");
    let key = claude::settings_schema::fault(&resolved.profile.settings)?.key;
    let first = key.split(['.', '[']).next().unwrap_or(&key);
    let place = resolved.origin(["settings", first]);
    fault.map(|fault| place.map_or_else(|| fault.clone(), |place| format!("{place}: {fault}")))
}

/// `KEY = VALUE`, or the key of a removed value as a comment.
fn value(line: &show::Line) -> String {
    match &line.value {
        Some(value) => format!("{} = {}", visible(&line.key), visible(value)),
        None => format!("# {}", visible(&line.key)),
    }
}

/// The source of a value, who enforced it, and remarks.
fn remark(line: &show::Line) -> String {
    let mut parts: Vec<String> = Some(&line.origin).filter(|origin| !origin.is_empty()).cloned().into_iter().collect();
    if let Some((by, instead)) = &line.enforced {
        let what = if line.value.is_some() { "enforced" } else { "removed" };
        let instead = instead.as_ref().map(|instead| format!(" instead of {instead}")).unwrap_or_default();
        parts.push(format!("{what} by {by}{instead}"));
    }
    parts.extend(line.about.clone());
    visible(&parts.join("; "))
}

/// Checks the named profiles and files, or all of them.
fn check(
    (workspace, config): (&Workspace, &Config),
    names: Vec<String>,
    process: &ProcessEnvironment,
) -> Result<ExitCode> {
    let names = if names.is_empty() { workspace.own_profiles() } else { names };
    let mut worst = ExitCode::SUCCESS;
    for name in names {
        let resolved = if name.contains('/') || Path::new(&name).extension().is_some() {
            workspace.check_file(&process.directory.join(&name))
        } else {
            workspace
                .resolve(&Selection { profiles: vec![name.clone()], ..Selection::default() }, config)
                .map(|(resolved, _)| resolved)
        };
        match resolved {
            Ok(resolved) => match settings_fault(&resolved) {
                Some(fault) => {
                    complain(&visible(&format!("{name}: {fault}")));
                    worst = ExitCode::from(2);
                }
                None => print(&format!("{}: ok{}\n", printable(&name), missing(&resolved, workspace)))?,
            },
            Err(faults) => worst = invalid(&faults, process),
        }
    }
    Ok(worst)
}

/// What the profile needs and this machine lacks.
fn missing(resolved: &Resolved, workspace: &Workspace) -> String {
    let destinations = resolved.profile.destinations.iter().filter_map(|destination| {
        let reason = credential::missing(destination, workspace.context())?;
        Some(format!("\n  destination {}: {}", printable(&destination.name), visible(&reason)))
    });
    destinations.collect()
}

fn path(workspace: &Workspace, name: Option<&str>) -> Result<ExitCode> {
    let path = match name {
        Some(name) => file(&workspace.places, name)?,
        None => workspace.places.profiles(),
    };
    print(&format!("{}\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a commented profile. Fails if the name is taken or the profile would be invalid.
fn new(workspace: &Workspace, name: &str, text: &str, process: &ProcessEnvironment) -> Result<ExitCode> {
    let path = file(&workspace.places, name)?;
    if path.symlink_metadata().is_ok() {
        bail!("the profile `{name}` already exists: `ccrun profile edit {name}` edits it");
    }
    let resolved = match workspace.check_own(name, &path, text) {
        Ok(resolved) => resolved,
        Err(faults) => return Ok(invalid(&faults, process)),
    };
    create(workspace, &path, text)?;
    print(&format!("wrote {}; use it with `ccrun -p {name} claude`\n", path.display()))?;
    if resolved.profile.destinations.is_empty() {
        print(&format!(
            "it has no destination and sends nothing: use `--extends BACKEND`, or add one with \
             `ccrun profile edit {name}`\n"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the telemetry settings that exist for Claude Code as a profile.
fn from_env_new(workspace: &Workspace, name: &str, process: &ProcessEnvironment) -> Result<ExitCode> {
    let found = workspace.inherited().unwrap_or_default();
    found.remarks().iter().for_each(|remark| complain(&visible(remark)));
    let Some(text) = found.text() else {
        bail!(
            "no telemetry is configured: neither the environment nor Claude Code's user settings have \
             CLAUDE_CODE_ENABLE_TELEMETRY=1 and an OTLP endpoint that a profile can name"
        );
    };
    let code = new(workspace, name, &text, process)?;
    if code == ExitCode::SUCCESS && found.has_headers() {
        complain("the file contains the headers with their keys: keep it private");
    }
    Ok(code)
}
