//! Gives the texts, prompts, kinds and contexts of a file their ids in this ledger.

use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use super::{Applying, Known};
use crate::ledger::dictionary::by_digest;
use crate::ledger::{CONTEXTS, KINDS, tombstone};

/// The longest text that the ledger keeps, in bytes.
const LONGEST: usize = 256;

impl Applying {
    /// A text.
    pub(super) fn text(&mut self, connection: &Connection, line: &Value) -> rusqlite::Result<Option<()>> {
        let (Some(id), Some(text)) = (line[1].as_i64(), line[2].as_str()) else { return Ok(None) };
        let id_here = text_id(connection, &text[..text.floor_char_boundary(LONGEST)])?;
        self.texts.insert(id, id_here);
        Ok(Some(()))
    }

    /// A prompt of a session.
    pub(super) fn prompt(&mut self, connection: &Connection, line: &Value) -> rusqlite::Result<Option<()>> {
        let number = |index: usize| line[index].as_i64();
        let (Some(id), Some(session), Some(name)) = (number(1), number(2), line[3].as_str()) else {
            return Ok(None);
        };
        let Some(session) = self.texts.get(&session) else { return Ok(None) };
        let name = &name[..name.floor_char_boundary(LONGEST)];
        connection
            .prepare_cached("INSERT OR IGNORE INTO prompt (session, name) VALUES (?1, ?2)")?
            .execute((session, name))?;
        let id_here = connection
            .prepare_cached("SELECT id FROM prompt WHERE session = ?1 AND name = ?2")?
            .query_row((session, name), |row| row.get(0))?;
        self.prompts.insert(id, id_here);
        Ok(Some(()))
    }

    /// The kind of a request.
    pub(super) fn kind(&mut self, connection: &Connection, line: &Value) -> rusqlite::Result<Option<()>> {
        let (Some(id), values) = (line[1].as_i64(), &line[2]) else { return Ok(None) };
        let mut here = [0; KINDS.len()];
        for (here, at) in here.iter_mut().zip(&self.kinds_at) {
            let there = at.and_then(|at| values[at].as_i64()).unwrap_or_default();
            *here = self.texts.get(&there).copied().unwrap_or_default();
        }
        self.kinds.insert(id, by_digest(connection, "kind", &KINDS, &here)?);
        Ok(Some(()))
    }

    /// A context of facts.
    pub(super) fn context(&mut self, connection: &Connection, line: &Value) -> rusqlite::Result<Option<()>> {
        let (Some(id), values) = (line[1].as_i64(), &line[2]) else { return Ok(None) };
        let mut here = [0; CONTEXTS.len()];
        for ((here, at), name) in here.iter_mut().zip(&self.contexts_at).zip(CONTEXTS) {
            let there = at.and_then(|at| values[at].as_i64()).unwrap_or_default();
            // The only column that is not a text.
            *here = if name == "installation" {
                i64::from(there != 0)
            } else {
                self.texts.get(&there).copied().unwrap_or_default()
            };
        }
        let name = |column: &str| -> rusqlite::Result<String> {
            let index = CONTEXTS.iter().position(|other| *other == column).unwrap_or_default();
            text(connection, here[index])
        };
        if here[1] == 0 {
            return Ok(None);
        }
        let (session, ours, person, project) = (name("session")?, name("ours")?, name("person")?, name("project")?);
        let forgotten_before = tombstone::before(connection, &[&session, &ours], &person, &project)?;
        let rank = (here[0] == 0, name("machine")?);
        let id_here = by_digest(connection, "context", &CONTEXTS, &here)?;
        self.contexts.insert(id, Known { id: id_here, session: here[1], forgotten_before, rank });
        Ok(Some(()))
    }
}

/// The id of a text, zero if it is empty. Adds a text that is new.
fn text_id(connection: &Connection, text: &str) -> rusqlite::Result<i64> {
    if text.is_empty() {
        return Ok(0);
    }
    let found: Option<i64> = connection
        .prepare_cached("SELECT id FROM text WHERE text = ?1")?
        .query_row([text], |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    connection.prepare_cached("INSERT INTO text (text) VALUES (?1)")?.execute([text])?;
    Ok(connection.last_insert_rowid())
}

/// The text with an id, empty if there is none.
fn text(connection: &Connection, id: i64) -> rusqlite::Result<String> {
    let mut find = connection.prepare_cached("SELECT text FROM text WHERE id = ?1")?;
    Ok(find.query_row([id], |row| row.get(0)).optional()?.unwrap_or_default())
}
