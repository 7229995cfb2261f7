//! What `ClickHouse` says when it has no answer, and what to do about it.

use super::sql::identifier;
use crate::report::SourceError;
use crate::report::remote::{Refusal, store};
use crate::terminal::printable::printable;

/// The header with an error's number.
const CODE: &str = "x-clickhouse-exception-code";

/// What begins the text of an error.
const PREFIX: &str = "Code: ";

/// Errors that say that the settings of a query cannot be changed: `READONLY`, `SETTING_CONSTRAINT_VIOLATION` and
/// `UNKNOWN_SETTING`.
const OF_SETTINGS: [u32; 3] = [164, 452, 115];

/// Who asks, and where, for messages.
#[derive(Debug)]
pub(super) struct Parties<'a> {
    /// The server's host and port.
    pub(super) place: String,
    /// The user, if there is one.
    pub(super) user: Option<&'a str>,
    /// The database that the query reads.
    pub(super) database: Option<&'a str>,
}

/// The number of an error of `ClickHouse`'s, or `None` if something else answered.
pub(super) fn code(refusal: &Refusal) -> Option<u32> {
    let of_header = refusal.headers.get(CODE).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    of_header.or_else(|| code_of_text(&refusal.text))
}

/// The number in an error's text. An error in the middle of an answer stands alone on a line.
pub(super) fn code_of_text(text: &str) -> Option<u32> {
    let rest = text.trim_start().strip_prefix(PREFIX)?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|_| rest.contains("Exception"))
}

/// Whether an error is about settings, so that a query without them may succeed.
pub(super) fn is_of_settings(refusal: &Refusal) -> bool {
    code(refusal).is_some_and(|code| OF_SETTINGS.contains(&code))
}

/// The error of an answer that is none.
pub(super) fn fault(refusal: &Refusal, parties: &Parties<'_>) -> SourceError {
    match code(refusal) {
        Some(code) => of_code(code, &refusal.text, parties),
        None if matches!(refusal.status.as_u16(), 401 | 403) => store(format!(
            "{} answered {}: it does not accept {}, or something in front of ClickHouse wants a header, which \
             `headers` of the source sends",
            parties.place,
            refusal.words(),
            parties.who()
        )),
        None => store(format!(
            "{} answered {}: is that the HTTP interface of ClickHouse, by default on port 8123?",
            parties.place,
            refusal.words()
        )),
    }
}

/// The error of a number.
pub(super) fn of_code(code: u32, text: &str, parties: &Parties<'_>) -> SourceError {
    let (place, who) = (&parties.place, parties.who());
    let said = said(text);
    let user = identifier(parties.user.unwrap_or("default"));
    store(match code {
        516 | 192..=194 => {
            format!(
                "{place} does not accept {who} with this password: check `user` and `password` of the source ({code})"
            )
        }
        497 => {
            let grant = granted(text).map_or_else(
                || format!("GRANT SELECT ON {}.* TO {user}", parties.database.map_or("otel".to_owned(), identifier)),
                |grant| format!("GRANT {} TO {user}", printable(&grant)),
            );
            format!("{who} lacks a permission at {place}: an administrator gives it with `{grant}` ({code})")
        }
        81 => format!("{place} has no such database: {said} ({code})"),
        60 => format!("{place} no longer has a table that it had a moment ago: {said} ({code})"),
        159 | 160 | 209 => format!(
            "{place} stopped the query because it took too long: narrow it with --since or --where, or raise `timeout` in \
             the [source.NAME] ({code})"
        ),
        158 | 307 | 396 => format!(
            "{place} stopped the query at a limit of what may be read or sent: narrow it with --since, --where or --top: \
             {said} ({code})"
        ),
        241 => format!(
            "{place} ran out of the memory that a query may take: narrow the query with --since or --where ({code}): {said}"
        ),
        201 => format!("{who} has used up a quota at {place}: {said} ({code})"),
        202 => format!("{place} runs too many queries at the moment: try again later ({code})"),
        115 | 164 | 452 => format!("{place} does not let {who} read: {said} ({code})"),
        394 => format!("the query was cancelled at {place} ({code})"),
        _ => format!("{place} reports an error: {said} ({code})"),
    })
}

impl Parties<'_> {
    fn who(&self) -> String {
        match self.user {
            Some(user) => format!("the user `{}`", printable(user)),
            None => "the user `default`, who is asked as where the source names none,".to_owned(),
        }
    }
}

/// The words of an error, without its number and version.
fn said(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let words = line.split_once("DB::Exception: ").map_or(line, |(_, words)| words);
    let words = words.split(" (version ").next().unwrap_or_default();
    printable(words.trim().trim_end_matches('.'))
}

/// The grant that an error says is missing: `SELECT(Body) ON otel.otel_logs`. Without its columns, since the next query
/// would lack others.
fn granted(text: &str) -> Option<String> {
    let rest = text.split_once("necessary to have the grant ")?.1;
    let (what, on) = rest.split_once(" ON ")?;
    let what = what.split('(').next()?.trim();
    let is_end = |c: char| c.is_whitespace() || c == ')';
    let on = on.split(is_end).next()?.trim_end_matches(['.', ',']);
    (what.len() <= 40 && !on.is_empty()).then(|| format!("{what} ON {on}"))
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, StatusCode};

    use super::*;

    fn words(status: u16, text: &str) -> String {
        let refusal =
            Refusal { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), text: text.to_owned() };
        fault(&refusal, &Parties { place: "ch:8123".to_owned(), user: Some("reader"), database: Some("otel") })
            .to_string()
    }

    #[test]
    fn errors_say_what_to_do() {
        let wrong = "Code: 516. DB::Exception: reader: Authentication failed: password is incorrect, or there is no user \
                     with such name. (AUTHENTICATION_FAILED) (version 26.1)";
        assert!(words(403, wrong).contains("does not accept the user `reader` with this password"));
        let denied = "Code: 497. DB::Exception: reader: Not enough privileges. To execute this query, it's necessary to \
                      have the grant SELECT(Timestamp, Body) ON otel.otel_logs. (ACCESS_DENIED)";
        let denied = words(500, denied);
        assert!(denied.contains("`GRANT SELECT ON otel.otel_logs TO `reader``"), "{denied}");
        let slow = "Code: 159. DB::Exception: Timeout exceeded: elapsed 60.1 seconds. (TIMEOUT_EXCEEDED)";
        assert!(words(500, slow).contains("took too long: narrow it with --since"));
        let other = words(500, "Code: 47. DB::Exception: Unknown identifier `x`. (UNKNOWN_IDENTIFIER) (version 26.1)");
        assert!(other.ends_with("Unknown identifier `x`. (UNKNOWN_IDENTIFIER) (47)"), "{other}");
        assert!(words(404, "not found").contains("404 not found: not found: is that the HTTP interface"));
        assert!(words(401, "").contains("401 unauthorized: it does not accept the user `reader`"));
    }

    #[test]
    fn an_error_in_an_answer_is_recognised() {
        assert_eq!(code_of_text("Code: 241. DB::Exception: Memory limit"), Some(241));
        assert_eq!(code_of_text("Code: 241"), None);
        assert_eq!(code_of_text("1\t2"), None);
    }
}
