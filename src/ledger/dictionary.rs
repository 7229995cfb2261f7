//! Texts, prompts, kinds and contexts, by the ids with which facts refer to them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use super::origin::Origin;
use super::schema::{CONTEXTS, KINDS};
use crate::system::digest::digest;
use crate::usage::{Kind, Owner};

/// How many distinct texts one of our sessions may add, including those of its Claude sessions. A thousand is plenty
/// for models and tools, and limits how much a faulty client can write.
const MOST: i64 = 1000;

/// The text that replaces all texts beyond [`MOST`].
const OTHER: &str = "(other)";

/// The ids of one insertion, each looked up once.
pub(super) struct Dictionary<'a> {
    connection: &'a Connection,
    /// The origin of the facts that are being added.
    origin: Origin<'a>,
    texts: HashMap<&'a str, i64>,
    prompts: HashMap<(i64, &'a str), i64>,
    kinds: HashMap<Kind<'a>, i64>,
    contexts: HashMap<Owner<'a>, Context>,
    /// The owner and context of the last fact: successive facts mostly belong to one session.
    last: Option<(Owner<'a>, Context)>,
    machine: i64,
    /// How many texts the session has added in this insertion, and how many before.
    brought: (i64, i64),
}

/// The context of a fact.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub(super) id: i64,
    /// The text id of its session.
    pub(super) session: i64,
    /// Facts before this time were forgotten, and are not added again.
    pub(super) forgotten_before: i64,
}

impl<'a> Dictionary<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            origin: Origin::default(),
            texts: HashMap::new(),
            prompts: HashMap::new(),
            kinds: HashMap::new(),
            contexts: HashMap::new(),
            last: None,
            machine: 0,
            brought: (0, 0),
        }
    }

    /// Begins with the facts of an origin.
    pub(super) fn enter(&mut self, origin: &Origin<'a>) -> rusqlite::Result<()> {
        if self.machine != 0 && *origin == self.origin {
            return Ok(());
        }
        let has_other_machine = self.machine == 0 || origin.machine != self.origin.machine;
        if origin.brings() != self.origin.brings() {
            self.finish()?;
            let texts: Option<i64> = self
                .connection
                .prepare_cached("SELECT texts FROM allowance WHERE session = ?1")?
                .query_row([origin.brings()], |row| row.get(0))
                .optional()?;
            self.brought = (texts.unwrap_or(0), texts.unwrap_or(0));
        }
        self.origin = origin.clone();
        self.contexts.clear();
        self.last = None;
        if has_other_machine {
            let machine = if origin.machine.is_empty() {
                let mut own = self.connection.prepare_cached("SELECT machine FROM meta")?;
                own.query_row([], |row| row.get::<_, String>(0))?
            } else {
                origin.machine.to_owned()
            };
            self.machine = self.look_up(&machine)?;
        }
        Ok(())
    }

    /// Stores the number of texts that the session has added.
    pub(super) fn finish(&mut self) -> rusqlite::Result<()> {
        if self.brought.0 > self.brought.1 {
            self.connection
                .prepare_cached("INSERT OR REPLACE INTO allowance (session, texts) VALUES (?1, ?2)")?
                .execute((self.origin.brings(), self.brought.0))?;
            self.brought.1 = self.brought.0;
        }
        Ok(())
    }

    /// The id of a text, zero for an empty one.
    pub(super) fn text(&mut self, text: &'a str) -> rusqlite::Result<i64> {
        if text.is_empty() {
            return Ok(0);
        }
        if let Some(id) = self.texts.get(text) {
            return Ok(*id);
        }
        let id = self.look_up(text)?;
        self.texts.insert(text, id);
        Ok(id)
    }

    fn look_up(&mut self, text: &str) -> rusqlite::Result<i64> {
        let find = |text: &str| {
            let mut find = self.connection.prepare_cached("SELECT id FROM text WHERE text = ?1")?;
            find.query_row([text], |row| row.get(0)).optional()
        };
        if let Some(id) = find(text)? {
            return Ok(id);
        }
        let is_full = self.brought.0 >= MOST;
        if let (true, Some(id)) = (is_full, find(OTHER)?) {
            return Ok(id);
        }
        self.brought.0 += 1;
        let text = if is_full { OTHER } else { text };
        self.connection.prepare_cached("INSERT INTO text (text) VALUES (?1)")?.execute([text])?;
        Ok(self.connection.last_insert_rowid())
    }

    /// The id of a prompt of a session, zero for none.
    pub(super) fn prompt(&mut self, session: i64, name: &'a str) -> rusqlite::Result<i64> {
        if name.is_empty() {
            return Ok(0);
        }
        if let Some(id) = self.prompts.get(&(session, name)) {
            return Ok(*id);
        }
        let found: Option<i64> = self
            .connection
            .prepare_cached("SELECT id FROM prompt WHERE session = ?1 AND name = ?2")?
            .query_row((session, name), |row| row.get(0))
            .optional()?;
        let id = if let Some(id) = found {
            id
        } else {
            self.connection
                .prepare_cached("INSERT INTO prompt (session, name) VALUES (?1, ?2)")?
                .execute((session, name))?;
            self.connection.last_insert_rowid()
        };
        self.prompts.insert((session, name), id);
        Ok(id)
    }

    /// The id of a kind, zero if all its texts are empty.
    pub(super) fn kind(&mut self, kind: &Kind<'a>) -> rusqlite::Result<i64> {
        if *kind == Kind::default() {
            return Ok(0);
        }
        if let Some(id) = self.kinds.get(kind) {
            return Ok(*id);
        }
        let texts =
            [kind.source, kind.agent, kind.skill, kind.plugin, kind.mcp, kind.speed, kind.effort, kind.language];
        let mut values = [0; KINDS.len()];
        for (value, text) in values.iter_mut().zip(texts) {
            *value = self.text(text)?;
        }
        let id = by_digest(self.connection, "kind", &KINDS, &values)?;
        self.kinds.insert(kind.clone(), id);
        Ok(id)
    }

    /// The context of an owner's facts.
    pub(super) fn context(&mut self, owner: &Owner<'a>) -> rusqlite::Result<Context> {
        if let Some((last, context)) = &self.last
            && last == owner
        {
            return Ok(*context);
        }
        let context = match self.contexts.get(owner) {
            Some(context) => *context,
            None => self.new_context(owner)?,
        };
        self.last = Some((owner.clone(), context));
        Ok(context)
    }

    fn new_context(&mut self, owner: &Owner<'a>) -> rusqlite::Result<Context> {
        let origin = self.origin.clone();
        let first = |texts: &[&'a str]| texts.iter().copied().find(|text| !text.is_empty()).unwrap_or_default();
        let session = first(&[owner.session, origin.session, origin.transcript]);
        let (person, is_installation) = match (origin.persons, owner.person, owner.installation) {
            (false, ..) => ("", false),
            (true, "", "") => (origin.user, false),
            (true, "", installation) => (installation, true),
            (true, person, _) => (person, false),
        };
        let texts = [
            origin.session,
            session,
            origin.project,
            first(&[owner.repository, origin.repository]),
            first(&[owner.branch, origin.branch]),
            origin.worktree,
            first(&[owner.team, origin.team]),
            person,
            "",
            owner.organisation,
            origin.profile,
            "",
            owner.version,
            owner.entrypoint,
            owner.terminal,
            owner.provider,
            owner.plan,
            owner.seat,
        ];
        let mut values = [0; CONTEXTS.len()];
        for (value, text) in values.iter_mut().zip(texts) {
            *value = self.text(text)?;
        }
        values[8] = i64::from(is_installation);
        values[11] = self.machine;
        let id = by_digest(self.connection, "context", &CONTEXTS, &values)?;
        let forgotten_before =
            super::tombstone::before(self.connection, &[session, origin.session], person, origin.project)?;
        let context = Context { id, session: values[1], forgotten_before };
        self.contexts.insert(owner.clone(), context);
        Ok(context)
    }
}

/// The id of a context or a kind with these values.
pub(super) fn by_digest(
    connection: &Connection,
    table: &str,
    columns: &[&str],
    values: &[i64],
) -> rusqlite::Result<i64> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut first = [0; 8];
    first.copy_from_slice(&digest(&[&bytes])[..8]);
    let digest = i64::from_le_bytes(first);
    let found = connection
        .prepare_cached(&format!("SELECT id FROM {table} WHERE digest = ?1"))?
        .query_row([digest], |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    let places = vec!["?"; columns.len()].join(", ");
    let insert = format!("INSERT INTO {table} (digest, {}) VALUES (?, {places})", columns.join(", "));
    let values = std::iter::once(digest).chain(values.iter().copied());
    connection.prepare_cached(&insert)?.execute(rusqlite::params_from_iter(values))?;
    Ok(connection.last_insert_rowid())
}
