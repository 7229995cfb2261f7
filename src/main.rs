//! Maps an outcome to an exit code.

use std::process::ExitCode;

use ccrun::cli::Cli;
use ccrun::commands;
use ccrun::printable::visible;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    match commands::dispatch(Cli::of(&words)) {
        Ok(code) => code,
        Err(error) => {
            commands::complain(&visible(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
