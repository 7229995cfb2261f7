//! `ccrun doctor`: why nothing arrives. It shows no secret and changes nothing, so it works inside of Claude, too.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{ask, colour, complain, print, run};
use crate::cli;
use crate::doctor::live::Client;
use crate::doctor::{self, Level, Mask, Subject};
use crate::helper;
use crate::printable::visible;
use crate::state;
use crate::surroundings::Surroundings;

pub(super) fn run(options: cli::Doctor, surroundings: &Surroundings) -> Result<ExitCode> {
    let is_direct = options.launch.direct;
    let selection = run::selection(options.launch, surroundings);
    let mut subject = Subject::gather(selection, options.timeout, surroundings)?;
    if let Ok(resolved) = &mut subject.profile {
        resolved.profile.collector.direct |= is_direct;
    }
    let subject = Arc::new(subject);
    let mut found = doctor::examine(&subject, doctor::checks());
    if options.live {
        let client = client(&subject, options.offline, options.timeout)?;
        found.extend(doctor::live::run(&subject, &client, options.timeout));
    }
    // Last, for by now it is known what the secrets are.
    let found = doctor::masked(&found, &Mask::of(&subject));
    let text = |colour| if options.json { doctor::as_json(&found) } else { doctor::as_text(&found, colour) };
    print(&text(colour(&std::io::stdout(), surroundings)))?;
    if let Some(file) = &options.report {
        write(&surroundings.directory.join(file), &text(false))?;
    }
    // A command that still runs for a check that was not waited for would be nobody's child.
    helper::end_all();
    let worst = found.iter().map(|one| one.finding.level).max();
    let limit = if options.strict { Level::Warning } else { Level::Failed };
    Ok(if worst >= Some(limit) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Whose telemetry is tried. A model's answer costs something, so somebody has to say yes to that.
fn client(subject: &Subject, is_offline: bool, time: Duration) -> Result<Client> {
    if !is_offline && !ask::is_possible() {
        return Ok(Client::Own(
            "nobody can be asked whether a model may be, which costs tokens; `--offline` asks none",
        ));
    }
    let client = Client::choose(subject, is_offline, time);
    if client != Client::Claude {
        return Ok(client);
    }
    let question = "ccrun: ask the model for one word, by the real Claude Code? That costs some tokens [y/N] ";
    Ok(if ask::ask(question)? { client } else { Client::Own("you did not want to ask a model") })
}

/// Writes the report, for its owner alone: whoever wants to show it does so.
fn write(file: &Path, report: &str) -> Result<()> {
    state::write(file, report.as_bytes()).with_context(|| format!("cannot write `{}`", file.display()))?;
    complain(&visible(&format!("the report is in `{}`", file.display())));
    Ok(())
}
