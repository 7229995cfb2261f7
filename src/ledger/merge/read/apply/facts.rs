//! Applies facts and the sums of metrics.

use rusqlite::Connection;
use serde_json::Value;

use super::{Applying, LARGEST, Rank};
use crate::ledger::change::{Place, count, delete, find, insert_into};
use crate::ledger::row::{AT, CONTEXT, Key, PROMPT, Row, TABLES, WIDEST};
use crate::ledger::take::neighbour;
use crate::ledger::{DAY, Family, QUARTER, block};

/// The columns of each table that contain texts.
const TEXTS: [&[&str]; 5] =
    [&["model"], &["tool", "mcp", "error", "revision"], &["tool", "source", "mode"], &["command"], &["event", "name"]];

impl Applying {
    /// A fact, unless its machine has forgotten it or a better source of it is known.
    pub(super) fn fact(&mut self, connection: &Connection, line: &Value) -> rusqlite::Result<Option<()>> {
        let table = line[1].as_u64().and_then(|index| *self.tables.get(usize::try_from(index).ok()?)?);
        let (Some(table), Some(identity)) = (table, line[2].as_i64()) else { return Ok(None) };
        let mut row: Row = [0; WIDEST];
        for (index, (at, name)) in self.columns[table].iter().zip(TABLES[table].columns).enumerate() {
            let value = at.and_then(|at| line[3][at].as_i64()).unwrap_or_default();
            let is_text = TEXTS[table].contains(name);
            row[index] = match *name {
                "context" => 0,
                "prompt" => self.prompts.get(&value).copied().unwrap_or_default(),
                "kind" => self.kinds.get(&value).copied().unwrap_or_default(),
                _ if is_text => self.texts.get(&value).copied().unwrap_or_default(),
                "succeeded" if (-1..=1).contains(&value) => value,
                _ if (0..=LARGEST).contains(&value) => value,
                _ => return Ok(None),
            };
        }
        let context = self.columns[table][CONTEXT].and_then(|at| line[3][at].as_i64());
        let Some(known) = context.and_then(|context| self.contexts.get(&context)).cloned() else { return Ok(None) };
        debug_assert!(row[PROMPT] >= 0);
        row[CONTEXT] = known.id;
        if row[AT] < known.forgotten_before {
            return Ok(Some(()));
        }
        let place = Place { table, day: row[AT].div_euclid(DAY), identity };
        for day in [Some(place.day), neighbour(row[AT])].into_iter().flatten() {
            let there = Place { day, ..place };
            let Some(before) = find(connection, there)? else { continue };
            let (session, rank) = whose(connection, before[CONTEXT])?;
            if known.rank < rank {
                delete(connection, &mut self.sums, session, there, &before)?;
                self.touched.insert(session);
                self.merged.moved += 1;
                break;
            }
            return Ok(Some(()));
        }
        if insert_into(connection, place, &row)? {
            count(&mut self.sums, known.session, table, &row, 1);
            self.merged.facts += 1;
            if table == 0 {
                self.touched.insert(known.session);
            }
        }
        Ok(Some(()))
    }

    /// For a quarter of an hour of metrics, the larger number counts, because it only grows.
    pub(super) fn counter(&mut self, connection: &Connection, line: &Value) -> rusqlite::Result<Option<()>> {
        let family = Family::OF_METRICS.into_iter().find(|family| line[1] == family.table());
        let (Some(family), Some(quarter), Some(context)) = (family, line[2].as_i64(), line[3].as_i64()) else {
            return Ok(None);
        };
        let Some(known) = self.contexts.get(&context) else { return Ok(None) };
        let (Some(name), Some(kind), Some(amounts)) = (line[4].as_i64(), line[5].as_i64(), line[6].as_array()) else {
            return Ok(None);
        };
        if quarter < 0 || quarter.saturating_mul(QUARTER) < known.forgotten_before {
            return Ok(Some(()));
        }
        let name = self.texts.get(&name).copied().unwrap_or_default();
        let kind = self.kinds.get(&kind).copied().unwrap_or_default();
        let key = Key { family, quarter, context: known.id, name, kind, prompt: 0 };
        let before = block::of(connection, &key)?;
        let mut more = Vec::new();
        for amount in amounts {
            let measure = amount[0].as_u64().and_then(|index| *self.measures.get(usize::try_from(index).ok()?)?);
            let (Some(measure), Some(amount)) = (measure, amount[1].as_i64()) else { return Ok(None) };
            let known = before[measure.index()];
            if amount > known && amount <= LARGEST {
                more.push((measure, amount - known));
            }
        }
        if !more.is_empty() {
            self.sums.add(known.session, key, &more);
        }
        Ok(Some(()))
    }
}

/// The session of a context, and its rank.
fn whose(connection: &Connection, context: i64) -> rusqlite::Result<(i64, Rank)> {
    let mut find = connection.prepare_cached(
        "SELECT c.session, c.ours = 0, t.text FROM context c JOIN text t ON t.id = c.machine WHERE c.id = ?1",
    )?;
    find.query_row([context], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))
}
