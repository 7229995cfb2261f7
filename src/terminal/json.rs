//! JSON for stdout. No string in it can act on a terminal.

use serde::Serialize;

use super::printable::acts_or_hides;

/// A value as indented JSON. Characters that would act on a terminal or mislead its reader are written as `\u…`, which
/// every JSON reader treats as the same string.
pub fn pretty(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string_pretty(value).map(|json| escaped(&json))
}

/// The same on one line.
pub fn compact(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(value).map(|json| escaped(&json))
}

/// Existing JSON with the same escapes.
pub fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        // Outside of strings a line break is part of the layout.
        if character == '\n' || !acts_or_hides(character) {
            out.push(character);
        } else {
            out.extend(character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_control_characters_are_escaped() {
        let text = "a\u{9b}31m\u{7f}\u{202e}\u{61c}\u{200b}\u{2028}\u{e0041}größer\n";
        let expected = r#""a\u009b31m\u007f\u202e\u061c\u200b\u2028\udb40\udc41größer\n""#;
        assert_eq!(compact(&text).unwrap(), expected);
        assert_eq!(pretty(&[text]).unwrap(), format!("[\n  {expected}\n]"));
    }

    proptest! {
        #[test]
        fn every_reader_gets_the_same_string(text: String) {
            let json = pretty(&text).unwrap();
            prop_assert!(!json.chars().any(acts_or_hides));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
