//! `ccrun setup`: from a backend's name to telemetry that arrives. First everything is asked, then all of it is written
//! and tried, and what does not work is taken back.

mod alias;
mod answers;
mod undo;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use comfy_table::{Table, presets};

use super::{ask, colour, complain, print, profile, refuse_inside_claude};
use crate::cli;
use crate::credential::keyring;
use crate::doctor::{self, Group, Level, Mask, Reported, Subject};
use crate::launch::Interrupts;
use crate::printable::{printable, visible};
use crate::profile::{Selection, backends, with_default};
use crate::setting::Setting;
use crate::surroundings::{Places, Surroundings};
use crate::{bounded, state};

use answers::Answers;
use undo::Undo;

/// How long trying may take before the session that is tried.
const TIME: Duration = Duration::from_secs(10);

/// How large `config.toml` may be, in bytes.
const MAXIMUM_CONFIG: u64 = 256 * 1024;

/// The exit code of somebody who was interrupted, as a shell gives it.
const INTERRUPTED: u8 = 130;

pub(super) fn run(options: &cli::Setup, surroundings: &Surroundings) -> Result<ExitCode> {
    if let Some(refusal) = refuse_inside_claude("setup", surroundings) {
        return Ok(refusal);
    }
    let (setting, _) = Setting::gather(surroundings)?;
    let Some(backend) = &options.backend else { return list(&setting) };
    let answers = answers::gather(backend, options, &setting)?;
    let text = answers.profile();
    if let Some(text) = &text
        && let Err(faults) = setting.check_own(&answers.name, &profile::file(&setting.places, &answers.name)?, text)
    {
        return Ok(profile::invalid(&faults, surroundings));
    }
    let mut interrupts = Interrupts::hold().context("cannot hold signals back")?;
    let mut undo = Undo::default();
    let done = write(&answers, text.as_deref(), &setting, &mut undo)
        .and_then(|()| if answers.choices.no_try { Ok(true) } else { try_it(&answers, surroundings) });
    if interrupts.came() {
        undo.all(setting.ground());
        complain("interrupted: everything is as it was");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    match done {
        Ok(true) => {}
        Ok(false) => {
            undo.all(setting.ground());
            complain("everything is as it was; `--no-try` sets it up all the same");
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => {
            undo.all(setting.ground());
            return Err(error);
        }
    }
    drop(interrupts);
    finish(&answers, &setting, surroundings)
}

/// A line for each backend, and where to begin.
fn list(setting: &Setting) -> Result<ExitCode> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["BACKEND", "DESCRIPTION"]);
    for name in backends() {
        let selection = Selection { profiles: vec![name.to_owned()], ..Selection::default() };
        let description = setting.describe(&selection).unwrap_or_default();
        table.add_row([name, &printable(&description)]);
    }
    print(&format!(
        "{table}\n\n`ccrun setup BACKEND` asks for what it needs, and tries it. Without any backend `ccrun claude` works\n\
         already: it records on this machine, and `ccrun report` shows it.\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the key and the profile.
fn write(answers: &Answers, text: Option<&str>, setting: &Setting, undo: &mut Undo) -> Result<()> {
    for (entry, secret) in &answers.secrets {
        undo.secret(entry, setting.ground())
            .and_then(|()| keyring::set(entry, secret.clone(), setting.ground()))
            .map_err(|fault| anyhow!("the keyring's {} {fault}", printable(entry)))?;
        print(&format!("stored the key as `{}` in the keyring\n", printable(entry)))?;
    }
    if let Some(text) = text {
        let path = profile::file(&setting.places, &answers.name)?;
        undo.file(&path)?;
        std::fs::create_dir_all(setting.places.profiles())?;
        state::write(&path, text.as_bytes()).with_context(|| format!("cannot write `{}`", path.display()))?;
        print(&format!("wrote {}\n", visible(&Places::shortened(&path))))?;
    }
    Ok(())
}

/// Sends a marked record to the backend and shows what it says, then goes the whole way of a session.
fn try_it(answers: &Answers, surroundings: &Surroundings) -> Result<bool> {
    let selection = Selection { profiles: vec![answers.name.clone()], ..Selection::default() };
    let subject = Arc::new(Subject::gather(selection, TIME, surroundings)?);
    let relevant = |check: &&'static doctor::Check| matches!(check.group, Group::Credentials | Group::Destination);
    let mut found = doctor::examine(&subject, doctor::checks().filter(relevant));
    let fails = |found: &[Reported]| found.iter().any(|one| one.finding.level == Level::Failed);
    if !fails(&found) {
        found.extend(doctor::live::run(&subject, &doctor::live::Client::Own("this is about the way"), TIME));
    }
    let shown = doctor::masked(&found, &Mask::of(&subject));
    print(&doctor::as_text(&shown, colour(&std::io::stdout(), surroundings)))?;
    Ok(!fails(&found))
}

/// The default and the alias, and what to type now.
fn finish(answers: &Answers, setting: &Setting, surroundings: &Surroundings) -> Result<ExitCode> {
    let choices = answers.choices;
    let is_default =
        decide(choices.default, choices.no_default, &format!("use `{}` where none is chosen?", answers.name))?;
    if is_default {
        set_default(&answers.name, setting)?;
    }
    alias::offer(choices, setting, surroundings)?;
    let option = if is_default { String::new() } else { format!("-p {} ", answers.name) };
    print(&format!("now: `ccrun {option}claude`\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// What an option says, else somebody who can be asked; else no.
fn decide(yes: bool, no: bool, question: &str) -> Result<bool> {
    if yes || no || !ask::is_possible() {
        return Ok(yes);
    }
    ask::ask(&format!("{question} [y/N] "))
}

fn set_default(name: &str, setting: &Setting) -> Result<()> {
    let path = setting.places.config.join("config.toml");
    // What leads elsewhere goes on doing so.
    let path = path.canonicalize().unwrap_or(path);
    let before = match bounded::read(&path, MAXIMUM_CONFIG) {
        Ok(bytes) => String::from_utf8(bytes).with_context(|| format!("`{}` is not UTF-8", path.display()))?,
        Err(_) if !path.exists() => String::new(),
        Err(error) => bail!("cannot read `{}`: {error}", path.display()),
    };
    std::fs::create_dir_all(&setting.places.config)?;
    let after = with_default(&path, &before, name)?;
    state::write(&path, after.as_bytes()).with_context(|| format!("cannot write `{}`", path.display()))?;
    print(&format!("made it the default in {}\n", visible(&Places::shortened(&path))))
}
