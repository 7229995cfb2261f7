//! Applies the lines of a file to a ledger.

mod dictionary;
mod facts;
mod graves;
mod sessions;

use std::collections::{BTreeSet, HashMap};

use rusqlite::Connection;
use serde_json::Value;

use super::Merged;
use crate::ledger::cost;
use crate::ledger::row::TABLES;
use crate::ledger::sums::Sums;
use crate::ledger::{CONTEXTS, KINDS};
use crate::usage::Measure;

/// How many texts, prompts, kinds and contexts a file may contain.
const MOST: usize = 5_000_000;

/// The largest number in a fact, in tokens, milliseconds or billionths of a dollar.
const LARGEST: i64 = 100_000_000_000_000;

/// A context of the file in this ledger.
#[derive(Clone, Debug)]
struct Known {
    id: i64,
    session: i64,
    forgotten_before: i64,
    rank: Rank,
}

/// The owner of a fact that two sources have: an event wins over a transcript, then the smaller machine id wins.
type Rank = (bool, String);

pub(super) struct Applying {
    pub(super) merged: Merged,
    /// For each column of a table in this ledger, its index in the file.
    columns: Vec<Vec<Option<usize>>>,
    /// For each table in the file, its index in this ledger.
    tables: Vec<Option<usize>>,
    contexts_at: Vec<Option<usize>>,
    kinds_at: Vec<Option<usize>>,
    /// For each measure in the file, its equivalent in this ledger.
    measures: Vec<Option<Measure>>,
    texts: HashMap<i64, i64>,
    kinds: HashMap<i64, i64>,
    contexts: HashMap<i64, Known>,
    prompts: HashMap<i64, i64>,
    told: HashMap<i64, cost::Told>,
    touched: BTreeSet<i64>,
    key: Vec<u8>,
    graves: HashMap<Vec<u8>, i64>,
    sums: Sums,
}

impl Applying {
    /// Reads the layout from the file's head.
    pub(super) fn new(head: &Value) -> Option<Self> {
        let names = |value: &Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|name| Some(name.as_str()?.to_owned())).collect()
        };
        let there = |names: &[String], name: &str| names.iter().position(|other| other == name);
        let (contexts, kinds) = (names(&head["contexts"])?, names(&head["kinds"])?);
        let listed = head["tables"].as_array()?;
        let mut columns = vec![Vec::new(); TABLES.len()];
        let mut tables = Vec::new();
        for table in listed {
            let here = TABLES.iter().position(|known| known.name == table[0]);
            if let Some(here) = here {
                let names = names(&table[1])?;
                columns[here] = TABLES[here].columns.iter().map(|column| there(&names, column)).collect();
            }
            tables.push(here);
        }
        let measures = names(&head["measures"])?;
        Some(Self {
            merged: Merged { machine: head["machine"].as_str()?.to_owned(), ..Merged::default() },
            columns,
            tables,
            contexts_at: CONTEXTS.iter().map(|name| there(&contexts, name)).collect(),
            kinds_at: KINDS.iter().map(|name| there(&kinds, name)).collect(),
            measures: measures
                .iter()
                .map(|name| Measure::ALL.into_iter().find(|measure| measure.column() == name))
                .collect(),
            texts: HashMap::new(),
            kinds: HashMap::new(),
            contexts: HashMap::new(),
            prompts: HashMap::new(),
            told: HashMap::new(),
            touched: BTreeSet::new(),
            key: Vec::new(),
            graves: HashMap::new(),
            sums: Sums::default(),
        })
    }

    /// Applies lines.
    pub(super) fn apply(&mut self, connection: &Connection, lines: &[Value]) -> rusqlite::Result<()> {
        for line in lines {
            if line.is_array() && self.line(connection, line)?.is_none() {
                self.merged.skipped += 1;
            }
        }
        std::mem::take(&mut self.sums).write(connection)
    }

    /// Applies the data of whole sessions, and forgets what the file's machine has forgotten.
    pub(super) fn finish(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for told in self.told.values() {
            cost::note(connection, told)?;
            self.touched.insert(told.session);
            self.touched.extend(cost::forks(connection, told.session)?);
        }
        for session in &self.touched {
            cost::settle(connection, &mut self.sums, *session)?;
        }
        std::mem::take(&mut self.sums).write(connection)?;
        self.bury(connection)
    }

    /// Applies a line; returns `None` if it makes no sense.
    fn line(&mut self, connection: &Connection, line: &Value) -> rusqlite::Result<Option<()>> {
        let known = self.texts.len() + self.prompts.len() + self.kinds.len() + self.contexts.len();
        match line[0].as_str() {
            Some("text" | "prompt" | "kind" | "context") if known >= MOST => Ok(None),
            Some("text") => self.text(connection, line),
            Some("kind") => self.kind(connection, line),
            Some("context") => self.context(connection, line),
            Some("prompt") => self.prompt(connection, line),
            Some("fact") => self.fact(connection, line),
            Some("counter") => self.counter(connection, line),
            Some("start") => self.start(connection, line),
            Some("transcript" | "cost" | "copied") => Ok(self.session(line)),
            Some("key" | "tombstone") => Ok(self.grave(line)),
            // An addition of a later version.
            _ => Ok(Some(())),
        }
    }
}
