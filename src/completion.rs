//! What a shell may offer at a place of a command line: words of ours, or the words of the program that is launched.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate, complete};

/// Names of the user's that stand in options and arguments.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// All profiles.
    pub profiles: Vec<String>,
    /// Entries of the keyring that profiles mention.
    pub secrets: Vec<String>,
}

/// What to offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// What the program offers that begins at this word, counted from 0.
    Program(usize),
    /// These words, each with what it means where that is known; and whatever program there is, where one may stand.
    Words {
        /// The words, and a line on each.
        words: Vec<(String, String)>,
        /// Whether a program may stand here.
        programs: bool,
    },
}

/// What to offer for the word at `at` of a command line, `ccrun` and all. Pure but for files, which are looked for in the
/// working directory where an option takes one.
pub fn offer(command: Command, names: &Names, line: &[OsString], at: usize) -> Offer {
    let before = line.get(..at).unwrap_or(line);
    let place = Place::after(&command, before);
    if let Place::InProgram(first) = place {
        return Offer::Program(first);
    }
    let programs = place == Place::AtProgram;
    let current = line.get(at).cloned().unwrap_or_default();
    if programs && before.last().is_some_and(|word| word == "--") {
        // Nothing but a program stands there.
        return Offer::Words { words: Vec::new(), programs };
    }
    let line: Vec<_> = before.iter().cloned().chain([current.clone()]).collect();
    let directory = std::env::current_dir().ok();
    let found = complete(&mut knowing(command, names), line, at, directory.as_deref()).unwrap_or_default();
    // Options are many, and are offered to whoever has begun one.
    let begins = |word: &OsStr| word.to_str().is_some_and(|word| word.starts_with('-'));
    let wants_options = begins(&current);
    let shown = found.iter().filter(|candidate| !candidate.is_hide_set());
    let shown = shown.filter(|candidate| wants_options || !begins(candidate.get_value()));
    let words = shown.filter_map(|candidate| {
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        Some((candidate.get_value().to_str()?.to_owned(), help.lines().next().unwrap_or_default().to_owned()))
    });
    Offer::Words { words: words.collect(), programs }
}

/// Where a word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Among our own words.
    Own,
    /// Where the program's name may stand.
    AtProgram,
    /// Among the arguments of the program that begins at this word.
    InProgram(usize),
}

impl Place {
    /// The place after these words.
    fn after(command: &Command, words: &[OsString]) -> Self {
        let mut current = command;
        let mut words = words.iter().enumerate().skip(1);
        while let Some((at, word)) = words.next() {
            let takes_program = takes_program(current);
            let text = word.to_str().unwrap_or_default();
            if text == "--" {
                return match words.next() {
                    _ if !takes_program => Self::Own,
                    Some((first, _)) => Self::InProgram(first),
                    None => Self::AtProgram,
                };
            }
            if text.starts_with('-') {
                if takes_value(current, text) && words.next().is_none() {
                    return Self::Own;
                }
            } else if let Some(verb) = current.find_subcommand(text) {
                current = verb;
            } else if takes_program {
                return Self::InProgram(at);
            }
        }
        if takes_program(current) { Self::AtProgram } else { Self::Own }
    }
}

/// Whether a program may stand among a command's words: among ours, and those of `run`.
fn takes_program(command: &Command) -> bool {
    ["ccrun", "run"].contains(&command.get_name())
}

/// Whether the word after this option is its value.
fn takes_value(command: &Command, option: &str) -> bool {
    let takes = |arg: &Arg| arg.get_action().takes_values();
    match option.strip_prefix("--") {
        Some(long) => command.get_arguments().any(|arg| arg.get_long() == Some(long) && takes(arg)),
        // Of several letters the first that takes a value takes the rest of the word.
        None => {
            option.strip_prefix('-').and_then(|letters| {
                let letters: Vec<_> = letters.chars().collect();
                let taking =
                    |letter: &char| command.get_arguments().any(|arg| arg.get_short() == Some(*letter) && takes(arg));
                Some(letters.iter().position(taking)? + 1 == letters.len())
            }) == Some(true)
        }
    }
}

/// The same command, with the user's names where they may stand.
fn knowing(command: Command, names: &Names) -> Command {
    let verb = command.get_name().to_owned();
    let with = |arg: Arg, words: &[String]| {
        let words = words.to_vec();
        arg.add(ArgValueCandidates::new(move || words.iter().map(CompletionCandidate::new).collect()))
    };
    let command = command.mut_args(|arg| match (verb.as_str(), arg.get_id().as_str()) {
        (_, "profiles" | "extends")
        | ("report", "profile")
        | ("show" | "edit" | "path", "name")
        | ("check", "names") => with(arg, &names.profiles),
        ("set" | "remove", "name") => with(arg, &names.secrets),
        _ => arg,
    });
    command.mut_subcommands(|verb| knowing(verb, names))
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::cli::Cli;

    fn offered(line: &str) -> Offer {
        let line: Vec<_> = line.split(' ').map(OsString::from).collect();
        let names = Names { profiles: vec!["team".to_owned(), "local".to_owned()], secrets: vec!["a/key".to_owned()] };
        offer(Cli::definition(), &names, &line, line.len() - 1)
    }

    fn words(line: &str) -> Vec<String> {
        match offered(line) {
            Offer::Words { words, .. } => words.into_iter().map(|(word, _)| word).collect(),
            Offer::Program(first) => panic!("`{line}`: the program at {first}"),
        }
    }

    #[test]
    fn names_stand_where_they_may() {
        for line in [
            "ccrun -p ",
            "ccrun --profile ",
            "ccrun -v -p ",
            "ccrun env -p ",
            "ccrun report --profile ",
            "ccrun run -p ",
            "ccrun profile show ",
            "ccrun profile check local ",
            "ccrun profile new x --extends ",
        ] {
            assert!(words(line).contains(&"team".to_owned()), "{line}: {:?}", words(line));
        }
        assert_eq!(words("ccrun -p te"), ["team"]);
        assert_eq!(words("ccrun --profile=te"), ["--profile=team"]);
        assert_eq!(words("ccrun secret remove "), ["a/key"]);
        assert!(words("ccrun profile new ").is_empty(), "a new name is nobody's");
    }

    #[test]
    fn verbs_and_options_are_offered_with_a_line_on_each() {
        let Offer::Words { words, programs } = offered("ccrun ") else { panic!("a program") };
        assert!(programs);
        let report = words.iter().find(|(word, _)| word == "report").unwrap();
        assert_eq!(report.1, "Show what this machine knows of tokens, cost, models and projects");
        assert!(!words.iter().any(|(word, _)| word == "collector"), "it is nobody's to call");
        assert!(self::words("ccrun --dr").contains(&"--dry-run".to_owned()));
        assert!(self::words("ccrun queue flush --").contains(&"--wait".to_owned()));
        assert_eq!(self::words("ccrun env --format f"), ["fish"]);
    }

    #[test]
    fn a_programs_words_are_its_own() {
        let cases = [
            ("ccrun claude ", 1),
            ("ccrun -p team claude --", 3),
            ("ccrun -pteam claude mcp ", 2),
            ("ccrun -vp team claude ", 3),
            ("ccrun --var a=b -- report ", 4),
            ("ccrun run -p team env ", 4),
            ("ccrun run -- env -", 3),
        ];
        for (line, first) in cases {
            assert_eq!(offered(line), Offer::Program(first), "{line}");
        }
        let nothing = Offer::Words { words: Vec::new(), programs: true };
        assert_eq!(offered("ccrun -- re"), nothing);
        assert!(matches!(offered("ccrun run "), Offer::Words { programs: true, .. }));
        assert!(matches!(offered("ccrun -p "), Offer::Words { programs: false, .. }));
        assert!(matches!(offered("ccrun report "), Offer::Words { programs: false, .. }));
    }
}
