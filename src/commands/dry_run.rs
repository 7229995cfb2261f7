//! `ccrun --dry-run`: prints what would run, and with what. Starts, fetches and writes nothing.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Result;

use super::selection::{requires, selection};
use super::variables::{as_text, masked_telemetry, plain, shown, with_launchs};
use super::{complain, print};
use crate::claude::{Use, UserSettings};
use crate::cli;
use crate::environment::{self, Changes};
use crate::launch::policy::is_direct;
use crate::launch::{LaunchKind, Program};
use crate::profile::{Profile, Selection};
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal::printable::visible;
use crate::workspace::IgnoredProject;

/// What a launch would do.
struct Outline {
    /// The profile, or `None` if there would be no session.
    profile: Option<Profile>,
    changes: Changes,
    /// Why the project's file does not apply.
    ignored: Option<IgnoredProject>,
}

/// Prints what a launch would do.
pub(super) fn run(program: &Program, kind: LaunchKind, launch: cli::Launch, process: &ProcessEnvironment) -> ExitCode {
    let (is_required, direct) = (launch.require, launch.direct);
    let selection = selection(launch, process);
    let outline = match outline(program, kind, direct, &selection) {
        Ok(outline) => outline,
        Err(error) => {
            let is_session = program.purpose() != Use::Management;
            let what = if is_session { "telemetry would be off" } else { "the profile would not apply" };
            complain(&format!("{what}: {}", visible(&format!("{error:#}"))));
            if is_required || requires(&error, &selection, process) {
                return ExitCode::from(2);
            }
            let changes = if is_session { environment::off(&process.texts()) } else { Changes::default() };
            Outline { profile: None, changes, ignored: None }
        }
    };
    outline.ignored.iter().for_each(|ignored| complain(&visible(&ignored.to_string())));
    match print(&text(program, outline, process)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn outline(program: &Program, kind: LaunchKind, direct: bool, selection: &Selection) -> Result<Outline> {
    let untouched = Outline { profile: None, changes: Changes::default(), ignored: None };
    let LaunchKind::NewSession(_, found) = kind else { return Ok(untouched) };
    let purpose = program.purpose();
    if purpose == Use::Question {
        return Ok(untouched);
    }
    let (workspace, config) = (*found)?;
    config.warnings.iter().for_each(|warning| complain(&visible(warning)));
    if config.off {
        return Ok(untouched);
    }
    let (resolved, ignored) = workspace.outline(selection, &config)?;
    let profile = resolved.profile;
    let own = environment::own(&profile, |name, sources| Ok::<_, anyhow::Error>(shown(name, sources)))?;
    if purpose == Use::Management {
        return Ok(Outline { profile: None, changes: own, ignored });
    }
    let is_direct = is_direct(direct, &profile);
    let mut telemetry = if is_direct {
        masked_telemetry(&profile, &workspace)?
    } else {
        environment::on_in_general(&profile, &workspace.variables)
    };
    if program.is_claude {
        telemetry = workspace.of_claude_code(&profile, telemetry, &own);
    }
    let mut changes = with_launchs(own.and(telemetry));
    if !is_direct {
        environment::reach_loopback(&mut changes, &workspace.variables);
    }
    Ok(Outline { profile: Some(profile), changes, ignored })
}

fn text(program: &Program, outline: Outline, process: &ProcessEnvironment) -> String {
    let Outline { profile, changes, .. } = outline;
    let mut arguments = program.arguments.clone();
    let mut settings = None;
    if let Some(profile) = profile.as_ref().filter(|_| program.takes_settings()) {
        match UserSettings::extract(&arguments, &process.directory) {
            Ok(user) => {
                let keys = profile.settings.keys().chain(user.content.keys()).filter(|key| *key != "env");
                let keys: BTreeSet<_> = keys.map(|key| format!(", {key}")).collect();
                settings = Some(keys.into_iter().collect::<String>());
                user.left_out.iter().for_each(|reason| complain(&visible(reason)));
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
    lines.extend(settings.map(|keys| format!("settings: telemetry variables{keys}")));
    lines.iter().map(|line| visible(line) + "\n").collect::<String>() + &as_text(&plain(changes))
}
