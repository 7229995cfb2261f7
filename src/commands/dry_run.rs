//! `ccrun --dry-run`: what would run, and with what. Nothing is started, fetched or written for that.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Result;

use super::env::{as_text, masked, masked_telemetry, plain, with_launchs};
use super::{complain, print, run};
use crate::claude::UserSettings;
use crate::cli;
use crate::environment::{self, Changes};
use crate::launch::Program;
use crate::printable::visible;
use crate::profile::Profile;
use crate::setting::Setting;
use crate::surroundings::Surroundings;

/// What a launch would be.
struct Outline {
    /// The profile; none where there would be no session.
    profile: Option<Profile>,
    changes: Changes,
    /// What the user should know.
    notice: Option<String>,
}

/// Prints it. `begins` says whether a session of its own would begin.
pub(super) fn run(program: &Program, begins: bool, launch: cli::Launch, surroundings: &Surroundings) -> ExitCode {
    let required = launch.require;
    let outline = match outline(begins, launch, surroundings) {
        Ok(outline) => outline,
        Err(error) => {
            complain(&format!("telemetry would be off: {}", visible(&format!("{error:#}"))));
            if required {
                return ExitCode::from(2);
            }
            Outline { profile: None, changes: environment::off(&surroundings.texts()), notice: None }
        }
    };
    outline.notice.iter().for_each(|notice| complain(&visible(notice)));
    match print(&text(program, outline, surroundings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn outline(begins: bool, launch: cli::Launch, surroundings: &Surroundings) -> Result<Outline> {
    let (setting, config) = Setting::gather(surroundings)?;
    if !begins || config.off {
        return Ok(Outline { profile: None, changes: Changes::default(), notice: None });
    }
    let direct = launch.direct;
    let (resolved, notice) = setting.outline(&run::selection(launch, surroundings))?;
    let profile = resolved.profile;
    let own = environment::own(&profile, |_, sources| Ok::<_, anyhow::Error>(masked(sources)))?;
    let telemetry = if direct || profile.collector.direct {
        masked_telemetry(&profile, &setting)?
    } else {
        environment::on_in_general(&profile, &setting.variables)
    };
    let changes = with_launchs(own.and(telemetry));
    Ok(Outline { profile: Some(profile), changes, notice })
}

fn text(program: &Program, outline: Outline, surroundings: &Surroundings) -> String {
    let Outline { profile, changes, .. } = outline;
    let mut arguments = program.arguments.clone();
    let mut settings = None;
    if let Some(profile) = profile.as_ref().filter(|_| program.takes_settings()) {
        match UserSettings::extract(&arguments, &surroundings.directory) {
            Ok(user) => {
                let keys = profile.settings.keys().chain(user.content.keys()).filter(|key| *key != "env");
                let keys: BTreeSet<_> = keys.map(|key| format!(", {key}")).collect();
                settings = Some(keys.into_iter().collect::<String>());
                arguments = ["--settings".into(), "<settings>".into()].into_iter().chain(user.arguments).collect();
            }
            Err(error) => complain(&format!("telemetry would be off: {}", visible(&format!("{error:#}")))),
        }
    }
    let mut lines = vec![format!("program {}", program.path.display())];
    let arguments = program.before.iter().chain(&arguments);
    lines.extend(arguments.map(|argument| format!("argument {}", argument.to_string_lossy())));
    if let Some(profile) = &profile {
        lines.push(format!("profile {}", profile.name));
        let destinations = profile.destinations.iter();
        lines.extend(destinations.map(|one| format!("destination {} {}", one.name, one.endpoint)));
    } else {
        lines.push("no session".to_owned());
    }
    lines.extend(settings.map(|keys| format!("settings: the variables of telemetry{keys}")));
    lines.iter().map(|line| visible(line) + "\n").collect::<String>() + &as_text(&plain(changes))
}
