//! Exports a ledger's facts for other machines.

use std::collections::BTreeSet;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use rusqlite::{Connection, params_from_iter};
use serde_json::{Value, json};

use super::{FORMAT, VERSION, machine};
use crate::ledger::change::read;
use crate::ledger::row::{CONTEXT, PROMPT, TABLES};
use crate::ledger::{CONTEXTS, Family, KINDS, block};
use crate::usage::Measure;

/// The amount of exported data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Facts.
    pub facts: u64,
    /// Sums of metrics, each of a quarter of an hour.
    pub counters: u64,
}

/// Writes the facts since a time, in Unix milliseconds; if `own` is set, only those of this machine. Runs in the
/// caller's transaction, so that the export is a consistent snapshot.
pub fn write<W: Write>(connection: &Connection, since: i64, own: bool, output: W) -> rusqlite::Result<(W, Written)> {
    let machine = machine(connection)?;
    // Limited to these contexts; all of them if there is no limit.
    let wanted = if own {
        "SELECT c.id FROM context c JOIN text t ON t.id = c.machine WHERE t.text = ?1"
    } else {
        "SELECT id FROM context WHERE ?1 != ''"
    };
    let lines = Lines { output: GzEncoder::new(output, Compression::default()), count: 0 };
    let mut export = Export { connection, machine: &machine, wanted, lines };
    export.head()?;
    export.dictionary()?;
    let written = Written { facts: export.facts(since)?, counters: export.counters(since)? };
    export.sessions()?;
    export.tombstones()?;
    let mut lines = export.lines;
    let count = lines.count;
    lines.put(&json!({"end": count}))?;
    Ok((lines.output.finish().map_err(crate::store::disk_error)?, written))
}

struct Lines<W: Write> {
    output: GzEncoder<W>,
    count: u64,
}

impl<W: Write> Lines<W> {
    fn put(&mut self, value: &Value) -> rusqlite::Result<()> {
        let put = |output: &mut GzEncoder<W>| -> io::Result<()> {
            serde_json::to_writer(&mut *output, value)?;
            output.write_all(b"\n")
        };
        self.count += 1;
        put(&mut self.output).map_err(crate::store::disk_error)
    }
}

/// An export under way.
struct Export<'a, W: Write> {
    connection: &'a Connection,
    /// This machine, by its random id.
    machine: &'a str,
    /// A query for the ids of the contexts to export. Its parameter is the machine.
    wanted: &'static str,
    lines: Lines<W>,
}

impl<W: Write> Export<'_, W> {
    /// Writes the format and the layout.
    fn head(&mut self) -> rusqlite::Result<()> {
        let tables: Vec<Value> = TABLES.iter().map(|table| json!([table.name, table.columns])).collect();
        let measures: Vec<_> = Measure::ALL.iter().map(|measure| measure.column()).collect();
        self.lines.put(&json!({"format": FORMAT, "version": VERSION, "machine": self.machine, "contexts": CONTEXTS,
            "kinds": KINDS, "tables": tables, "measures": measures}))
    }

    /// Writes the texts, prompts, kinds and contexts, except those to which only facts refer that are not exported.
    fn dictionary(&mut self) -> rusqlite::Result<()> {
        let wanted = self.wanted;
        let select = format!("SELECT id, {} FROM context WHERE id IN ({wanted}) ORDER BY id", CONTEXTS.join(", "));
        let contexts = rows(self.connection, &select, [self.machine], CONTEXTS.len() + 1)?;
        let select = format!("SELECT id, {} FROM kind ORDER BY id", KINDS.join(", "));
        let kinds = rows(self.connection, &select, [], KINDS.len() + 1)?;
        // Facts refer to models, tools and the like; only contexts refer to persons, projects and sessions.
        let hidden = ["ours", "session", "project", "repository", "branch", "worktree", "team", "person"];
        let hidden: Vec<usize> =
            hidden.iter().filter_map(|name| CONTEXTS.iter().position(|column| column == name)).collect();
        let all =
            rows(self.connection, &format!("SELECT id, {} FROM context", CONTEXTS.join(", ")), [], CONTEXTS.len() + 1)?;
        let named = |rows: &[Vec<i64>]| -> BTreeSet<i64> {
            rows.iter().flat_map(|row| hidden.iter().map(|column| row[column + 1])).collect()
        };
        let shown = named(&contexts);
        let kept_back: BTreeSet<i64> = named(&all).difference(&shown).copied().collect();
        let mut texts = self.connection.prepare("SELECT id, text FROM text ORDER BY id")?;
        let mut found = texts.query([])?;
        while let Some(row) = found.next()? {
            let (id, text): (i64, String) = (row.get(0)?, row.get(1)?);
            if !kept_back.contains(&id) {
                self.lines.put(&json!(["text", id, text]))?;
            }
        }
        for (name, rows) in [("kind", &kinds), ("context", &contexts)] {
            for row in rows {
                self.lines.put(&json!([name, row[0], row[1..]]))?;
            }
        }
        let mut prompts = self.connection.prepare("SELECT id, session, name FROM prompt ORDER BY id")?;
        let mut found = prompts.query([])?;
        while let Some(row) = found.next()? {
            let (id, session, name): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if shown.contains(&session) {
                self.lines.put(&json!(["prompt", id, session, name]))?;
            }
        }
        Ok(())
    }

    fn facts(&mut self, since: i64) -> rusqlite::Result<u64> {
        let mut count = 0;
        for (index, table) in TABLES.iter().enumerate() {
            let wanted = self.wanted.replace("?1", "?2");
            let select = format!(
                "SELECT identity, {} FROM {} WHERE day >= ?3 AND at >= ?1 AND context IN ({wanted})",
                table.columns.join(", "),
                table.name
            );
            let mut statement = self.connection.prepare(&select)?;
            let mut found = statement.query((since, self.machine, since.div_euclid(crate::ledger::DAY)))?;
            while let Some(row) = found.next()? {
                let identity: i64 = row.get(0)?;
                let columns = read(row, 1, table.columns.len())?;
                debug_assert!(columns[CONTEXT] != 0 && columns[PROMPT] >= 0);
                self.lines.put(&json!(["fact", index, identity, columns[..table.columns.len()]]))?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn counters(&mut self, since: i64) -> rusqlite::Result<u64> {
        let contexts: BTreeSet<i64> = rows(self.connection, self.wanted, [self.machine], 1)?
            .into_iter()
            .filter_map(|row| row.first().copied())
            .collect();
        let (first, mut count) = (block::quarter(since), 0);
        for family in Family::OF_METRICS {
            let select = format!("SELECT id, amounts FROM {} WHERE id >= ?1 ORDER BY id", family.table());
            let mut statement = self.connection.prepare(&select)?;
            let mut found = statement.query([block::first_id(first)])?;
            while let Some(row) = found.next()? {
                let id: i64 = row.get(0)?;
                if !contexts.contains(&block::context(id)) {
                    continue;
                }
                let mut entries = Vec::new();
                block::each(row.get_ref(1)?.as_blob()?, |entry, told| {
                    let quarter = block::first_quarter(id) + entry.quarter;
                    if quarter >= first {
                        entries.push(json!([
                            "counter",
                            family.table(),
                            quarter,
                            block::context(id),
                            entry.name,
                            entry.kind,
                            told
                        ]));
                    }
                });
                for entry in &entries {
                    self.lines.put(entry)?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// Writes how sessions began, and the data that transcripts have about them.
    fn sessions(&mut self) -> rusqlite::Result<()> {
        let of = format!("session IN (SELECT session FROM context WHERE id IN ({}))", self.wanted);
        let parts = [
            ("start", "SELECT session, type, at FROM start", 3),
            ("transcript", "SELECT session, first, last, parent, copied_until FROM transcript", 5),
            (
                "cost",
                "SELECT session, at, model, until, started, is_guessed, input, output, cache_read, cache_creation, cache_hour,
                 cost FROM cost_state",
                12,
            ),
            ("copied", "SELECT session, model, input, output, cache_read, cache_creation, cache_hour FROM copied", 7),
        ];
        for (name, select, count) in parts {
            for row in rows(self.connection, &format!("{select} WHERE {of}"), [self.machine], count)? {
                self.lines.put(&json!([name, row]))?;
            }
        }
        Ok(())
    }

    /// Writes what this machine has forgotten, as hashes that only the name itself matches, and their key.
    fn tombstones(&mut self) -> rusqlite::Result<()> {
        let key: Vec<u8> = self.connection.query_row("SELECT key FROM meta", [], |row| row.get(0))?;
        let mut statement = self.connection.prepare("SELECT mac, before FROM tombstone")?;
        let mut found = statement.query([])?;
        let mut is_first = true;
        while let Some(row) = found.next()? {
            if std::mem::take(&mut is_first) {
                self.lines.put(&json!(["key", key]))?;
            }
            let (mac, before): (Vec<u8>, i64) = (row.get(0)?, row.get(1)?);
            self.lines.put(&json!(["tombstone", mac, before]))?;
        }
        Ok(())
    }
}

/// The integers of all rows of a statement.
fn rows<const N: usize>(
    connection: &Connection,
    select: &str,
    parameters: [&str; N],
    columns: usize,
) -> rusqlite::Result<Vec<Vec<i64>>> {
    let mut statement = connection.prepare(select)?;
    let mut found = statement.query(params_from_iter(parameters))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push((0..columns).map(|column| row.get(column)).collect::<rusqlite::Result<_>>()?);
    }
    Ok(rows)
}
