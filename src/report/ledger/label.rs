//! Labels for keys.

use rusqlite::{Connection, OptionalExtension};

use super::automation::{AUTOMATION, YES};
use crate::report::dimension::{Dimension, Place};

/// How many characters of an installation's id are shown. They are enough to recognise it.
const INSTALLATION: usize = 12;

/// The value that a key stands for, or `None` if it is unknown.
pub(super) fn label(connection: &Connection, dimension: Dimension, key: i64) -> rusqlite::Result<Option<String>> {
    match dimension.place() {
        Place::Time => Ok(Some(time(dimension, key))),
        Place::Status => Ok(status(key)),
        Place::Prompt => text(connection, "SELECT name FROM prompt WHERE id = ?1", key),
        Place::Context("person") if key < 0 => {
            let found = text(connection, TEXT, -key)?;
            Ok(found.map(|id| format!("installation {}", id.chars().take(INSTALLATION).collect::<String>())))
        }
        Place::Context(AUTOMATION) => Ok(Some(if key == YES { "yes" } else { "no" }.to_owned())),
        _ if key == 0 => Ok(None),
        _ => text(connection, TEXT, key),
    }
}

const TEXT: &str = "SELECT text FROM text WHERE id = ?1";

fn text(connection: &Connection, select: &str, key: i64) -> rusqlite::Result<Option<String>> {
    connection.prepare_cached(select)?.query_row([key], |row| row.get(0)).optional()
}

fn time(dimension: Dimension, key: i64) -> String {
    match dimension {
        Dimension::Hour => {
            let (date, hour) = (key / 100, key % 100);
            format!("{:04}-{:02}-{:02}T{hour:02}", date / 10_000, date / 100 % 100, date % 100)
        }
        Dimension::Day => format!("{:04}-{:02}-{:02}", key / 10_000, key / 100 % 100, key % 100),
        Dimension::Week => format!("{:04}-W{:02}", key / 100, key % 100),
        Dimension::Month => format!("{:04}-{:02}", key / 100, key % 100),
        _ => key.to_string(),
    }
}

/// How a request ended, as one number: the outcome times a thousand, plus the HTTP status. `None` for anything that is
/// not a request.
pub(super) fn status_key(outcome: i64, status: i64) -> i64 {
    1 + outcome * 1000 + status
}

fn status(key: i64) -> Option<String> {
    let (outcome, status) = ((key - 1).div_euclid(1000), (key - 1).rem_euclid(1000));
    let text = match (outcome, status) {
        (..0, _) => return None,
        (0, _) => "ok".to_owned(),
        (2, _) => "refused".to_owned(),
        (4, _) => "not in the transcript".to_owned(),
        (_, 0) => "error".to_owned(),
        (_, status) => status.to_string(),
    };
    Some(text)
}

/// The label of a key that needs no dictionary: a time or a status.
pub(super) fn label_of_row(dimension: Dimension, key: i64) -> Option<String> {
    if dimension.is_time() { Some(time(dimension, key)) } else { status(key) }
}
