//! `ccrun managed-settings`: what an administrator hands out. The file alone goes to stdout, what to do with it to stderr.

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use serde_json::Value;

use super::{complain, print, profile, run};
use crate::claude::rollout;
use crate::cli;
use crate::printable::visible;
use crate::setting::Setting;
use crate::surroundings::Surroundings;

pub(super) fn run(options: cli::ManagedSettings, surroundings: &Surroundings) -> Result<ExitCode> {
    if !options.ccrun.is_absolute() {
        bail!("`--ccrun {}`: Claude Code wants an absolute path", visible(&options.ccrun.display().to_string()));
    }
    let (setting, _) = Setting::gather(surroundings)?;
    let mut selection = run::selection(options.launch, surroundings);
    // What is handed out is no project's.
    selection.directory = None;
    let resolved = match setting.outline(&selection) {
        Ok((resolved, _)) => resolved,
        Err(faults) => return Ok(profile::invalid(&faults, surroundings)),
    };
    let settings = if options.with_launcher {
        rollout::with_launcher(&options.ccrun)
    } else {
        if let Some(key) = resolved.left_out.first() {
            bail!(
                "`{}` is fetched on each machine, which a file cannot do: write its value, or use `--with-launcher`",
                visible(key)
            );
        }
        if selection.profiles.is_empty() {
            selection.profiles.push(resolved.profile.name.clone());
        }
        let settings = rollout::without_launcher(&resolved.profile, &selection, &options.ccrun);
        Value::Object(settings.map_err(|reason| anyhow!(visible(&reason)))?)
    };
    print(&format!("{}\n", serde_json::to_string_pretty(&settings)?))?;
    complain("this is the whole file; its places, root's or an administrator's to write, are");
    for (platform, place) in rollout::PLACES {
        complain(&format!("    {platform:<10}  {place}"));
    }
    if options.with_launcher {
        let wrapper = options.ccrun.with_file_name("ccrun-wrap");
        complain("and for the editors' settings, with that file a link to ccrun:");
        complain(&format!("    \"claudeCode.claudeProcessWrapper\": \"{}\"", visible(&wrapper.display().to_string())));
    }
    Ok(ExitCode::SUCCESS)
}
