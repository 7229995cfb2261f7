//! Whether a profile that cannot be used says that nothing may start without it. Its files are read line by line,
//! because they may be invalid in any way.

use std::collections::BTreeSet;
use std::path::Path;

use super::resolve::{Defaults, Selection, chosen};
use super::sources::Directories;
use crate::system::bounded;

/// How much of a file is read, in bytes.
const MAXIMUM_SIZE: u64 = 1 << 20;

/// How many profiles are read.
const MAXIMUM_PROFILES: usize = 64;

/// Whether any layer of the selection has an uncommented top-level line `require = true`. `project` is the text of a
/// trusted project file.
pub fn requires(
    selection: &Selection,
    defaults: &Defaults,
    project: Option<&str>,
    directories: Directories<'_>,
) -> bool {
    if project.is_some_and(says_so) {
        return true;
    }
    let names = |text: &str, key: &str| strings(text, key);
    let theirs = project.and_then(|text| names(text, "profile").into_iter().next());
    let first = chosen(selection, defaults, theirs.as_deref(), project.is_some_and(is_profile), directories);
    let mut waiting: Vec<String> = std::iter::once(first).chain(selection.profiles.iter().skip(1).cloned()).collect();
    waiting.extend(project.into_iter().flat_map(|text| names(text, "extends")));
    let is_enforced = defaults.enforce.iter().any(|key| key == "require");
    waiting.extend(defaults.system_profile.clone().filter(|_| is_enforced));
    let mut seen = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if seen.len() >= MAXIMUM_PROFILES || !seen.insert(name.clone()) {
            continue;
        }
        let texts = directories.texts(&name, read);
        if texts.iter().any(|text| says_so(text)) {
            return true;
        }
        waiting.extend(texts.iter().flat_map(|text| names(text, "extends")));
    }
    false
}

/// Whether a project's file is a profile itself.
fn is_profile(text: &str) -> bool {
    !strings(text, "extends").is_empty() || text.lines().any(|line| line.trim_start().starts_with("[destination"))
}

/// A file's text with invalid UTF-8 replaced, or `None` if it cannot be read.
fn read(path: &Path) -> Option<String> {
    Some(String::from_utf8_lossy(&bounded::read(path, MAXIMUM_SIZE).ok()?).into_owned())
}

/// Whether a text has that line.
fn says_so(text: &str) -> bool {
    top_level(text).any(|line| value(line, "require").is_some_and(|value| without_comment(value) == "true"))
}

/// The strings under a top-level key, a single one or a list.
pub fn strings(text: &str, key: &str) -> Vec<String> {
    let lines: Vec<&str> = top_level(text).collect();
    let Some((at, first)) = lines.iter().enumerate().find_map(|(at, line)| Some((at, value(line, key)?))) else {
        return Vec::new();
    };
    let more = lines[at + 1..].iter().copied().filter(|_| first.starts_with('['));
    let mut found = Vec::new();
    for line in std::iter::once(first).chain(more) {
        let line = without_comment(line);
        found.extend(line.split(['"', '\'']).skip(1).step_by(2).map(str::to_owned));
        if line.ends_with(']') {
            break;
        }
    }
    found
}

/// The lines before the first table.
fn top_level(text: &str) -> impl Iterator<Item = &str> {
    let is_header = |line: &&str| {
        let line = without_comment(line.trim());
        line.starts_with('[') && line.ends_with(']') && !line.contains(['"', '\'', ','])
    };
    text.trim_start_matches('\u{feff}').lines().take_while(move |line| !is_header(line))
}

/// The text after a key in its line.
fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let (name, value) = line.split_once('=')?;
    (name.trim().trim_matches(['"', '\'']) == key).then(|| value.trim())
}

fn without_comment(line: &str) -> &str {
    line.split_once('#').map_or(line, |(before, _)| before).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_found_in_spite_of_other_mistakes() {
        for text in [
            "require = true",
            "require=true # for the gateway\r\n",
            "\u{feff}\"require\"  =  true",
            "x = [\n  [1],\n]\n???\nrequire = true\n[signals\n",
            "extends = [ \"a\", \nrequire = true",
        ] {
            assert!(says_so(text), "{text}");
        }
        for text in [
            "# require = true",
            "require = false",
            "require = \"true\"",
            "[signals]\nrequire = true",
            "xrequire = true",
        ] {
            assert!(!says_so(text), "{text}");
        }
    }

    #[test]
    fn names_are_found_on_one_line_and_on_several() {
        assert_eq!(strings("extends = \"a\"", "extends"), ["a"]);
        assert_eq!(strings("x = 1\nextends = [\"a\", 'b']\n", "extends"), ["a", "b"]);
        assert_eq!(strings("extends = [\n  \"a\", # one\n  \"b\",\n]\nx = \"c\"", "extends"), ["a", "b"]);
        assert_eq!(strings("[x]\nextends = \"a\"", "extends"), [] as [&str; 0]);
    }
}
