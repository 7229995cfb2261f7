//! A position of a log as columns of a row.

use rusqlite::Row;

use crate::spool::Position;

/// A position in three columns.
pub(crate) fn position(row: &Row<'_>, first: usize) -> rusqlite::Result<Position> {
    let offset = row.get::<_, i64>(first + 2)?.cast_unsigned();
    Ok(Position { worker: row.get(first)?, number: row.get(first + 1)?, offset })
}
