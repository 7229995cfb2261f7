//! Maps an outcome to an exit code.

use std::process::ExitCode;

use ccrun::commands;
use ccrun::system::inheritance;
use ccrun::terminal::printable::visible;

fn main() -> ExitCode {
    inheritance::adjust();
    #[expect(clippy::disallowed_methods, reason = "the edge")]
    let words: Vec<_> = std::env::args_os().collect();
    match commands::execute(&words) {
        Ok(code) => code,
        Err(error) => {
            commands::complain(&visible(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
