//! `ccrun setup`: goes from a backend's name to telemetry that arrives. It asks everything first, then writes
//! everything and tests it. If the test fails, it restores what was there.

mod alias;
mod answers;
mod undo;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::waiting::waiting;
use super::{colour, complain, gather, print, profile, refuse_in_foreign_home, refuse_inside_claude};
use crate::doctor::{self, Group, Level, Mask, Reported, Subject};
use crate::profile::{Selection, backends};
use crate::secret::keyring;
use crate::state::Places;
use crate::system::bounded;
use crate::system::process_environment::ProcessEnvironment;
use crate::system::signals::Interrupts;
use crate::terminal::fit::wrapped;
use crate::terminal::printable::{printable, visible};
use crate::terminal::prompt;
use crate::terminal::table::{Column, Table};
use crate::workspace::{Workspace, with_default};
use crate::{cli, state, terminal};

use answers::SetupAnswers;
use undo::Undo;

/// Time limit of the test that comes before the test session.
const TIME: Duration = Duration::from_secs(10);

/// How large `config.toml` may be, in bytes.
const MAXIMUM_CONFIG: u64 = 256 * 1024;

/// The longest line of the hint below the backends, in characters.
const HINT: usize = 100;

/// The exit code after an interrupt, as a shell reports it.
const INTERRUPTED: u8 = 130;

pub(super) fn run(options: &cli::Setup, process: &ProcessEnvironment) -> Result<ExitCode> {
    let refusal = refuse_inside_claude("setup", process).or_else(|| refuse_in_foreign_home("setup", process));
    if let Some(refusal) = refusal {
        return Ok(refusal);
    }
    let (workspace, _) = gather(process)?;
    let Some(backend) = &options.backend else { return list(&workspace) };
    let mut answers = answers::gather(backend, options, &workspace)?;
    let text = answers.profile();
    if let Some(text) = &text
        && let Err(faults) = workspace.check_own(&answers.name, &profile::file(&workspace.places, &answers.name)?, text)
    {
        return Ok(profile::invalid(&faults, process));
    }
    loop {
        match attempt(&answers, text.as_deref(), &workspace, process)? {
            Attempt::Succeeded => return finish(&answers, &workspace, process),
            Attempt::Interrupted => {
                complain("interrupted: all changes were undone");
                return Ok(ExitCode::from(INTERRUPTED));
            }
            Attempt::RejectedKey if answers.type_keys_again()? => {}
            Attempt::RejectedKey | Attempt::Failed => {
                let untested = visible(&answers.command("--no-try"));
                complain(&format!("all changes were undone; `{untested}` sets it up without a test"));
                return Ok(ExitCode::FAILURE);
            }
        }
    }
}

/// What became of an attempt. Only one that succeeded has changed anything.
enum Attempt {
    Succeeded,
    Interrupted,
    /// The backend does not accept the credentials.
    RejectedKey,
    Failed,
}

/// Writes everything and tests it. Signals wait as long.
fn attempt(
    answers: &SetupAnswers,
    text: Option<&str>,
    workspace: &Workspace,
    process: &ProcessEnvironment,
) -> Result<Attempt> {
    let mut interrupts = Interrupts::hold().context("cannot block signals")?;
    let mut undo = Undo::default();
    let done = write(answers, text, workspace, &mut undo)
        .and_then(|()| if answers.choices.no_try { Ok(Attempt::Succeeded) } else { try_it(answers, process) });
    let done = if interrupts.came() { Ok(Attempt::Interrupted) } else { done };
    if !matches!(done, Ok(Attempt::Succeeded)) {
        undo.all(workspace.context());
    }
    done
}

/// Lists the backends, and says where to begin.
fn list(workspace: &Workspace) -> Result<ExitCode> {
    let mut table = Table::new([Column::word("BACKEND"), Column::prose("DESCRIPTION")]);
    for name in backends() {
        let selection = Selection { profiles: vec![name.to_owned()], ..Selection::default() };
        let description = workspace.describe(&selection).unwrap_or_default();
        table.push([name.to_owned(), printable(&description)]);
    }
    let width = terminal::width(&io::stdout());
    let hint = "`ccrun setup BACKEND` asks for what the backend needs, and tests it. `ccrun claude` works without a \
                backend: it records usage on this machine, and `ccrun report` shows it.";
    let hint = wrapped(hint, width.unwrap_or(HINT).min(HINT)).join("\n");
    print(&format!("{}\n{hint}\n", table.text(width)))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the key and the profile.
fn write(answers: &SetupAnswers, text: Option<&str>, workspace: &Workspace, undo: &mut Undo) -> Result<()> {
    for (entry, secret) in &answers.secrets {
        undo.secret(entry, workspace.context())
            .and_then(|()| waiting("the keyring", || keyring::set(entry, secret.clone(), workspace.context())))
            .map_err(|fault| anyhow!("the keyring's {} {fault}", printable(entry)))?;
        print(&format!("stored the key as `{}` in the keyring\n", printable(entry)))?;
    }
    if let Some(text) = text {
        let path = profile::file(&workspace.places, &answers.name)?;
        undo.file(&path)?;
        std::fs::create_dir_all(workspace.places.profiles())?;
        state::write(&path, text.as_bytes()).with_context(|| format!("cannot write `{}`", path.display()))?;
        print(&format!("wrote {}\n", visible(&Places::shortened(&path))))?;
    }
    Ok(())
}

/// Sends the backend a marked record and shows its answer, then runs a short session end to end.
fn try_it(answers: &SetupAnswers, process: &ProcessEnvironment) -> Result<Attempt> {
    let selection = Selection { profiles: vec![answers.name.clone()], ..Selection::default() };
    let subject = Arc::new(Subject::gather(selection, TIME, process)?);
    let relevant = |check: &&'static doctor::Check| matches!(check.group, Group::Credentials | Group::Destination);
    let mut found = doctor::examine(&subject, doctor::checks().filter(relevant));
    let fails = |found: &[Reported]| found.iter().any(|one| one.finding.level == Level::Failed);
    if !fails(&found) {
        found.extend(doctor::live::run(
            &subject,
            &doctor::live::LiveProgram::Own("setup tests the connection only"),
            TIME,
        ));
    }
    let shown = doctor::masked(&found, &Mask::of(&subject));
    print(&doctor::as_text(&shown, colour(&std::io::stdout(), process)))?;
    Ok(match fails(&found) {
        false => Attempt::Succeeded,
        true if subject.rejects_credentials() => Attempt::RejectedKey,
        true => Attempt::Failed,
    })
}

/// Sets the default and the alias, and says what to run next.
fn finish(answers: &SetupAnswers, workspace: &Workspace, process: &ProcessEnvironment) -> Result<ExitCode> {
    let choices = answers.choices;
    let is_default =
        decide(choices.default, choices.no_default, &format!("Make `{}` the default profile?", answers.name))?;
    if is_default {
        set_default(&answers.name, workspace)?;
    }
    alias::offer(choices, workspace, process)?;
    let option = if is_default { String::new() } else { format!("-p {} ", answers.name) };
    print(&format!("done: run `ccrun {option}claude`\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// The answer of an option, else of the user, else no.
fn decide(yes: bool, no: bool, question: &str) -> Result<bool> {
    if yes || no || !prompt::is_possible() {
        return Ok(yes);
    }
    prompt::ask(&format!("{question} [y/N] "))
}

fn set_default(name: &str, workspace: &Workspace) -> Result<()> {
    let path = workspace.places.config.join("config.toml");
    // Keep a link a link.
    let path = path.canonicalize().unwrap_or(path);
    let before = match bounded::read(&path, MAXIMUM_CONFIG) {
        Ok(bytes) => String::from_utf8(bytes).with_context(|| format!("`{}` is not UTF-8", path.display()))?,
        Err(_) if !path.exists() => String::new(),
        Err(error) => bail!("cannot read `{}`: {error}", path.display()),
    };
    std::fs::create_dir_all(&workspace.places.config)?;
    let after = with_default(&path, &before, name)?;
    state::write(&path, after.as_bytes()).with_context(|| format!("cannot write `{}`", path.display()))?;
    print(&format!("made it the default in {}\n", visible(&Places::shortened(&path))))
}
