//! `ccrun doctor`: why telemetry does not arrive. It shows no secret and changes nothing, so it also works inside
//! Claude.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::selection::selection;
use super::{colour, complain, print};
use crate::doctor::live::LiveProgram;
use crate::doctor::{self, Level, Mask, Subject};
use crate::secret::command;
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal::printable::visible;
use crate::terminal::prompt;
use crate::{cli, state};

pub(super) fn run(options: cli::Doctor, process: &ProcessEnvironment) -> Result<ExitCode> {
    let is_direct = options.direct;
    let selection = selection(options.given.into(), process);
    let mut subject = Subject::gather(selection, options.timeout, process)?;
    if let Ok(resolved) = &mut subject.profile {
        resolved.profile.collector.direct |= is_direct;
    }
    let subject = Arc::new(subject);
    let mut found = doctor::examine(&subject, doctor::checks());
    if options.live {
        let client = client(&subject, options.offline, options.timeout)?;
        found.extend(doctor::live::run(&subject, &client, options.timeout));
    }
    // Masking comes last, when all secrets are known.
    let found = doctor::masked(&found, &Mask::of(&subject));
    let text = |colour| if options.json { doctor::as_json(&found) } else { doctor::as_text(&found, colour) };
    print(&text(colour(&std::io::stdout(), process)))?;
    if let Some(file) = &options.report {
        write(&process.directory.join(file), &text(false))?;
    }
    // A command that still runs for a check that timed out would be orphaned.
    command::end_all();
    let worst = found.iter().map(|one| one.finding.level).max();
    let limit = if options.strict { Level::Warning } else { Level::Failed };
    Ok(if worst >= Some(limit) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The program whose telemetry is tested. A model's answer costs money, so the user must agree first.
fn client(subject: &Subject, is_offline: bool, time: Duration) -> Result<LiveProgram> {
    if !is_offline && !prompt::is_possible() {
        return Ok(LiveProgram::Own(
            "there is no terminal to confirm the use of a model, which costs tokens; `--offline` uses none",
        ));
    }
    let client = LiveProgram::choose(subject, is_offline, time);
    if client != LiveProgram::Claude {
        return Ok(client);
    }
    let question = "ccrun: ask the model for one word through the real Claude Code? This costs a few tokens [y/N] ";
    Ok(if prompt::ask(question)? { client } else { LiveProgram::Own("you declined to use a model") })
}

/// Writes the report, readable by its owner only. Sharing it is up to the user.
fn write(file: &Path, report: &str) -> Result<()> {
    state::write(file, report.as_bytes()).with_context(|| format!("cannot write `{}`", file.display()))?;
    complain(&visible(&format!("the report is in `{}`", file.display())));
    Ok(())
}
