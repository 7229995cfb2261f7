//! Patterns of names: `*` stands for any characters, or none.

use serde::{Deserialize, Serialize};

/// A pattern of a service's or an attribute's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern that a text is: all but `*` stands for itself.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether it matches everything.
    pub fn is_any(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte == b'*')
    }

    /// Whether the whole of a name is as the pattern says.
    pub fn matches(&self, name: &[u8]) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return self.0.as_bytes() == name };
        let Some(mut name) = name.strip_prefix(first.as_bytes()) else { return false };
        let mut pieces: Vec<&str> = rest.split('*').collect();
        let last = pieces.pop().unwrap_or_default();
        // The earliest place for each piece leaves the most to those behind it.
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            let Some(at) = name.windows(piece.len()).position(|window| window == piece.as_bytes()) else {
                return false;
            };
            name = &name[at + piece.len()..];
        }
        name.ends_with(last.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        let cases = [
            ("*", "", true),
            ("*", "anything", true),
            ("", "", true),
            ("", "x", false),
            ("user.email", "user.email", true),
            ("user.email", "user.emails", false),
            ("claude-code*", "claude-code", true),
            ("claude-code*", "claude-code-desktop", true),
            ("claude-code*", "my-claude-code", false),
            ("*.email", "user.email", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("**", "x", true),
            ("a**b", "ab", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(Pattern::new(pattern).matches(name.as_bytes()), expected, "{pattern} {name}");
        }
        assert!(Pattern::new("*").is_any() && !Pattern::new("a*").is_any() && !Pattern::new("").is_any());
    }
}
