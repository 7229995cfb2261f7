//! Questions to whoever sits at the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::Result;

/// Whether somebody is there to be asked.
pub(super) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks on the terminal.
pub(super) fn ask(question: &str) -> Result<bool> {
    write!(io::stderr(), "{question}")?;
    is_yes(io::stdin().lock())
}

/// Whatever is not a yes is a no, an end without an answer too.
fn is_yes(answer: impl BufRead) -> Result<bool> {
    let mut line = Vec::new();
    answer.take(64).read_until(b'\n', &mut line)?;
    Ok([b"y".as_slice(), b"yes"].contains(&line.trim_ascii().to_ascii_lowercase().as_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for yes in ["y\n", "Y\n", "yes\n", " Yes \r\n", "y"] {
            assert!(is_yes(yes.as_bytes()).unwrap(), "{yes:?}");
        }
        for no in ["", "\n", "n\n", "no\ny\n", "yesno\n", "y\0\n", "\u{ff}"] {
            assert!(!is_yes(no.as_bytes()).unwrap(), "{no:?}");
        }
    }
}
