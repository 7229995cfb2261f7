//! `ccrun doctor`: why nothing arrives. It shows no secret and changes nothing, so it works inside of Claude, too.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};

use super::{colour, complain, print, run};
use crate::cli;
use crate::doctor::{self, Level, Mask, Subject};
use crate::printable::visible;
use crate::state;
use crate::surroundings::Surroundings;

pub(super) fn run(options: cli::Doctor, surroundings: &Surroundings) -> Result<ExitCode> {
    let selection = run::selection(options.launch, surroundings);
    let subject = Arc::new(Subject::gather(selection, options.timeout, surroundings)?);
    let mut found = doctor::examine(&subject, doctor::checks());
    if options.live {
        found.extend(doctor::live::run(&subject, options.offline));
    }
    // Last, for by now it is known what the secrets are.
    let found = doctor::masked(&found, &Mask::of(&subject));
    let text = |colour| if options.json { doctor::as_json(&found) } else { doctor::as_text(&found, colour) };
    print(&text(colour(&std::io::stdout(), surroundings)))?;
    if let Some(file) = &options.report {
        write(&surroundings.directory.join(file), &text(false))?;
    }
    let worst = found.iter().map(|one| one.finding.level).max();
    let limit = if options.strict { Level::Warning } else { Level::Failed };
    Ok(if worst >= Some(limit) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Writes the report, for its owner alone: whoever wants to show it does so.
fn write(file: &Path, report: &str) -> Result<()> {
    state::write(file, report.as_bytes()).with_context(|| format!("cannot write `{}`", file.display()))?;
    complain(&visible(&format!("the report is in `{}`", file.display())));
    Ok(())
}
