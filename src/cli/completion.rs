//! What a shell may complete at a position of a command line: ccrun's own words, or those of the launched program.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate, complete};

/// Names that the user has defined, and that complete options and arguments.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// All profiles.
    pub profiles: Vec<String>,
    /// Backends that `ccrun setup` knows.
    pub backends: Vec<String>,
    /// Destinations of the chosen profile.
    pub destinations: Vec<String>,
    /// Teams' stores of the chosen profile and of `config.toml`.
    pub sources: Vec<String>,
    /// Ids of sessions.
    pub sessions: Vec<String>,
    /// Claude Code's own ids of sessions that the ledger knows.
    pub claude_sessions: Vec<String>,
    /// Ids of prompts that the ledger knows.
    pub prompts: Vec<String>,
    /// Persons that the ledger knows.
    pub persons: Vec<String>,
    /// Keyring entries that profiles mention.
    pub secrets: Vec<String>,
    /// Conditions that match recorded usage, such as `project=api`.
    pub usage: Vec<String>,
    /// Variables of the selected profile, as `NAME=`, or as `NAME=VALUE` if only certain values are allowed.
    pub variables: Vec<String>,
}

/// The profiles that a command line names: with `-p`, with `--extends`, or as the backend to set up.
pub fn named_profiles(line: &[OsString]) -> Vec<String> {
    let words: Vec<&str> = line.iter().filter_map(|word| word.to_str()).collect();
    let after = |word: &&str| ["-p", "--profile", "--extends", "setup"].contains(word);
    let following = words.windows(2).filter(|pair| after(&pair[0])).map(|pair| pair[1]);
    let joined = words.iter().filter_map(|word| word.strip_prefix("--profile=").or(word.strip_prefix("--extends=")));
    following.chain(joined).filter(|name| !name.starts_with('-')).map(str::to_owned).collect()
}

/// What to offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Complete as the program would. Its name is the word at this index.
    Program(usize),
    /// These words, each with its description if there is one, and program names if `programs` is set.
    Words {
        /// The words and their one-line descriptions.
        words: Vec<(String, String)>,
        /// Whether a program name is allowed here.
        programs: bool,
    },
}

/// Completions for the word at index `at` of a command line that includes `ccrun`. Pure, except that file names are
/// read from `directory` for options that take a file.
pub fn offer(command: Command, names: &Names, directory: &Path, line: &[OsString], at: usize) -> Offer {
    let before = line.get(..at).unwrap_or(line);
    let place = Place::after(&command, before);
    if let Place::InProgram(first) = place {
        return Offer::Program(first);
    }
    let programs = place == Place::AtProgram;
    let current = line.get(at).cloned().unwrap_or_default();
    let mut words = if programs { suggested(&current) } else { Vec::new() };
    if programs && before.last().is_some_and(|word| word == "--") {
        // Only a program can follow here.
        return Offer::Words { programs: !current.is_empty() && words.is_empty(), words };
    }
    let line: Vec<_> = before.iter().cloned().chain([current.clone()]).collect();
    let found = complete(&mut knowing(command, names), line, at, Some(directory)).unwrap_or_default();
    // There are many options, so offer them only once one has been started.
    let begins = |word: &OsStr| word.to_str().is_some_and(|word| word.starts_with('-'));
    let wants_options = begins(&current);
    let shown = found.iter().filter(|candidate| !candidate.is_hide_set());
    let shown = shown.filter(|candidate| wants_options || !begins(candidate.get_value()));
    words.extend(shown.filter_map(|candidate| {
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        Some((candidate.get_value().to_str()?.to_owned(), help.lines().next().unwrap_or_default().to_owned()))
    }));
    // There are a thousand programs, among which the verbs would not be seen.
    let programs = programs && !current.is_empty() && !wants_options && words.is_empty();
    Offer::Words { words, programs }
}

/// The programs that `ccrun` is for, as far as they begin so.
fn suggested(begun: &OsStr) -> Vec<(String, String)> {
    let known = [("claude", "Claude Code"), ("code", "VS Code, with the extension's Claude Code")];
    let fits = |(name, _): &(&str, &str)| begun.to_str().is_some_and(|begun| name.starts_with(begun));
    known.into_iter().filter(fits).map(|(name, about)| (name.to_owned(), about.to_owned())).collect()
}

/// The position of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Among ccrun's own words.
    Own,
    /// Where the program name may stand.
    AtProgram,
    /// Among the arguments of the program whose name is at this index.
    InProgram(usize),
}

impl Place {
    /// The position that follows these words.
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

/// Whether a program may follow: it may after `ccrun` itself and after `run`.
fn takes_program(command: &Command) -> bool {
    ["ccrun", "run"].contains(&command.get_name())
}

/// Whether the next word is this option's value.
pub(super) fn takes_value(command: &Command, option: &str) -> bool {
    let takes = |arg: &Arg| arg.get_action().takes_values();
    match option.strip_prefix("--") {
        Some(long) => command.get_arguments().any(|arg| arg.get_long() == Some(long) && takes(arg)),
        // In a group of short options, the first that takes a value takes the rest of the word.
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

/// The same command, with the user's names as possible values.
fn knowing(command: Command, names: &Names) -> Command {
    let verb = command.get_name().to_owned();
    let with = |arg: Arg, words: &[String]| {
        let words = words.to_vec();
        arg.add(ArgValueCandidates::new(move || words.iter().map(CompletionCandidate::new).collect()))
    };
    let command = command.mut_args(|arg| match (verb.as_str(), arg.get_id().as_str()) {
        (_, "profiles" | "profile" | "extends") | ("show" | "edit" | "path", "name") | ("check", "names") => {
            with(arg, &names.profiles)
        }
        ("setup", "backend") => with(arg, &names.backends),
        ("headers", "destination") | ("flush", "to") => with(arg, &names.destinations),
        ("report" | "week" | "session" | "prompt", "from") => with(arg, &names.sources),
        ("sessions", "id") => with(arg, &names.sessions),
        ("session", "id") | ("forget", "session") => with(arg, &names.claude_sessions),
        ("prompt", "id") => with(arg, &names.prompts),
        ("forget", "person") => with(arg, &names.persons),
        ("report" | "week", "filter") => with(arg, &names.usage),
        ("set" | "remove", "name") => with(arg, &names.secrets),
        (_, "variables") => with(arg, &names.variables),
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
        let names = Names {
            profiles: vec!["team".to_owned(), "local".to_owned()],
            secrets: vec!["a/key".to_owned()],
            variables: vec!["region=eu".to_owned(), "endpoint=".to_owned()],
            usage: vec!["project=api".to_owned()],
            backends: vec!["signoz".to_owned()],
            destinations: vec!["own".to_owned()],
            sources: vec!["warehouse".to_owned()],
            sessions: vec!["3f0a11de".to_owned()],
            claude_sessions: vec!["0f3c-1".to_owned()],
            prompts: vec!["77aa-2".to_owned()],
            persons: vec!["me@example.org".to_owned()],
        };
        offer(Cli::definition(), &names, Path::new("/"), &line, line.len() - 1)
    }

    fn words(line: &str) -> Vec<String> {
        match offered(line) {
            Offer::Words { words, .. } => words.into_iter().map(|(word, _)| word).collect(),
            Offer::Program(first) => panic!("`{line}`: the program at {first}"),
        }
    }

    #[test]
    fn names_complete_where_they_are_allowed() {
        for line in [
            "ccrun -p ",
            "ccrun --profile ",
            "ccrun -v -p ",
            "ccrun env -p ",
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
        assert_eq!(words("ccrun -p team --var re"), ["region=eu"]);
        assert_eq!(words("ccrun setup otlp --var "), ["region=eu", "endpoint="]);
        assert_eq!(words("ccrun report --where pro"), ["project=api"]);
        assert_eq!(words("ccrun setup si"), ["signoz"]);
        assert_eq!(words("ccrun headers --destination "), ["own"]);
        assert_eq!(words("ccrun queue flush --to o"), ["own"]);
        for verb in ["report", "report week", "report session 0f3c"] {
            assert_eq!(words(&format!("ccrun {verb} --from wa")), ["warehouse"]);
        }
        assert_eq!(words("ccrun sessions "), ["3f0a11de"]);
        assert_eq!(words("ccrun report session "), ["0f3c-1"]);
        assert_eq!(words("ccrun report prompt 7"), ["77aa-2"]);
        assert_eq!(words("ccrun ledger forget --person me"), ["me@example.org"]);
        assert_eq!(words("ccrun wire code -p te"), ["team"]);
        assert_eq!(words("ccrun report --by mo"), ["month", "model"]);
        assert!(words("ccrun report --columns cost,ca").contains(&"cost,cache".to_owned()));
        assert!(words("ccrun profile new ").is_empty(), "a new name has no completions");
    }

    #[test]
    fn verbs_and_options_are_offered_with_descriptions() {
        let Offer::Words { words, programs } = offered("ccrun ") else { panic!("a program") };
        assert!(!programs, "a thousand programs would hide the verbs");
        assert_eq!([words[0].0.as_str(), words[1].0.as_str()], ["claude", "code"]);
        let report = words.iter().find(|(word, _)| word == "report").unwrap();
        assert_eq!(report.1, "Show token usage and cost by day, project and model");
        assert!(!words.iter().any(|(word, _)| word == "collector"), "it is internal");
        assert!(self::words("ccrun --dr").contains(&"--dry-run".to_owned()));
        assert!(self::words("ccrun queue flush --").contains(&"--wait".to_owned()));
        assert_eq!(self::words("ccrun env --format f"), ["fish"]);
    }

    #[test]
    fn the_program_completes_its_own_arguments() {
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
        let any = Offer::Words { words: Vec::new(), programs: true };
        for line in ["ccrun -- re", "ccrun gi", "ccrun -p team gi", "ccrun run re", "ccrun ./"] {
            assert_eq!(offered(line), any, "{line}");
        }
        for line in ["ccrun run ", "ccrun -- ", "ccrun run cl", "ccrun re", "ccrun --v"] {
            assert!(matches!(offered(line), Offer::Words { programs: false, words } if !words.is_empty()), "{line}");
        }
        assert!(matches!(offered("ccrun -p "), Offer::Words { programs: false, .. }));
        assert!(matches!(offered("ccrun report "), Offer::Words { programs: false, .. }));
    }
}
