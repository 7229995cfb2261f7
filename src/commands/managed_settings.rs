//! `ccrun managed-settings`: prints the file for administrators. The file goes to stdout, and instructions to stderr.

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use serde_json::Value;

use super::selection::selection;
use super::{complain, print_json, profile};
use crate::claude::rollout;
use crate::cli;
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal::printable::visible;
use crate::workspace::Workspace;

pub(super) fn run(options: cli::ManagedSettings, process: &ProcessEnvironment) -> Result<ExitCode> {
    if !options.ccrun.is_absolute() {
        bail!("`--ccrun {}`: Claude Code requires an absolute path", visible(&options.ccrun.display().to_string()));
    }
    let (workspace, config) = Workspace::gather(process)?;
    let mut selection = selection(options.given.into(), process);
    // Managed settings do not depend on a project.
    selection.directory = None;
    let resolved = match workspace.outline(&selection, &config) {
        Ok((resolved, _)) => resolved,
        Err(faults) => return Ok(profile::invalid(&faults, process)),
    };
    let settings = if options.with_launcher {
        rollout::with_launcher(&options.ccrun)
    } else {
        if let Some(key) = resolved.left_out.first() {
            bail!("a file cannot fetch `{}` on each machine: write its value, or use `--with-launcher`", visible(key));
        }
        if selection.profiles.is_empty() {
            selection.profiles.push(resolved.profile.name.clone());
        }
        let settings = rollout::without_launcher(&resolved.profile, &selection, &options.ccrun);
        Value::Object(settings.map_err(|reason| anyhow!(visible(&reason)))?)
    };
    print_json(&settings)?;
    complain("this is the whole file; as root or administrator, install it as");
    for (platform, place) in rollout::PLACES {
        complain(&format!("    {platform:<10}  {place}"));
    }
    if options.with_launcher {
        let wrapper = options.ccrun.with_file_name("ccrun-wrap");
        complain("for editors, make `ccrun-wrap` a link to ccrun, and add to their settings:");
        complain(&format!("    \"claudeCode.claudeProcessWrapper\": \"{}\"", visible(&wrapper.display().to_string())));
    }
    Ok(ExitCode::SUCCESS)
}
