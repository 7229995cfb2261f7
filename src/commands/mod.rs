//! One verb a file: glue between the command line and the library, and all that is printed.

mod ask;
mod doctor;
mod dry_run;
mod env;
mod headers;
mod init;
mod managed_settings;
mod profile;
mod profile_edit;
mod queue;
mod report;
mod run;
mod secret;
mod sessions;
mod setup;
mod trust;
mod wire;
mod wrap;

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Cli, Command, Later, Start};
use crate::surroundings::Surroundings;

/// Does what the command line says.
pub fn dispatch(cli: Cli) -> Result<ExitCode> {
    if cli.start != Start::default() && !matches!(cli.command, Command::Program(_)) {
        complain("options of a launch stand before a program, or after the verb that takes them");
        return Ok(ExitCode::from(2));
    }
    match cli.command {
        Command::Collector => Ok(exit_code(crate::collector::run())),
        Command::Program(words) => Ok(run::run(cli.start, words, &Surroundings::gather()?)),
        Command::Run(Later(run)) => Ok(run::run(run.start, run.program, &Surroundings::gather()?)),
        Command::Setup(Later(options)) => setup::run(&options, &Surroundings::gather()?),
        Command::Profile(Later(profile)) => profile::run(profile.command, &Surroundings::gather()?),
        Command::Env(Later(env)) => env::run(env, &Surroundings::gather()?),
        Command::Headers(Later(headers)) => headers::run(headers, &Surroundings::gather()?),
        Command::Report(Later(report)) => report::run(report, &Surroundings::gather()?),
        Command::Sessions(Later(options)) => sessions::run(&options, &Surroundings::gather()?),
        Command::Queue(Later(queue)) => queue::run(queue.command, &Surroundings::gather()?),
        Command::Doctor(Later(options)) => doctor::run(options, &Surroundings::gather()?),
        Command::Secret(Later(secret)) => secret::run(secret.command, &Surroundings::gather()?),
        Command::Init(Later(init)) => init::run(&init, &Surroundings::gather()?),
        Command::Complete(Later(asked)) => init::complete(&asked, &Surroundings::gather()?),
        Command::Man { directory } => init::man(&directory),
        Command::ManagedSettings(Later(options)) => managed_settings::run(options, &Surroundings::gather()?),
        Command::Trust(Later(trust)) => trust::trust(&trust, &Surroundings::gather()?),
        Command::Wrap(Later(wrap)) => Ok(wrap::run(wrap, &Surroundings::gather()?)),
        Command::Untrust(Later(untrust)) => trust::untrust(&untrust, &Surroundings::gather()?),
        Command::Wire(Later(options)) => wire::wire(options, &Surroundings::gather()?),
        Command::Unwire(Later(options)) => wire::unwire(options, &Surroundings::gather()?),
    }
}

fn exit_code(status: i32) -> ExitCode {
    ExitCode::from(u8::try_from(status).unwrap_or(1))
}

/// Prints to stdout. A reader that has gone, as `head` does, is no error.
fn print(text: &str) -> Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Claude's own shell may be led by what it reads, and gets no help from us.
fn refuse_inside_claude(verb: &str, surroundings: &Surroundings) -> Option<ExitCode> {
    surroundings.variables.contains_key(OsStr::new("CLAUDECODE")).then(|| {
        complain(&format!("`{verb}` does nothing inside a session of Claude's: run it in a terminal of your own"));
        ExitCode::FAILURE
    })
}

/// Whether to colour what goes to a stream: it is a terminal, and nobody asked for no colour (no-color.org).
fn colour(stream: &impl IsTerminal, surroundings: &Surroundings) -> bool {
    stream.is_terminal() && surroundings.variable("NO_COLOR").is_none()
}

/// Prints a line to stderr. One that cannot be printed is no reason to stop.
pub fn complain(text: &str) {
    drop(writeln!(io::stderr().lock(), "ccrun: {text}"));
}
