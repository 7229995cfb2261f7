//! Moves a launch's options from before a verb to after it.

use std::ffi::OsString;

use clap::Command;

use super::completion::takes_value;

/// Turns `ccrun -p team queue flush --to own` into `ccrun queue flush -p team --to own`. Returns `None` if no verb follows
/// the options. The verb's own definition then decides which options it takes.
pub(super) fn behind_the_verb(definition: &Command, words: &[OsString]) -> Option<Vec<OsString>> {
    let mut verb = 1;
    loop {
        let option = words.get(verb)?.to_str()?;
        if option == "--" {
            return None;
        }
        if !option.starts_with('-') {
            break;
        }
        verb += if takes_value(definition, option) { 2 } else { 1 };
    }
    let (mut command, mut end) = (definition, verb);
    while let Some(inner) = words.get(end).and_then(|word| command.find_subcommand(word)) {
        command = inner;
        end += 1;
    }
    let moved = [&words[..1], words.get(verb..end)?, words.get(1..verb)?, words.get(end..)?];
    (end > verb).then(|| moved.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

    #[test]
    fn options_are_moved_after_the_innermost_verb() {
        let moved = |line: &str| {
            let words: Vec<_> = line.split(' ').map(OsString::from).collect();
            let moved = behind_the_verb(&Cli::definition(), &words)?;
            Some(moved.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
        };
        for (line, expected) in [
            ("ccrun -p team report --today", "ccrun report -p team --today"),
            ("ccrun -pteam --var a=b env", "ccrun env -pteam --var a=b"),
            ("ccrun --profile=team queue flush --to own", "ccrun queue flush --profile=team --to own"),
            ("ccrun -p team run claude -p hi", "ccrun run -p team claude -p hi"),
        ] {
            assert_eq!(moved(line).as_deref(), Some(expected));
        }
        for line in ["ccrun -p team claude", "ccrun -p report", "ccrun -p team -- report", "ccrun -v"] {
            assert_eq!(moved(line), None, "{line}");
        }
    }
}
