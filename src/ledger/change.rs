//! Changes stored facts, together with their share of the sums.

use rusqlite::{Connection, params_from_iter};

use super::DAY;
use super::row::{AT, CONTEXT, Row, TABLES, WIDEST, shares};
use super::sums::Sums;
use crate::usage::{Identity, MEASURES, Measure};

/// How many facts are read at once.
const PAGE: usize = 2000;

/// The location of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The index of its table in [`TABLES`].
    pub(super) table: usize,
    pub(super) day: i64,
    pub(super) identity: Identity,
}

/// Adds a fact to the sums, or subtracts it.
pub(super) fn count(sums: &mut Sums, session: i64, table: usize, row: &Row, sign: i64) {
    shares(TABLES[table], row, |key, amounts| {
        if sign > 0 {
            return sums.add(session, key, amounts);
        }
        let mut taken = [(Measure::Requests, 0); MEASURES];
        for (taken, (measure, amount)) in taken.iter_mut().zip(amounts) {
            *taken = (*measure, -amount);
        }
        sums.add(session, key, &taken[..amounts.len()]);
    });
}

/// Replaces the row of a fact. The time stays.
pub(super) fn change(
    connection: &Connection,
    sums: &mut Sums,
    session: i64,
    place: Place,
    before: &Row,
    after: &Row,
) -> rusqlite::Result<()> {
    let table = TABLES[place.table];
    let set = table.columns.iter().map(|column| format!("{column} = ?")).collect::<Vec<_>>().join(", ");
    let update = format!("UPDATE {} SET {set} WHERE day = ? AND identity = ?", table.name);
    let values = after[..table.columns.len()].iter().copied().chain([place.day, place.identity]);
    connection.prepare_cached(&update)?.execute(params_from_iter(values))?;
    count(sums, session, place.table, before, -1);
    count(sums, session, place.table, after, 1);
    Ok(())
}

/// Removes a fact.
pub(super) fn delete(
    connection: &Connection,
    sums: &mut Sums,
    session: i64,
    place: Place,
    row: &Row,
) -> rusqlite::Result<()> {
    let delete = format!("DELETE FROM {} WHERE day = ?1 AND identity = ?2", TABLES[place.table].name);
    connection.prepare_cached(&delete)?.execute((place.day, place.identity))?;
    count(sums, session, place.table, row, -1);
    Ok(())
}

/// Stores a request under an unused identity.
pub(super) fn insert_row(
    connection: &Connection,
    sums: &mut Sums,
    session: i64,
    identity: Identity,
    row: &Row,
) -> rusqlite::Result<()> {
    if insert_into(connection, Place { table: 0, day: row[AT].div_euclid(DAY), identity }, row)? {
        count(sums, session, 0, row, 1);
    }
    Ok(())
}

/// Stores a fact at a place if that is free, and returns whether it was. The sums stay unchanged.
pub(super) fn insert_into(connection: &Connection, place: Place, row: &Row) -> rusqlite::Result<bool> {
    let table = TABLES[place.table];
    let places = vec!["?"; table.columns.len()].join(", ");
    let insert = format!(
        "INSERT OR IGNORE INTO {} (day, identity, {}) VALUES (?, ?, {places})",
        table.name,
        table.columns.join(", ")
    );
    let values = [place.day, place.identity].into_iter().chain(row[..table.columns.len()].iter().copied());
    Ok(connection.prepare_cached(&insert)?.execute(params_from_iter(values))? > 0)
}

/// The fact at a place, if there is one.
pub(super) fn find(connection: &Connection, place: Place) -> rusqlite::Result<Option<Row>> {
    let table = TABLES[place.table];
    let select = format!("SELECT {} FROM {} WHERE day = ?1 AND identity = ?2", table.columns.join(", "), table.name);
    let mut statement = connection.prepare_cached(&select)?;
    let mut rows = statement.query((place.day, place.identity))?;
    rows.next()?.map(|found| read(found, 0, table.columns.len())).transpose()
}

/// The imported requests of a context after a place, ordered by place, as many as fit a page.
pub(super) fn page(connection: &Connection, context: i64, after: Place) -> rusqlite::Result<Vec<(Place, Row)>> {
    let table = TABLES[0];
    let select = format!(
        "SELECT day, identity, {} FROM request WHERE basis != 0 AND context = ?1 AND (day, identity) > (?2, ?3)
         ORDER BY day, identity LIMIT {PAGE}",
        table.columns.join(", ")
    );
    let mut statement = connection.prepare_cached(&select)?;
    let mut rows = statement.query((context, after.day, after.identity))?;
    let mut page = Vec::new();
    while let Some(found) = rows.next()? {
        let place = Place { table: 0, day: found.get(0)?, identity: found.get(1)? };
        page.push((place, read(found, 2, table.columns.len())?));
    }
    Ok(page)
}

/// Reads a fact's columns, starting at `from`.
pub(super) fn read(found: &rusqlite::Row<'_>, from: usize, count: usize) -> rusqlite::Result<Row> {
    let mut row: Row = [0; WIDEST];
    for (index, value) in row.iter_mut().enumerate().take(count) {
        *value = found.get(from + index)?;
    }
    Ok(row)
}

/// Whether a fact comes from a transcript.
pub(super) fn is_imported(connection: &Connection, row: &Row) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM context WHERE id = ?1 AND ours = 0")?.exists([row[CONTEXT]])
}
