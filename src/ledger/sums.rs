//! The sums: a cache of the facts' totals, and the counts of metrics.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::balance::{self, Balance};
use super::block::{self, Entry};
use super::family::Family;
use super::hasher::Quick;
use super::row::{Key, Row, TABLES, Table, WIDEST, shares};
use super::{DAY, QUARTER};
use crate::usage::{Amounts, MEASURES, Measure};

/// Additions to the sums.
#[derive(Debug, Default)]
pub(super) struct Sums {
    sums: HashMap<Key, Amounts, Quick>,
    balances: HashMap<i64, Balance, Quick>,
}

impl Sums {
    /// Adds amounts for a key whose context belongs to that session.
    pub(super) fn add(&mut self, session: i64, key: Key, amounts: &[(Measure, i64)]) {
        let sum = self.sums.entry(key).or_insert([0; MEASURES]);
        for (measure, amount) in amounts {
            let sum = &mut sum[measure.index()];
            *sum = sum.saturating_add(*amount);
        }
        if amounts.iter().any(|(measure, _)| measure.twice().is_some()) {
            self.balances.entry(session).or_default().add(&key, amounts);
        }
    }

    /// Adds them to the ledger.
    pub(super) fn write(self, connection: &Connection) -> rusqlite::Result<()> {
        self.write_sums(connection)?;
        for (session, balance) in self.balances {
            balance.write(connection, session)?;
        }
        Ok(())
    }

    /// Writes only the sums, if the balances are rebuilt from them later.
    fn write_sums(&self, connection: &Connection) -> rusqlite::Result<()> {
        let place = |key: &Key| (key.family, block::id(key.quarter, key.context));
        let mut sums: Vec<_> = self
            .sums
            .iter()
            // Empty sums are not written.
            .filter(|(_, amounts)| amounts.iter().any(|amount| *amount != 0))
            .map(|(key, amounts)| (place(key), Entry::from(key), amounts))
            .collect();
        sums.sort_unstable_by_key(|(place, entry, _)| (*place, *entry));
        for together in sums.chunk_by(|(one, ..), (other, ..)| one == other) {
            let ((family, id), ..) = together[0];
            let added: Vec<_> = together.iter().map(|(_, entry, amounts)| (*entry, *amounts)).collect();
            let table = family.table();
            let mut find = connection.prepare_cached(&format!("SELECT amounts FROM {table} WHERE id = ?1"))?;
            let before: Option<Vec<u8>> = find.query_row([id], |row| row.get(0)).optional()?;
            let merged = block::merge(&before.unwrap_or_default(), &added);
            if merged.is_empty() {
                connection.prepare_cached(&format!("DELETE FROM {table} WHERE id = ?1"))?.execute([id])?;
                continue;
            }
            connection
                .prepare_cached(&format!("INSERT OR REPLACE INTO {table} (id, amounts) VALUES (?1, ?2)"))?
                .execute((id, merged))?;
        }
        Ok(())
    }
}

/// Rebuilds the sums from the facts and the counts of metrics.
pub fn rebuild(connection: &Connection) -> rusqlite::Result<()> {
    for family in Family::OF_EVENTS {
        connection.execute(&format!("DELETE FROM {}", family.table()), [])?;
    }
    for day in days(connection)? {
        add_day(connection, day)?;
    }
    balance::rebuild(connection)
}

/// Rebuilds the sums of some days, which are counted since 1970, UTC.
pub(super) fn rebuild_days(connection: &Connection, days: &BTreeSet<i64>) -> rusqlite::Result<()> {
    const DAYS: i64 = DAY / QUARTER;
    for day in days {
        for family in Family::OF_EVENTS {
            let delete = format!("DELETE FROM {} WHERE id >= ?1 AND id < ?2", family.table());
            connection
                .prepare_cached(&delete)?
                .execute((block::first_id(day * DAYS), block::first_id((day + 1) * DAYS)))?;
        }
        add_day(connection, *day)?;
    }
    balance::rebuild(connection)
}

/// The days that have facts.
fn days(connection: &Connection) -> rusqlite::Result<BTreeSet<i64>> {
    let mut days = BTreeSet::new();
    for table in TABLES {
        let select = format!("SELECT min(day) FROM {} WHERE day > ?1", table.name);
        let mut next = connection.prepare_cached(&select)?;
        let mut day = i64::MIN;
        while let Some(found) = next.query_row([day], |row| row.get::<_, Option<i64>>(0))? {
            days.insert(found);
            day = found;
        }
    }
    Ok(days)
}

/// Adds the facts of a day to the sums, which must not include any of them.
fn add_day(connection: &Connection, day: i64) -> rusqlite::Result<()> {
    let mut sums = Sums::default();
    for table in TABLES {
        each(connection, table, "WHERE day = ?1", [day], |row| {
            shares(table, row, |key, amounts| {
                let sum = sums.sums.entry(key).or_insert([0; MEASURES]);
                for (measure, amount) in amounts {
                    let sum = &mut sum[measure.index()];
                    *sum = sum.saturating_add(*amount);
                }
            });
            Ok(())
        })?;
    }
    sums.write_sums(connection)
}

/// The session of each context.
pub(super) fn sessions(connection: &Connection) -> rusqlite::Result<HashMap<i64, i64>> {
    let mut statement = connection.prepare("SELECT id, session FROM context")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Calls `work` with the id and the blob of each block of a family.
pub(super) fn blocks(
    connection: &Connection,
    family: Family,
    mut work: impl FnMut(i64, &[u8]) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("SELECT id, amounts FROM {}", family.table()))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let amounts = row.get_ref(1)?;
        work(row.get(0)?, amounts.as_blob()?)?;
    }
    Ok(())
}

/// Calls `work` with the row of each fact of a table.
fn each<const N: usize>(
    connection: &Connection,
    table: &Table,
    condition: &str,
    parameters: [i64; N],
    mut work: impl FnMut(&Row) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let select = format!("SELECT {} FROM {} {condition}", table.columns.join(", "), table.name);
    let mut statement = connection.prepare_cached(&select)?;
    let mut rows = statement.query(params_from_iter(parameters))?;
    while let Some(found) = rows.next()? {
        let mut row: Row = [0; WIDEST];
        for (index, value) in row.iter_mut().enumerate().take(table.columns.len()) {
            *value = found.get(index)?;
        }
        work(&row)?;
    }
    Ok(())
}
