//! Patterns for names: `*` matches any number of characters, including none.

/// A pattern for the name of a service or an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The text before the first `*`, or all of it if there is none.
    first: String,
    /// The pieces between and after the `*`s, with the last one separate.
    rest: Option<(Vec<String>, String)>,
}

impl Pattern {
    /// Parses a pattern. All characters except `*` are literal.
    pub fn new(text: impl AsRef<str>) -> Self {
        let Some((first, rest)) = text.as_ref().split_once('*') else {
            return Self { first: text.as_ref().to_owned(), rest: None };
        };
        let mut pieces: Vec<_> = rest.split('*').map(str::to_owned).collect();
        let last = pieces.pop().unwrap_or_default();
        pieces.retain(|piece| !piece.is_empty());
        Self { first: first.to_owned(), rest: Some((pieces, last)) }
    }

    /// Whether it matches everything.
    pub fn is_any(&self) -> bool {
        let is_nothing = |(pieces, last): &(Vec<String>, String)| pieces.is_empty() && last.is_empty();
        self.first.is_empty() && self.rest.as_ref().is_some_and(is_nothing)
    }

    /// Whether the pattern matches a whole name.
    pub fn matches(&self, name: &[u8]) -> bool {
        let Some((pieces, last)) = &self.rest else { return self.first.as_bytes() == name };
        let Some(mut name) = name.strip_prefix(self.first.as_bytes()) else { return false };
        // The earliest match for each piece leaves the most text for the following pieces.
        for piece in pieces {
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
    fn a_star_matches_anything() {
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
