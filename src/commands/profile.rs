//! `ccrun profile`: what profiles there are, what they say, and whether they are right.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use comfy_table::{Table, presets};
use serde_json::json;

use super::{colour, complain, print, profile_edit, refuse_inside_claude, run};
use crate::cli::{self, ProfileCommand};
use crate::credential;
use crate::printable::{printable, visible};
use crate::profile::project::ProjectFile;
use crate::profile::{Faults, Layer, Resolved, Selection, check_name, json_schema, show};
use crate::setting::Setting;
use crate::surroundings::{Places, Surroundings};

pub(super) fn run(command: ProfileCommand, surroundings: &Surroundings) -> Result<ExitCode> {
    let writes = match command {
        ProfileCommand::New { .. } => Some("profile new"),
        ProfileCommand::Add { .. } => Some("profile add"),
        ProfileCommand::Edit { .. } => Some("profile edit"),
        _ => None,
    };
    if let Some(refusal) = writes.and_then(|verb| refuse_inside_claude(verb, surroundings)) {
        return Ok(refusal);
    }
    let (setting, config) = Setting::gather(surroundings)?;
    match command {
        ProfileCommand::List { json } => {
            let chosen = surroundings.text("CCRUN_PROFILE").map(str::to_owned);
            let project = setting.project(&run::selection(cli::Launch::default(), surroundings), &config);
            list(&setting, &chosen.unwrap_or_else(|| setting.default_profile(&config)), project, json)
        }
        ProfileCommand::Show { name, launch, json } => {
            let launch = cli::Launch { profiles: name.into_iter().chain(launch.profiles).collect(), ..launch };
            show(&setting, &run::selection(launch, surroundings), json, surroundings)
        }
        ProfileCommand::Check { names } => check(&setting, names, surroundings),
        ProfileCommand::New { name, extends, variables, from_env } => {
            if from_env {
                return from_env_new(&setting, &name, surroundings);
            }
            new(&setting, &name, &template(&extends, &variables), surroundings)
        }
        ProfileCommand::Add { file, yes } => profile_edit::add(&setting, &file, yes, surroundings),
        ProfileCommand::Edit { name } => profile_edit::edit(&setting, &name, surroundings),
        ProfileCommand::Path { name } => path(&setting, name.as_deref()),
        ProfileCommand::Schema => {
            print(&format!("{}\n", serde_json::to_string_pretty(&json_schema())?))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// `project` is the project's file that applies, or why the one that is there does not.
fn list(
    setting: &Setting,
    default: &str,
    project: Result<Option<ProjectFile>, String>,
    json: bool,
) -> Result<ExitCode> {
    let described = |(name, layer): (String, Layer)| {
        let selection = Selection { profiles: vec![name.clone()], ..Selection::default() };
        // What is wrong with one is told by `check`, at length.
        let description = setting.describe(&selection).unwrap_or_else(|fault| format!("invalid: {fault}"));
        (name, layer, description)
    };
    let profiles: Vec<_> = setting.profiles().into_iter().map(described).collect();
    if json {
        let entry = |(name, layer, description): &(String, Layer, String)| {
            let (layer, is_default) = (layer.name(), name == default);
            json!({ "name": name, "layer": layer, "description": description, "default": is_default })
        };
        let entries: Vec<_> = profiles.iter().map(entry).collect();
        print(&format!("{}\n", serde_json::to_string_pretty(&entries)?))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["", "NAME", "LAYER", "DESCRIPTION"]);
    for (name, layer, description) in profiles {
        let mark = if name == default { "*" } else { "" };
        table.add_row([mark, &printable(&name), layer.name(), &printable(&description)]);
    }
    print(&format!("{table}\n* is used where none is chosen\n"))?;
    match project {
        Ok(Some(project)) => print(&format!("`{}` applies here besides\n", visible(&project.path.to_string_lossy())))?,
        Ok(None) => {}
        Err(notice) => print(&format!("{}\n", visible(&notice)))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(setting: &Setting, selection: &Selection, json: bool, surroundings: &Surroundings) -> Result<ExitCode> {
    let resolved = match setting.resolve(selection) {
        Ok((resolved, notice)) => {
            if let Some(notice) = notice {
                complain(&visible(&notice));
            }
            resolved
        }
        Err(faults) => return Ok(invalid(&faults, surroundings)),
    };
    let lines = resolved.lines();
    if json {
        print(&format!("{}\n", serde_json::to_string_pretty(&show::as_json(&lines))?))?;
        return Ok(ExitCode::SUCCESS);
    }
    let width = lines.iter().map(|line| line.key.chars().count() + line.value.chars().count() + 3).max().unwrap_or(0);
    for line in lines {
        let value = format!("{} = {}", visible(&line.key), visible(&line.value));
        print(&format!("{value:width$}  # {}\n", visible(&line.origin), width = width.min(60)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks the named profiles and files, or all there are.
fn check(setting: &Setting, names: Vec<String>, surroundings: &Surroundings) -> Result<ExitCode> {
    let names = if names.is_empty() { setting.own_profiles() } else { names };
    let mut worst = ExitCode::SUCCESS;
    for name in names {
        let resolved = if name.contains('/') || Path::new(&name).extension().is_some() {
            setting.check_file(&surroundings.directory.join(&name))
        } else {
            setting
                .resolve(&Selection { profiles: vec![name.clone()], ..Selection::default() })
                .map(|(resolved, _)| resolved)
        };
        match resolved {
            Ok(resolved) => print(&format!("{}: ok{}\n", printable(&name), missing(&resolved, setting)))?,
            Err(faults) => worst = invalid(&faults, surroundings),
        }
    }
    Ok(worst)
}

/// What the profile wants and this machine does not have.
fn missing(resolved: &Resolved, setting: &Setting) -> String {
    let destinations = resolved.profile.destinations.iter().filter_map(|destination| {
        let reason = credential::missing(destination, setting.ground())?;
        Some(format!("\n  destination {}: {}", printable(&destination.name), visible(&reason)))
    });
    destinations.collect()
}

/// Says what is wrong, at length; the exit code is that of an invalid profile that was asked about.
pub(super) fn invalid(faults: &Faults, surroundings: &Surroundings) -> ExitCode {
    complain(&format!("invalid profile\n{}", faults.render(colour(&std::io::stderr(), surroundings))));
    ExitCode::from(2)
}

fn path(setting: &Setting, name: Option<&str>) -> Result<ExitCode> {
    let path = match name {
        Some(name) => file(&setting.places, name)?,
        None => setting.places.profiles(),
    };
    print(&format!("{}\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn file(places: &Places, name: &str) -> Result<PathBuf> {
    if let Err(reason) = check_name(name) {
        bail!("`{name}` is no profile's name: {reason}");
    }
    Ok(places.profiles().join(format!("{name}.toml")))
}

/// Writes a commented profile, unless there is one of that name or it would not be valid.
fn new(setting: &Setting, name: &str, text: &str, surroundings: &Surroundings) -> Result<ExitCode> {
    let path = file(&setting.places, name)?;
    if let Err(faults) = setting.check_own(name, &path, text) {
        return Ok(invalid(&faults, surroundings));
    }
    create(setting, &path, text)?;
    print(&format!("wrote {}: use it with `ccrun -p {name} claude`\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes what was set up for Claude Code as a profile.
fn from_env_new(setting: &Setting, name: &str, surroundings: &Surroundings) -> Result<ExitCode> {
    let found = setting.inherited().unwrap_or_default();
    found.remarks().iter().for_each(|remark| complain(&visible(remark)));
    let Some(text) = found.text() else {
        bail!(
            "no telemetry is set up: neither the environment nor Claude Code's user settings have \
             CLAUDE_CODE_ENABLE_TELEMETRY=1 and an OTLP endpoint that a profile can name"
        );
    };
    let code = new(setting, name, &text, surroundings)?;
    if code == ExitCode::SUCCESS && found.has_headers() {
        complain("the file holds the headers as they were found, keys and all: keep it to yourself");
    }
    Ok(code)
}

/// Writes a file of the user's that is not there yet.
pub(super) fn create(setting: &Setting, path: &Path, text: &str) -> Result<()> {
    let directory = setting.places.profiles();
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make `{}`", directory.display()))?;
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = created.with_context(|| format!("cannot create `{}`", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write `{}`", path.display()))
}

pub(super) fn template(extends: &[String], variables: &[(String, String)]) -> String {
    let quoted = |text: &str| json!(text).to_string();
    let mut text = String::from("description = \"\"\n");
    if !extends.is_empty() {
        let names: Vec<_> = extends.iter().map(|name| quoted(name)).collect();
        let names = if let [one] = names.as_slice() { one.clone() } else { format!("[{}]", names.join(", ")) };
        text.extend(["extends = ", &names, "\n"]);
    }
    text.push_str("\n[vars]                # what `${name}` stands for\n");
    for (name, value) in variables {
        text.extend([&quoted(name), " = ", &quoted(value), "\n"]);
    }
    text.push_str("\n[team]                # whose it is\n# id = \"platform\"\n");
    text.push_str(
        "\n[content]             # what may leave the machine beyond numbers; all off\n# user_prompts = true\n",
    );
    text
}
