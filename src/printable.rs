//! What is foreign (a backend's message, a branch's name, a helper's output), made fit for a terminal.

/// The most characters that a foreign text takes on a terminal.
const MAX_CHARACTERS: usize = 200;

/// Makes everything visible that could act on a terminal or mislead its reader, and cuts what is long: at most 200
/// characters come out, the last of them `…` if there was more.
pub fn printable(foreign: &str) -> String {
    let shown = visible(foreign);
    match shown.char_indices().nth(MAX_CHARACTERS) {
        None => shown,
        Some(_) => shown.chars().take(MAX_CHARACTERS - 1).chain(['…']).collect(),
    }
}

/// Makes everything visible that could act on a terminal or mislead its reader: control characters (escape sequences
/// and line breaks with them), bidirectional marks and characters without a width are written as escapes (`\n`,
/// `\u{1b}`). For a message of our own, which may hold foreign text of bounded length.
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

fn acts_or_hides(character: char) -> bool {
    let is_bidirectional =
        matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    // Joiners (U+200C, U+200D) stay: Persian and many emoji are written with them.
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
    fn what_acts_is_made_visible_and_the_rest_stays() {
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
    fn two_hundred_characters_fit_and_one_more_is_cut() {
        assert_eq!(printable(&"ß".repeat(200)), "ß".repeat(200));
        assert_eq!(printable(&"ß".repeat(201)), format!("{}…", "ß".repeat(199)));
        assert_eq!(printable(&format!("{}\u{1b}", "x".repeat(199))), format!("{}…", "x".repeat(199)));
    }

    proptest! {
        #[test]
        fn nothing_that_acts_comes_through(foreign: String) {
            let shown = printable(&foreign);
            prop_assert!(!shown.chars().any(acts_or_hides));
            prop_assert!(shown.chars().count() <= MAX_CHARACTERS);
        }
    }
}
