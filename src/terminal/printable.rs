//! Makes foreign text safe for a terminal, such as a backend's message, a branch's name or a helper's output.

use std::ops::Range;

/// The maximum length of a foreign text on a terminal, in characters.
const MAX_CHARACTERS: usize = 200;

/// Escapes everything that could act on a terminal or mislead its reader, and shortens long text. The result has at
/// most 200 characters. The last one is `…` if text was cut.
pub fn printable(foreign: &str) -> String {
    let shown = visible(foreign);
    match shown.char_indices().nth(MAX_CHARACTERS) {
        None => shown,
        Some(_) => shown.chars().take(MAX_CHARACTERS - 1).chain(['…']).collect(),
    }
}

/// Escapes everything that could act on a terminal or mislead its reader: control characters (including escape
/// sequences and line breaks), bidirectional marks and characters without a width. Escapes look like `\n` or `\u{1b}`.
/// Meant for our own messages, which may contain foreign text of bounded length.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if acts_or_hides(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

/// A file's text with everything except line breaks and tabs escaped, and the new position of a part of it. Positions
/// are in bytes.
pub fn excerpt(text: &str, part: Range<usize>) -> (String, Range<usize>) {
    let mut out = String::with_capacity(text.len());
    let (mut start, mut end) = (None, None);
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        start = start.or_else(|| (at >= part.start).then_some(out.len()));
        end = end.or_else(|| (at >= part.end).then_some(out.len()));
        let ends_line = character == '\r' && characters.peek().is_some_and(|(_, next)| *next == '\n');
        if !acts_or_hides(character) || matches!(character, '\n' | '\t') || ends_line {
            out.push(character);
        } else {
            out.extend(character.escape_default());
        }
    }
    let part = start.unwrap_or(out.len())..end.unwrap_or(out.len());
    (out, part)
}

/// Whether a character acts on a terminal or misleads its reader.
pub(super) fn acts_or_hides(character: char) -> bool {
    let is_bidirectional =
        matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    // Joiners (U+200C, U+200D) stay, because Persian and many emoji need them.
    let is_invisible = matches!(character,
        '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    character.is_control() || is_bidirectional || is_invisible
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_are_made_visible_and_other_text_is_unchanged() {
        let cases = [
            ("plain text, größer, 日本, 👩‍💻", "plain text, größer, 日本, 👩‍💻"),
            ("two\nlines\r\n\ttabbed", "two\\nlines\\r\\n\\ttabbed"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("safe\u{202e}txt.exe", "safe\\u{202e}txt.exe"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
            ("C:\\path", "C:\\path"),
        ];
        for (foreign, expected) in cases {
            assert_eq!(printable(foreign), expected);
        }
    }

    #[test]
    fn text_over_two_hundred_characters_is_truncated() {
        assert_eq!(printable(&"ß".repeat(200)), "ß".repeat(200));
        assert_eq!(printable(&"ß".repeat(201)), format!("{}…", "ß".repeat(199)));
        assert_eq!(printable(&format!("{}\u{1b}", "x".repeat(199))), format!("{}…", "x".repeat(199)));
    }

    #[test]
    fn a_part_of_a_file_can_be_found() {
        let text = "a\u{9b}\u{2028}\r\nb\tc\u{e0041}\r\u{61c}d\n";
        let part = |text: &str, of: &str| text.find(of).map(|start| start..start + of.len()).unwrap();
        let (shown, found) = excerpt(text, part(text, "c\u{e0041}\r\u{61c}d"));
        assert_eq!(shown, "a\\u{9b}\\u{2028}\r\nb\tc\\u{e0041}\\r\\u{61c}d\n");
        assert_eq!(&shown[found], "c\\u{e0041}\\r\\u{61c}d");
        assert_eq!(excerpt("a\u{1b}", 0..2), ("a\\u{1b}".to_owned(), 0..7));
        assert_eq!(excerpt("", 0..0), (String::new(), 0..0));
    }

    proptest! {
        #[test]
        fn no_control_character_gets_through(foreign: String) {
            let shown = printable(&foreign);
            prop_assert!(!shown.chars().any(acts_or_hides));
            prop_assert!(shown.chars().count() <= MAX_CHARACTERS);
        }
    }
}
