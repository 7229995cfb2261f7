//! The files of the user's own profiles: their paths, how they are created, and how errors in them are shown.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::commands::{colour, complain};
use crate::profile::{Faults, check_name};
use crate::state::{self, Places};
use crate::system::process_environment::ProcessEnvironment;
use crate::workspace::Workspace;

pub(in crate::commands) fn file(places: &Places, name: &str) -> Result<PathBuf> {
    if let Err(reason) = check_name(name) {
        bail!("`{name}` is not a valid profile name: {reason}");
    }
    Ok(places.profiles().join(format!("{name}.toml")))
}

pub(super) fn template(extends: &[String], variables: &[(String, String)]) -> String {
    let quoted = |text: &str| json!(text).to_string();
    let mut text = String::from("description = \"\"      # one line, which `ccrun profile list` shows\n");
    if !extends.is_empty() {
        let names: Vec<_> = extends.iter().map(|name| quoted(name)).collect();
        let names = if let [one] = names.as_slice() { one.clone() } else { format!("[{}]", names.join(", ")) };
        text.extend(["extends = ", &names, "\n"]);
    }
    text.push_str("\n[vars]                # values for `${name}`\n");
    for (name, value) in variables {
        text.extend([&quoted(name), " = ", &quoted(value), "\n"]);
    }
    text.push_str("\n[team]                # who the telemetry belongs to\n# id = \"platform\"\n");
    text.push_str(
        "\n[content]             # what may leave the machine besides numbers; all off by default\n# user_prompts = true\n",
    );
    text
}

/// Creates one of the user's files, which must not exist yet.
pub(super) fn create(workspace: &Workspace, path: &Path, text: &str) -> Result<()> {
    let directory = workspace.places.profiles();
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot create `{}`", directory.display()))?;
    state::create(path, text.as_bytes()).with_context(|| format!("cannot create `{}`", path.display()))
}

/// Prints all faults. Returns the exit code of a verb that was asked about an invalid profile.
pub(in crate::commands) fn invalid(faults: &Faults, process: &ProcessEnvironment) -> ExitCode {
    complain(&format!("invalid profile\n{}", faults.render(colour(&std::io::stderr(), process))));
    ExitCode::from(2)
}
