//! Forgets what the file's machine has forgotten.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;
use serde_json::Value;

use super::Applying;
use crate::ledger::{forget, tombstone};

impl Applying {
    /// The hash of a forgotten name, or the key of such hashes.
    pub(super) fn grave(&mut self, line: &Value) -> Option<()> {
        if line[0] == "key" {
            self.key = bytes(&line[1]).unwrap_or_default();
        } else {
            self.graves.insert(bytes(&line[1])?, line[2].as_i64()?);
        }
        Some(())
    }

    /// Removes facts of the file's machine that it has forgotten.
    pub(super) fn bury(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.graves.is_empty() {
            return Ok(());
        }
        let mut contexts: HashMap<i64, HashSet<i64>> = HashMap::new();
        let mut find = connection.prepare(
            "SELECT c.id, s.text, o.text, p.text, j.text FROM context c JOIN text m ON m.id = c.machine
             JOIN text s ON s.id = c.session LEFT JOIN text o ON o.id = c.ours LEFT JOIN text p ON p.id = c.person
             LEFT JOIN text j ON j.id = c.project WHERE m.text = ?1",
        )?;
        let mut rows = find.query([&self.merged.machine])?;
        while let Some(row) = rows.next()? {
            let name = |index| Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(index)?.unwrap_or_default());
            let names = [("session", name(1)?), ("session", name(2)?), ("person", name(3)?), ("project", name(4)?)];
            let macs = names.iter().filter(|(_, name)| !name.is_empty());
            let before =
                macs.filter_map(|(what, name)| self.graves.get(&tombstone::mac(&self.key, (what, name)))).max();
            if let Some(before) = before {
                contexts.entry(*before).or_default().insert(row.get(0)?);
            }
        }
        for (before, contexts) in contexts {
            let forgotten = forget::of_contexts(connection, &contexts, before)?;
            self.merged.forgotten += u64::try_from(forgotten.facts + forgotten.counters).unwrap_or(u64::MAX);
        }
        Ok(())
    }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    value.as_array()?.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect()
}
