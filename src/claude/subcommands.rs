//! Decides by Claude Code's first argument whether a launch starts a session, and whether it takes settings.

use std::ffi::OsString;

/// The known subcommands, one a line, each with its effect.
const KNOWN: &str = include_str!("subcommands.txt");

/// Options that print something and exit if they come first.
const QUESTIONS: [&str; 5] = ["--help", "--version", "-V", "-h", "-v"];

/// The effect of Claude Code's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It prints its version or help, and reads no settings.
    Question,
    /// It manages itself. No session starts, so there is no telemetry.
    Management,
    /// It may start a session, but would reject `--settings` or take it for a prompt.
    Unsettled,
    /// A session starts.
    Session,
}

impl Use {
    /// The effect of these arguments.
    pub fn of(arguments: &[OsString]) -> Self {
        let Some(first) = arguments.first().and_then(|first| first.to_str()) else { return Self::Session };
        if QUESTIONS.contains(&first) {
            return Self::Question;
        }
        known().find(|(name, _)| *name == first).map_or(Self::Session, |(_, meaning)| meaning)
    }
}

/// Every known subcommand, with its effect.
fn known() -> impl Iterator<Item = (&'static str, Use)> {
    KNOWN.lines().filter_map(|line| {
        let (name, meaning) = line.split_once(' ')?;
        let meaning = match meaning {
            "nothing" => Use::Management,
            "unsettled" => Use::Unsettled,
            "session" => Use::Session,
            // A comment.
            _ => return None,
        };
        Some((name, meaning))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(words: &[&str]) -> Use {
        Use::of(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_first_argument_decides() {
        for words in [&["--version"][..], &["-v"], &["--help"], &["-h"]] {
            assert_eq!(meaning(words), Use::Question, "{words:?}");
        }
        for word in [
            "mcp",
            "doctor",
            "plugin",
            "auth",
            "install",
            "update",
            "setup-token",
            "auto-mode",
            "purge",
            "import",
            "agents",
            "gateway",
            "logs",
            "rm",
            "stop",
            "kill",
        ] {
            assert_eq!(meaning(&[word, "--help"]), Use::Management, "{word}");
        }
        for word in ["attach", "daemon", "rc", "remote-control", "respawn"] {
            assert_eq!(meaning(&[word, "x"]), Use::Unsettled, "{word}");
        }
        for words in [&[][..], &["-p", "mcp"], &["what is an mcp?"], &["--model", "x", "--version"], &["ultrareview"]] {
            assert_eq!(meaning(words), Use::Session, "{words:?}");
        }
    }

    #[test]
    fn the_list_is_sorted_and_fully_parsed() {
        let names: Vec<_> = known().map(|(name, _)| name).collect();
        let lines = KNOWN.lines().filter(|line| !line.starts_with('#'));
        assert!(
            names.is_sorted()
                && lines.eq(names.iter().map(|name| {
                    KNOWN.lines().find(|line| line.split(' ').next() == Some(name)).unwrap_or_default()
                }))
        );
    }
}
