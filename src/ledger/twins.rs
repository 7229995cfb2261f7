//! Matches an event with a row of a transcript that describes the same fact under another identity.
//!
//! Gateways omit the `request-id`, and old versions omit other ids. Then facts are the same if they belong to the same
//! session and prompt, happened at about the same time and have the same numbers.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::DAY;
use super::change::{Place, find, page, read};
use super::row::{AT, PROMPT, Row, TABLES};
use crate::usage::identity::identity;
use crate::usage::{Identity, Outcome};

/// How far a request's event may be from its row, in milliseconds: the event is sent at the answer's end, the row
/// written at its first block.
const LONG: i64 = 10 * 60 * 1000;

/// How far other facts may be apart, in milliseconds.
const SHORT: i64 = 2000;

/// How many prompts with one id are searched.
const PROMPTS: u32 = 8;

/// The identity of a prompt in a transcript, which is one of several with its id: prompts that were typed while Claude
/// worked have the id of the prompt that it worked on.
pub(super) fn prompt_identity(prompt: &str, number: u32) -> Identity {
    identity(&[b"prompt", prompt.as_bytes(), &number.to_le_bytes()])
}

/// Events that may have a twin in a row.
#[derive(Default)]
pub(super) struct Events {
    known: HashMap<(usize, i64, i64), Vec<(Place, Row)>>,
    claimed: HashSet<(usize, Identity)>,
}

impl Events {
    /// Records that a row has this identity: an event with the same identity is not the twin of another row.
    pub(super) fn claim(&mut self, table: usize, identity: Identity) {
        self.claimed.insert((table, identity));
    }

    /// Whether an event that is not the twin of another row describes the same fact as this row.
    pub(super) fn tell(
        &mut self,
        connection: &Connection,
        session: i64,
        table: usize,
        row: &Row,
    ) -> rusqlite::Result<bool> {
        let day = row[AT].div_euclid(DAY);
        let mut nearest: Option<(i64, Place)> = None;
        let (first, last) = ((row[AT] - LONG).div_euclid(DAY), (row[AT] + LONG).div_euclid(DAY));
        debug_assert!((first..=last).contains(&day));
        for day in first..=last {
            let known = match self.known.entry((table, session, day)) {
                std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::hash_map::Entry::Vacant(new) => new.insert(of_day(connection, table, session, day)?),
            };
            for (place, other) in known.iter() {
                let distance = (other[AT] - row[AT]).abs();
                let is_nearer = nearest.is_none_or(|(best, _)| distance < best);
                let is_free = !self.claimed.contains(&(place.table, place.identity));
                if is_nearer && is_free && are_same(table, row, other) {
                    nearest = Some((distance, *place));
                }
            }
        }
        Ok(nearest.is_some_and(|(_, place)| self.claimed.insert((place.table, place.identity))))
    }
}

/// The events of a session on a day.
fn of_day(connection: &Connection, table: usize, session: i64, day: i64) -> rusqlite::Result<Vec<(Place, Row)>> {
    let columns = TABLES[table].columns;
    let select = format!(
        "SELECT identity, {} FROM {} WHERE day = ?1
         AND context IN (SELECT id FROM context WHERE session = ?2 AND ours != 0)",
        columns.join(", "),
        TABLES[table].name
    );
    let mut statement = connection.prepare_cached(&select)?;
    let mut rows = statement.query((day, session))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((Place { table, day, identity: row.get(0)? }, read(row, 1, columns.len())?));
    }
    Ok(found)
}

/// Whether two rows describe the same fact.
fn are_same(table: usize, one: &Row, other: &Row) -> bool {
    let distance = (one[AT] - other[AT]).abs();
    if one[PROMPT] != other[PROMPT] && one[PROMPT] != 0 && other[PROMPT] != 0 {
        return false;
    }
    match table {
        // For a failed request, a transcript does not record the model.
        0 if one[14] == Outcome::Failed as i64 => other[14] == one[14] && distance <= SHORT,
        0 => one[14] == other[14] && one[3] == other[3] && one[5..9] == other[5..9] && distance <= LONG,
        1 | 2 => one[3] == other[3] && distance <= SHORT,
        _ => one[4] == 0 && other[4] == 0 && distance <= SHORT,
    }
}

/// The imported twin of an event's fact, if there is one. `prompt` is the prompt's id.
pub(super) fn imported(
    connection: &Connection,
    session: i64,
    table: usize,
    row: &Row,
    prompt: &str,
) -> rusqlite::Result<Option<(Place, Row)>> {
    let days = [row[AT] - LONG, row[AT] + LONG].map(|at| at.div_euclid(DAY));
    let mut nearest: Option<(Place, Row)> = None;
    let mut consider = |place: Place, other: Row| {
        let distance = |other: &Row| (other[AT] - row[AT]).abs();
        let is_nearer = nearest.as_ref().is_none_or(|(_, best)| distance(&other) < distance(best));
        if is_nearer && are_same(table, &other, row) {
            nearest = Some((place, other));
        }
    };
    match table {
        0 => {
            let mut contexts = connection.prepare_cached("SELECT id FROM context WHERE session = ?1 AND ours = 0")?;
            let contexts: Vec<i64> = contexts.query_map([session], |row| row.get(0))?.collect::<Result<_, _>>()?;
            for context in contexts {
                let mut from = Place { table, day: days[0], identity: i64::MIN };
                loop {
                    let rows = page(connection, context, from)?;
                    let Some((last, _)) = rows.last() else { break };
                    from = *last;
                    rows.into_iter()
                        .filter(|(place, _)| place.day <= days[1])
                        .for_each(|(p, other)| consider(p, other));
                    if from.day > days[1] {
                        break;
                    }
                }
            }
        }
        3 if !prompt.is_empty() => {
            for number in 0..PROMPTS {
                for day in days[0]..=days[1] {
                    let place = Place { table, day, identity: prompt_identity(prompt, number) };
                    if let Some(other) = find(connection, place)? {
                        consider(place, other);
                    }
                }
            }
        }
        _ => {}
    }
    Ok(nearest)
}
