//! Words of `ClickHouse`'s SQL. Everything that is not ours passes [`literal`] or [`identifier`].

/// A string as a literal.
pub(super) fn literal(text: &str) -> String {
    quoted(text, '\'')
}

/// A name of a database, a table or a column.
pub(super) fn identifier(name: &str) -> String {
    quoted(name, '`')
}

/// A path into a JSON column: each part between dots is a name.
pub(super) fn nested(path: &str) -> String {
    path.split('.').map(identifier).collect::<Vec<_>>().join(".")
}

fn quoted(text: &str, quote: char) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(quote);
    for character in text.chars() {
        match character {
            '\\' => quoted.push_str("\\\\"),
            '\0' => quoted.push_str("\\0"),
            character if character == quote => quoted.extend(['\\', character]),
            character => quoted.push(character),
        }
    }
    quoted.push(quote);
    quoted
}

/// The columns of a line of `TabSeparated`, unescaped.
pub(super) fn columns(line: &str) -> Vec<String> {
    line.split('\t').map(unescaped).collect()
}

fn unescaped(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        out.extend(match character {
            '\\' => match characters.next() {
                Some('b') => Some('\u{8}'),
                Some('f') => Some('\u{c}'),
                Some('n') => Some('\n'),
                Some('r') => Some('\r'),
                Some('t') => Some('\t'),
                Some('0') => Some('\0'),
                // Null, which is read as an empty text.
                Some('N') => None,
                other => other,
            },
            character => Some(character),
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_leave_its_literal() {
        assert_eq!(literal("a'b\\' OR 1=1 --"), r"'a\'b\\\' OR 1=1 --'");
        assert_eq!(identifier("a`b\\"), r"`a\`b\\`");
        assert_eq!(nested("session.id"), "`session`.`id`");
    }

    #[test]
    fn columns_are_unescaped() {
        assert_eq!(columns("a\t\\N\tx\\ty\\\\n\\'\t"), ["a", "", "x\ty\\n'", ""]);
    }
}
