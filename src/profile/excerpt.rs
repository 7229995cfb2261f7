//! The line of a document that a fault is in, without secrets. This is the only place that decides which parts of a
//! document may be shown.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::Origin;
use crate::terminal::mask::{is_secret_name, may_be_secret};

/// Replaces each character of a hidden value, so that columns stay the same.
const HIDDEN: char = '*';

/// A line as it may be shown, and the bytes that the fault is about.
pub(super) struct Excerpt {
    pub(super) line: String,
    pub(super) number: usize,
    pub(super) span: Range<usize>,
}

/// The line in which an origin begins. If the text is not TOML, only the key is shown. Otherwise only the value of the
/// origin is shown, unless it may be secret.
pub(super) fn excerpt(origin: &Origin) -> Excerpt {
    let text = origin.document.text.as_str();
    let at = (0..=origin.span.start.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    let line = text[start..end].trim_end_matches('\r');
    let hidden: Vec<_> = hidden(text, line, start, &origin.span);
    let is_hidden = |at: usize| hidden.iter().any(|range| range.contains(&(start + at)));
    let (mut shown, mut span) = (String::with_capacity(line.len()), 0..0);
    for (at, character) in line.char_indices() {
        if start + at == origin.span.start {
            span.start = shown.len();
        }
        shown.push(if is_hidden(at) && !character.is_whitespace() { HIDDEN } else { character });
        if start + at < origin.span.end {
            span.end = shown.len();
        }
    }
    if origin.span.start >= start + line.len() {
        span.start = shown.len();
    }
    span.end = span.end.max(span.start);
    Excerpt { line: shown, number: text[..start].matches('\n').count() + 1, span }
}

/// The byte ranges to hide in the line that begins at `start`.
fn hidden(text: &str, line: &str, start: usize, about: &Range<usize>) -> Vec<Range<usize>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return std::iter::once(start + behind_key(line)..start + line.len()).collect();
    }
    let mut values = Values { about, hidden: Vec::new() };
    values.of_table(root.get_ref(), &mut Vec::new());
    let inside = |span: Range<usize>| {
        // Quotation marks are not part of the value.
        let is_quoted = text.get(span.clone()).is_some_and(|value| value.len() > 1 && value.starts_with(['"', '\'']));
        if is_quoted { span.start + 1..span.end - 1 } else { span }
    };
    values.hidden.into_iter().map(inside).collect()
}

/// Collects the values to hide.
struct Values<'a> {
    about: &'a Range<usize>,
    hidden: Vec<Range<usize>>,
}

impl Values<'_> {
    fn of_table(&mut self, table: &DeTable<'_>, path: &mut Vec<String>) {
        for (key, value) in table {
            path.push(key.get_ref().to_string());
            let (span, about) = (value.span(), self.about);
            // Items of a list are handled with their list.
            let is_list = matches!(value.get_ref(), DeValue::Array(_));
            let is_in_list = is_list && span.start <= about.start && about.end <= span.end;
            self.of_value(value, path, is_in_list || about.start <= span.start && span.end <= about.end);
            path.pop();
        }
    }

    fn of_value(&mut self, value: &Spanned<DeValue<'_>>, path: &mut Vec<String>, is_meant: bool) {
        match value.get_ref() {
            DeValue::Table(below) => self.of_table(below, path),
            DeValue::Array(items) => items.iter().for_each(|item| self.of_value(item, path, is_meant)),
            DeValue::Boolean(_) => {}
            other => {
                let is_token = matches!(other, DeValue::String(text) if may_be_secret(text));
                if !is_meant || is_token || is_secret(path) {
                    self.hidden.push(value.span());
                }
            }
        }
    }
}

/// Whether this place in a profile may hold a secret.
pub(super) fn is_secret<S: AsRef<str>>(path: &[S]) -> bool {
    let path: Vec<_> = path.iter().map(AsRef::as_ref).collect();
    match path.as_slice() {
        ["env" | "vars", _, ..]
        | ["destination" | "source", _, "headers", _, ..]
        | ["source", _, "password", ..]
        | ["settings", "env", ..]
        | ["redact", "key", ..] => true,
        ["settings", .., last] => is_secret_name(last),
        [.., "headers" | "env", _] => true,
        [.., last] => ["password", "client_secret", "webhook"].contains(last),
        [] => false,
    }
}

/// The position behind the key in a line that is not TOML, or zero if there is no key.
fn behind_key(line: &str) -> usize {
    let body = line.trim_start();
    let indent = line.len() - body.len();
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if let Some(header) = body.strip_prefix('[') {
        let header = header.trim_start_matches('[');
        let name = header.trim_end().trim_end_matches(']');
        let is_header =
            !name.is_empty() && name.chars().all(|c| is_bare(c) || " \"'".contains(c)) && !may_be_secret(name);
        return if is_header { line.len() } else { 0 };
    }
    let key = match body.chars().next() {
        Some(quote @ ('"' | '\'')) => body[1..].find(quote).map_or(0, |end| end + 2),
        _ => body.find(|c| !is_bare(c)).unwrap_or(body.len()),
    };
    let rest = body[key..].trim_start();
    let is_key = key > 0 && rest.starts_with(['=', ':']) && !may_be_secret(&body[..key]);
    if is_key { indent + body.len() - rest.len() + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::document::Document;
    use super::*;

    /// The shown line of `text` for a fault about `about`.
    fn shown(text: &str, about: &str) -> String {
        let start = text.find(about).unwrap();
        let document = Arc::new(Document { label: "a".to_owned(), text: text.to_owned() });
        let excerpt = excerpt(&Origin { document, span: start..start + about.len() });
        let before = text[..start].rsplit('\n').next().unwrap().chars().count();
        assert_eq!(excerpt.line[..excerpt.span.start].chars().count(), before, "{text}: the caret");
        assert_eq!(excerpt.line[excerpt.span].chars().count(), about.chars().count(), "{text}: the caret's length");
        excerpt.line
    }

    #[test]
    fn invalid_toml_shows_only_the_key() {
        for (line, about, expected) in [
            ("signoz-ingestion-key = SECRET", "SECRET", "signoz-ingestion-key = ******"),
            ("TOK = \"SECRET\" junk", "junk", "TOK = ******** ****"),
            ("  a.\u{e4} = SECRET", "SECRET", "  *** * ******"),
            ("\"a key\" = größe #x", "größe", "\"a key\" = ***** **"),
            ("key: SECRET", "SECRET", "key: ******"),
            ("key SECRET", "SECRET", "*** ******"),
            ("  SECRET", "SECRET", "  ******"),
            ("\"SECRET\" junk", "junk", "******** ****"),
            ("[destination.x", "x", "[destination.x"),
            ("[\"SECRET\", x", "x", "********** *"),
            ("c2VjcmV0c2VjcmV0c2Vj== x", "x", "********************** *"),
        ] {
            assert_eq!(shown(&format!("a = 1\n{line}\nb = 2\n"), about), expected);
        }
    }

    #[test]
    fn valid_toml_shows_the_value_unless_it_may_be_secret() {
        for (text, about, expected) in [
            ("[signals]\nmetrics = \"yes\"", "\"yes\"", "metrics = \"yes\""),
            ("[destination.d]\nheders = { x = \"SECRET\" }", "heders", "heders = { x = \"******\" }"),
            ("[env]\nA = \"SECRET\"", "\"SECRET\"", "A = \"******\""),
            ("env.A = { env = \"SECRET\", b = 17 }", "b", "env.A = { env = \"******\", b = ** }"),
            ("[vars]\nk = 'SECRET'", "'SECRET'", "k = '******'"),
            ("[settings.env]\nA = \"SECRET\"", "\"SECRET\"", "A = \"******\""),
            ("[settings]\napiKey = \"SECRET\"", "\"SECRET\"", "apiKey = \"******\""),
            ("basic.password = \"SECRET\"", "\"SECRET\"", "basic.password = \"******\""),
            ("endpoint = \"https://h/?k=SECRET\"", "\"https://h/?k=SECRET\"", "endpoint = \"*******************\""),
            ("endpoint = \"ftp://h\"", "\"ftp://h\"", "endpoint = \"ftp://h\""),
            ("signals = [\"logs\", \"lgs\"]", "\"lgs\"", "signals = [\"logs\", \"lgs\"]"),
            ("headers.a = [\"SECRET\", 7]", "7", "headers.a = [\"******\", *]"),
            ("a = \"\"\"\nSECRET\"\"\"\nb = 1", "SECRET", "********\""),
        ] {
            assert_eq!(shown(text, about), expected);
        }
    }
}
