//! Yes-or-no questions on the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::Result;

/// Whether there is a terminal for questions.
pub fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks on the terminal.
pub fn ask(question: &str) -> Result<bool> {
    write!(io::stderr(), "{question}")?;
    is_yes(io::stdin().lock())
}

/// Any answer other than yes counts as no, including the end of the input.
fn is_yes(answer: impl BufRead) -> Result<bool> {
    let mut line = Vec::new();
    answer.take(64).read_until(b'\n', &mut line)?;
    Ok([b"y".as_slice(), b"yes"].contains(&line.trim_ascii().to_ascii_lowercase().as_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_means_yes() {
        for yes in ["y\n", "Y\n", "yes\n", " Yes \r\n", "y"] {
            assert!(is_yes(yes.as_bytes()).unwrap(), "{yes:?}");
        }
        for no in ["", "\n", "n\n", "no\ny\n", "yesno\n", "y\0\n", "\u{ff}"] {
            assert!(!is_yes(no.as_bytes()).unwrap(), "{no:?}");
        }
    }
}
