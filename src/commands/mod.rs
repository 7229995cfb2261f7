//! One verb per file: the glue between the command line and the library, and everything that is printed.

mod budget;
mod doctor;
mod dry_run;
mod env;
mod headers;
mod help;
mod hook;
mod import;
mod init;
mod ledger;
mod machines;
mod managed_settings;
mod metrics;
mod profile;
mod queue;
mod report;
mod run;
mod secret;
mod selection;
mod sessions;
mod setup;
mod source;
mod stand_in_model;
mod statusline;
mod tail;
mod top;
mod trust;
mod variables;
mod waiting;
mod week;
mod wire;
mod wrap;

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;

use crate::cli::{Cli, Command, Later, Start};
use crate::ledger::LEDGER;
use crate::state::ownership;
use crate::store::damage::{self, Replaced};
use crate::store::{self, STORE};
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal::json;
use crate::terminal::printable::visible;
use crate::workspace::{Config, Workspace};

/// Runs the command line, of which the first word is the name that we were started by. Once more where a damaged database
/// was in the way and another has taken its place.
pub fn execute(words: &[OsString]) -> Result<ExitCode> {
    let done = match dispatch(Cli::of(words)) {
        Err(error) if damage::is_among(&error) && repair()? => dispatch(Cli::of(words)),
        done => done,
    };
    done.map_err(damage::in_words)
}

/// Replaces what is damaged of the store and the ledger, says so, and gives whether anything was.
fn repair() -> Result<bool> {
    let (workspace, _) = Workspace::gather(&ProcessEnvironment::gather()?)?;
    let tell = |replaced: &Replaced| complain(&visible(&replaced.line()));
    let store = store::check(&workspace.places.store(), STORE, &tell)?;
    Ok(store::check(&workspace.places.ledger(), LEDGER, &tell)? || store)
}

fn dispatch(cli: Cli) -> Result<ExitCode> {
    if cli.start != Start::default() && !matches!(cli.command, Command::Program(_)) {
        complain("this verb does not take the options before it: launch options apply to a program");
        return Ok(ExitCode::from(2));
    }
    match cli.command {
        Command::Collector => Ok(exit_code(crate::collector::run())),
        Command::Program(words) => Ok(run::run_or_guess(cli.start, words, &ProcessEnvironment::gather()?)),
        Command::Run(Later(run)) => Ok(run::run(run.start, run.program, &ProcessEnvironment::gather()?)),
        Command::Setup(Later(options)) => setup::run(&options, &ProcessEnvironment::gather()?),
        Command::Profile(Later(profile)) => profile::run(profile.command, &ProcessEnvironment::gather()?),
        Command::Env(Later(env)) => env::run(env, &ProcessEnvironment::gather()?),
        Command::Headers(Later(headers)) => headers::run(headers, &ProcessEnvironment::gather()?),
        Command::Report(report) => report::run(&report.0, &ProcessEnvironment::gather()?),
        Command::Budget(Later(options)) => budget::run(options, &ProcessEnvironment::gather()?),
        Command::Tail(Later(options)) => tail::run(&options, &ProcessEnvironment::gather()?),
        Command::Top(Later(options)) => top::run(&options, &ProcessEnvironment::gather()?),
        Command::Metrics(Later(options)) => metrics::run(&options, &ProcessEnvironment::gather()?),
        Command::Import(Later(options)) => import::run(&options, &ProcessEnvironment::gather()?),
        Command::Ledger(Later(options)) => ledger::run(options.command, &ProcessEnvironment::gather()?),
        Command::Sessions(Later(options)) => sessions::run(&options, &ProcessEnvironment::gather()?),
        Command::Queue(Later(queue)) => queue::run(queue.command, &ProcessEnvironment::gather()?),
        Command::Doctor(Later(options)) => doctor::run(options, &ProcessEnvironment::gather()?),
        Command::Secret(Later(secret)) => secret::run(secret.command, &ProcessEnvironment::gather()?),
        Command::Statusline(Later(options)) => Ok(statusline::run(&options, &ProcessEnvironment::gather()?)),
        Command::Hook { file } => hook::run(file),
        Command::StandInModel => stand_in_model::run(),
        Command::Help(Later(options)) => help::run(&options),
        Command::Init(Later(init)) => init::run(&init, &ProcessEnvironment::gather()?),
        Command::Complete(Later(asked)) => init::complete(&asked, &ProcessEnvironment::gather()?),
        Command::Man { directory } => init::man(&directory),
        Command::ManagedSettings(Later(options)) => managed_settings::run(options, &ProcessEnvironment::gather()?),
        Command::Trust(Later(trust)) => trust::trust(&trust, &ProcessEnvironment::gather()?),
        Command::Wrap(Later(wrap)) => Ok(wrap::run(wrap, &ProcessEnvironment::gather()?)),
        Command::Untrust(Later(untrust)) => trust::untrust(&untrust, &ProcessEnvironment::gather()?),
        Command::Wire(Later(options)) => wire::wire(options, &ProcessEnvironment::gather()?),
        Command::Unwire(Later(options)) => wire::unwire(options, &ProcessEnvironment::gather()?),
    }
}

fn exit_code(status: i32) -> ExitCode {
    ExitCode::from(u8::try_from(status).unwrap_or(1))
}

/// Prints to stdout. A closed pipe, as with `head`, is not an error.
fn print(text: &str) -> Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Finds the places and reads the configuration. Prints warnings about it.
fn gather(process: &ProcessEnvironment) -> Result<(Workspace, Config)> {
    let (workspace, config) = Workspace::gather(process)?;
    config.warnings.iter().for_each(|warning| complain(&visible(warning)));
    Ok((workspace, config))
}

/// Prints a value as JSON, for every `--json`.
fn print_json(value: &impl Serialize) -> Result<()> {
    print(&format!("{}\n", json::pretty(value)?))
}

/// Refuses a verb inside Claude's own shell, which may act on a prompt injection.
fn refuse_inside_claude(verb: &str, process: &ProcessEnvironment) -> Option<ExitCode> {
    process.variables.contains_key(OsStr::new("CLAUDECODE")).then(|| {
        complain(&format!("`{verb}` is disabled inside a Claude session: run it in your own terminal"));
        ExitCode::FAILURE
    })
}

/// Refuses to write into another user's home directory. As root, that would leave files which the user cannot change.
fn refuse_in_foreign_home(verb: &str, process: &ProcessEnvironment) -> Option<ExitCode> {
    let home = process.home().ok()?;
    ownership::foreign(&home).map(|_| {
        let home = visible(&home.display().to_string());
        complain(&format!("`{verb}` writes into `{home}`, which belongs to another user: run it as that user"));
        ExitCode::FAILURE
    })
}

/// Whether to colour a stream: it is a terminal and `NO_COLOR` is unset (no-color.org).
fn colour(stream: &impl IsTerminal, process: &ProcessEnvironment) -> bool {
    stream.is_terminal() && process.variable("NO_COLOR").is_none()
}

/// Prints a line to stderr. Ignores errors.
pub fn complain(text: &str) {
    drop(writeln!(io::stderr().lock(), "ccrun: {text}"));
}
