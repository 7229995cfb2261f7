//! Settles a ledger that was made from a damaged one.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::Connection;

use super::forget::named;
use super::row::TABLES;
use super::{CONTEXTS, Family, KINDS, block, sums};
use crate::spool::Disk;
use crate::store::cursors::remove_beyond_end;

/// Adds placeholders for unreadable rows that facts refer to, so that no other row gets their number. If rows were
/// lost, has the logs read again. Then rebuilds the sums.
pub(super) fn settle(connection: &Connection, spool: &Path, is_whole: bool) -> rusqlite::Result<()> {
    one_machine(connection)?;
    if is_whole {
        remove_beyond_end(connection, &Disk::new(spool), "position")?;
    } else {
        // Facts that the ledger has already are not added again.
        connection.execute("DELETE FROM position", [])?;
        fill_in(connection)?;
    }
    sums::rebuild(connection)
}

/// Replaces the machine of the new ledger with that of the damaged one.
fn one_machine(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM meta WHERE rowid < (SELECT max(rowid) FROM meta)", []).map(drop)
}

/// Adds a row for each number that facts and metrics refer to; the row is empty if the original is lost.
fn fill_in(connection: &Connection) -> rusqlite::Result<()> {
    let of_facts = |column: &str| {
        let selects = TABLES.iter().map(|table| format!("SELECT {column} FROM {}", table.name));
        numbers(connection, &selects.collect::<Vec<_>>().join(" UNION "))
    };
    let (mut contexts, prompts) = (of_facts("context")?, of_facts("prompt")?);
    let mut kinds = numbers(connection, "SELECT kind FROM request")?;
    let mut texts = BTreeSet::new();
    for family in Family::OF_METRICS {
        sums::blocks(connection, family, |id, blob| {
            contexts.insert(block::context(id));
            block::each(blob, |entry, _| {
                texts.insert(entry.name);
                kinds.insert(entry.kind);
            });
            Ok(())
        })?;
    }
    for (table, names, found) in [("context", &CONTEXTS[..], contexts), ("kind", &KINDS[..], kinds)] {
        // The digest normally identifies the row's content. This row has no content: any unused digest will do.
        let zeros = vec!["0"; names.len()].join(", ");
        let insert = format!(
            "INSERT OR IGNORE INTO {table} (id, digest, {}) SELECT ?1, -?1, {zeros} WHERE ?1 != 0",
            names.join(", ")
        );
        put_each(connection, &insert, found)?;
    }
    put_each(
        connection,
        "INSERT OR IGNORE INTO prompt (id, session, name) SELECT ?1, 0, 'lost ' || ?1 WHERE ?1 != 0",
        prompts,
    )?;
    connection.execute_batch("CREATE TEMP TABLE IF NOT EXISTS named (id INTEGER PRIMARY KEY); DELETE FROM named")?;
    texts.extend(numbers(connection, &named())?);
    put_each(connection, "INSERT OR IGNORE INTO text (id, text) SELECT ?1, '(lost ' || ?1 || ')' WHERE ?1 != 0", texts)
}

fn numbers(connection: &Connection, select: &str) -> rusqlite::Result<BTreeSet<i64>> {
    connection.prepare(select)?.query_map([], |row| row.get(0))?.collect()
}

fn put_each(connection: &Connection, insert: &str, numbers: BTreeSet<i64>) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(insert)?;
    numbers.into_iter().try_for_each(|number| statement.execute([number]).map(drop))
}
