//! The paths that a script for a shell or another interpreter may name. The text is read word by word and never
//! interpreted. A word that cannot be tracked stands for the directory that it begins with.

/// Variables with a known value. Words that begin with them can be tracked.
const KNOWN: [&str; 2] = ["$CLAUDE_PROJECT_DIR", "$HOME"];

/// Words that a command follows.
const BEFORE_COMMANDS: [&str; 18] = [
    ".", "command", "do", "else", "env", "eval", "exec", "if", "nohup", "source", "sudo", "then", "time", "trap",
    "until", "while", "xargs", "!",
];

/// Programs that run their input.
const RUN_THEIR_INPUT: [&str; 6] = ["bash", "dash", "ksh", "sh", "xargs", "zsh"];

/// A word that cannot be tracked, and the directory that it begins with; empty if that is unknown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unfollowed {
    pub word: String,
    pub directory: String,
}

/// A string and, as it may be an option or a command, its parts.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let pieces = text.split(separates).filter(move |piece| *piece != text);
    std::iter::once(text).chain(pieces).filter(|piece| !piece.is_empty())
}

/// The words of a script, as written and without quotes and backslashes.
pub(super) fn words(text: &str) -> Vec<String> {
    let text = normal(text);
    let bare = bare(&text);
    pieces(&text).chain(pieces(&bare)).map(str::to_owned).collect()
}

/// The words of a script that cannot be tracked. `in_project`: it runs in the project, so that a pattern without a
/// slash matches the project's files.
pub(super) fn unfollowed(text: &str, in_project: bool) -> Vec<Unfollowed> {
    let text = normal(text);
    let mut found = Vec::new();
    for text in [text.clone(), bare(&text)] {
        let mut previous = Piece { word: "", begins: false, is_piped: false };
        for piece in Pieces::of(&text) {
            let begins = piece.begins || BEFORE_COMMANDS.contains(&previous.word);
            let runs_input = piece.is_piped && RUN_THEIR_INPUT.contains(&piece.word);
            let directory = doubt(piece.word, begins, in_project).or(runs_input.then_some(""));
            if let Some(directory) = directory {
                found.push(Unfollowed { word: piece.word.to_owned(), directory: directory.to_owned() });
            }
            previous = piece;
        }
    }
    found
}

/// The beginning of a word that cannot be tracked.
fn doubt(word: &str, begins: bool, in_project: bool) -> Option<&str> {
    let is_known = KNOWN.iter().any(|known| word.strip_prefix(known).is_some_and(|rest| !rest.contains('$')));
    let begins_at = |at: usize| word[..at].rfind('/').map_or("", |slash| &word[..=slash]);
    let has_slash = word.contains('/');
    if let Some(at) = pattern(word).filter(|_| has_slash || in_project) {
        return Some(begins_at(at));
    }
    word.find(['$', '\\']).filter(|_| !is_known && (has_slash || begins)).map(begins_at)
}

/// The position of a glob pattern in a word.
fn pattern(word: &str) -> Option<usize> {
    let is_test = word.chars().all(|c| c == '[' || c == ']');
    let mut before = ' ';
    let position = word.char_indices().find(|(_, c)| {
        let is_pattern = "*?[".contains(*c) && before != '$';
        before = *c;
        is_pattern
    });
    position.filter(|_| !is_test).map(|(at, _)| at)
}

fn separates(c: char) -> bool {
    c.is_whitespace() || "\"'`=;|&<>(),:@{}".contains(c)
}

/// A text with lines joined as a shell joins them, and `$name` for `${name}`.
fn normal(text: &str) -> String {
    let text = text.replace("\\\n", "");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let inner = &from[2..];
        let end = inner.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inner.len());
        let (name, after) = inner.split_at(end);
        match after.strip_prefix('}') {
            Some(after) if !name.is_empty() => {
                out.extend(["$", name]);
                rest = after;
            }
            _ => {
                out.push_str("${");
                rest = inner;
            }
        }
    }
    out + rest
}

/// A text after quotes and backslashes have been processed.
fn bare(text: &str) -> String {
    text.replace(['"', '\'', '\\'], "")
}

/// A word of a script.
struct Piece<'a> {
    word: &'a str,
    /// Whether a command begins with it.
    begins: bool,
    /// Whether that command reads what another one prints.
    is_piped: bool,
}

/// The words of a text, one after the other.
struct Pieces<'a> {
    rest: &'a str,
    is_first: bool,
}

impl<'a> Pieces<'a> {
    fn of(text: &'a str) -> Self {
        Self { rest: text, is_first: true }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let start = self.rest.find(|c| !separates(c))?;
        let (between, from) = self.rest.split_at(start);
        let end = from.find(separates).unwrap_or(from.len());
        let (word, rest) = from.split_at(end);
        let begins = self.is_first || between.contains([';', '|', '&', '(', '{', '`', '\n']);
        let is_piped = between.contains('|') && !between.contains("||");
        *self = Self { rest, is_first: false };
        Some(Piece { word, begins, is_piped })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directories(text: &str) -> Vec<(String, String)> {
        let mut found: Vec<_> = unfollowed(text, false).into_iter().map(|one| (one.word, one.directory)).collect();
        found.dedup();
        found
    }

    #[test]
    fn a_word_that_cannot_be_tracked_names_its_directory() {
        for (text, word, directory) in [
            ("$R/x", "$R/x", ""),
            ("R=tools; ${R}/x", "$R/x", ""),
            ("exec $R", "$R", ""),
            ("a && $X -v", "$X", ""),
            ("eval \"$X\"", "$X", ""),
            ("./tools/$X", "./tools/$X", "./tools/"),
            ("cat tools/*.sh", "tools/*.sh", "tools/"),
            ("tools/x?/y", "tools/x?/y", "tools/"),
            ("tools/\\x79", "tools/\\x79", "tools/"),
            ("to\\ols/x", "to\\ols/x", ""),
            ("echo Li94 | base64 -d | sh", "sh", ""),
        ] {
            let found = directories(text);
            assert!(found.contains(&(word.to_owned(), directory.to_owned())), "{text}: {found:?}");
        }
    }

    #[test]
    fn words_that_can_be_tracked_are_not_reported() {
        for text in [
            "printf %s \"$TOKEN\"",
            "\"$CLAUDE_PROJECT_DIR\"/tools/x",
            "${HOME}/bin/x",
            "[ -f x ] && ./x",
            "test $? = 0",
            "grep -o '[0-9]*' | head -1",
            "bash tools/x && sh -c ./y",
        ] {
            assert_eq!(directories(text), [], "{text}");
        }
        assert!(!unfollowed("cat *", true).is_empty(), "in the project it means the project's files");
    }

    #[test]
    fn words_are_joined_as_by_a_shell() {
        for (text, word) in [
            ("./hel\"per\" x", "./helper"),
            ("./he\\lper", "./helper"),
            ("./he\\\nlper", "./helper"),
            ("'./a b'", "./a"),
            ("PATH=tools:/bin x", "tools"),
        ] {
            assert!(words(text).contains(&word.to_owned()), "{text}: {:?}", words(text));
        }
    }
}
