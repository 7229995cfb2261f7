//! Maps an outcome to an exit code.

use std::process::ExitCode;

use ccrun::cli::Cli;
use ccrun::commands;
use ccrun::printable::visible;
use clap::Parser;

fn main() -> ExitCode {
    match commands::dispatch(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            commands::complain(&visible(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
