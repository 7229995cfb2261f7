//! The text of the repository uses plain words, and one word for one thing.

use std::path::Path;
use std::process::Command;

/// Words that make a sentence hard to read.
const AVOIDED: [&str; 13] = [
    "whoever",
    "whatever",
    "nobody",
    "somebody",
    "whom",
    "anew",
    "mend",
    "mends",
    "mended",
    "mending",
    "to be had",
    "be had",
    "but for",
];

/// Words for which the project uses another word, with that word.
const OTHER_WORD: [(&str, &str); 10] = [
    ("guest", "unauthenticated connection"),
    ("guests", "unauthenticated connections"),
    ("stranger", "unauthenticated connection, or another user"),
    ("strangers", "unauthenticated connections, or other users"),
    ("surroundings", "process environment"),
    ("tally", "counters"),
    ("teller", "counters"),
    ("tellers", "counters"),
    ("put off", "deferred"),
    ("puts off", "defers"),
];

/// Text that was not written for this project, and this list.
const FOREIGN: [&str; 7] = [
    "LICENSE",
    "Cargo.lock",
    "fuzz/Cargo.lock",
    "fuzz/seeds/",
    "proptest-regressions/",
    "src/claude/settings_schema/cases.txt",
    "tests/it/language.rs",
];

#[test]
fn the_prose_avoids_the_listed_words() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files: Vec<_> = listed.split('\0').filter(|file| !file.is_empty() && !is_foreign(file)).collect();
    if files.is_empty() {
        // A source archive has no list of files.
        return;
    }
    assert!(files.contains(&"README.md") && files.len() > 400, "not all files were listed: {}", files.len());
    let mut found = Vec::new();
    for file in files {
        let Ok(text) = std::fs::read_to_string(root.join(file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            found.extend(avoided(line).into_iter().map(|word| format!("{file}:{}: {word}", number + 1)));
        }
    }
    assert!(found.is_empty(), "words to replace:\n{}", found.join("\n"));
}

fn is_foreign(file: &str) -> bool {
    FOREIGN.iter().any(|foreign| file.starts_with(foreign))
}

/// The avoided words in a line. Parts of names count as words. The Unix user `nobody` is allowed.
fn avoided(line: &str) -> Vec<String> {
    let line = line.to_lowercase();
    let is_user = ["`nobody`", "as_user_nobody", "nobody: &str", "nobody.parse", "\"--reuid\", nobody"];
    // The words of a phrase must be adjacent, in a sentence or in a name.
    let separated: String = line
        .replace('_', " ")
        .chars()
        .map(|c| {
            if c.is_alphabetic() {
                c
            } else if c == ' ' {
                ' '
            } else {
                '|'
            }
        })
        .collect();
    let words: Vec<_> = separated.replace('|', " | ").split_whitespace().map(str::to_owned).collect();
    let text = format!(" {} ", words.join(" "));
    let has = |word: &str| text.contains(&format!(" {word} "));
    let mut found: Vec<_> = AVOIDED.into_iter().filter(|word| has(word)).map(str::to_owned).collect();
    found.retain(|word| word != "nobody" || !is_user.iter().any(|part| line.contains(part)));
    let others = OTHER_WORD.into_iter().filter(|(word, _)| has(word));
    found.extend(others.map(|(word, instead)| format!("{word} (write `{instead}`)")));
    found
}

#[test]
fn a_word_is_found_in_prose_and_in_names() {
    assert_eq!(avoided("/// For Whoever reads it."), ["whoever"]);
    assert_eq!(avoided("fn nobody_waits() {}"), ["nobody"]);
    assert_eq!(avoided("all, but for one"), ["but for"]);
    assert_eq!(avoided("A stranger."), ["stranger (write `unauthenticated connection, or another user`)"]);
    assert!(avoided("as it would be, had it run").is_empty());
    assert!(avoided("the user `nobody`, a recommendation, tomorrow").is_empty());
}
