//! Reads the contexts of facts from the ledger, limited to the columns that a query asks for.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::automation::{AUTOMATION, NO, YES, automated};
use super::label::label;
use crate::ledger::Quick;
use crate::report::dimension::{Dimension, Place};
use crate::report::query::{Condition, Query};

/// How many contexts are read at once. Contexts of the same time are stored together.
const TOGETHER: usize = 64;

/// The place of the flag that says whether the filter accepts a context. The session follows, then the requested
/// columns.
const LET: usize = 0;
pub(super) const SESSION: usize = 1;

/// Contexts by id, read on first use.
pub(super) struct Contexts<'a> {
    connection: &'a Connection,
    columns: Vec<&'static str>,
    select: String,
    filter: Vec<Filter>,
    /// The sessions that are automation, if a query asks for them.
    automated: HashSet<i64, Quick>,
    read: Vec<Option<Vec<i64>>>,
}

/// The conditions on one dimension.
struct Filter {
    dimension: Dimension,
    place: usize,
    conditions: Vec<Condition>,
    known: HashMap<i64, bool, Quick>,
}

impl<'a> Contexts<'a> {
    /// The contexts for queries that share one filter.
    pub(super) fn new(connection: &'a Connection, queries: &[Query]) -> rusqlite::Result<Self> {
        let mut columns = vec!["session"];
        let filter = queries.first().map(|query| query.filter.as_slice()).unwrap_or_default();
        let by = queries.iter().flat_map(|query| &query.by).copied();
        for dimension in by.chain(filter.iter().map(|condition| condition.dimension)) {
            if let Place::Context(column) = dimension.place()
                && !columns.contains(&column)
            {
                columns.push(column);
            }
        }
        let expressions: Vec<_> = columns.iter().map(|column| expression(column)).collect();
        let select = format!("SELECT id, {} FROM context WHERE id >= ?1 AND id < ?2", expressions.join(", "));
        let automated = automated(connection, queries)?;
        let mut contexts = Self { connection, columns, select, filter: Vec::new(), automated, read: Vec::new() };
        for dimension in Dimension::all() {
            let conditions: Vec<_> = filter.iter().filter(|condition| condition.dimension == dimension).collect();
            if let (Place::Context(column), false) = (dimension.place(), conditions.is_empty()) {
                let place = contexts.place(column);
                let conditions = conditions.into_iter().cloned().collect();
                contexts.filter.push(Filter { dimension, place, conditions, known: HashMap::default() });
            }
        }
        Ok(contexts)
    }

    /// The place of a column's value in [`Contexts::get`].
    pub(super) fn place(&self, column: &str) -> usize {
        1 + index(&self.columns, column)
    }

    /// The values of a context, or `None` if the filter rejects it.
    pub(super) fn get(&mut self, id: i64) -> rusqlite::Result<Option<&[i64]>> {
        let id = usize::try_from(id).unwrap_or_default();
        let (block, width) = (id / TOGETHER, 1 + self.columns.len());
        if self.read.len() <= block {
            self.read.resize(block + 1, None);
        }
        if self.read[block].is_none() {
            self.read[block] = Some(self.read_block(block * TOGETHER, width)?);
        }
        let values = self.read[block].as_ref().and_then(|values| values.get(id % TOGETHER * width..)?.get(..width));
        Ok(values.filter(|values| values[LET] != 0))
    }

    fn read_block(&mut self, first: usize, width: usize) -> rusqlite::Result<Vec<i64>> {
        let mut values = vec![0; TOGETHER * width];
        // A missing context has no values, so any filter rejects it.
        values.chunks_exact_mut(width).for_each(|values| values[LET] = i64::from(self.filter.is_empty()));
        let mut statement = self.connection.prepare_cached(&self.select)?;
        let automation = self.columns.iter().position(|column| *column == AUTOMATION).map(|index| index + 1);
        let [from, to] = [first, first + TOGETHER].map(|id| i64::try_from(id).unwrap_or(i64::MAX));
        let mut rows = statement.query((from, to))?;
        while let Some(row) = rows.next()? {
            let place = usize::try_from(row.get::<_, i64>(0)? - from).unwrap_or_default() * width;
            let values = &mut values[place..place + width];
            for (index, value) in values.iter_mut().enumerate().skip(1) {
                *value = row.get(index)?;
            }
            if let Some(automation) = automation {
                values[automation] = if self.automated.contains(&values[SESSION]) { YES } else { NO };
            }
            values[LET] = 1;
            for filter in &mut self.filter {
                if !filter.fits(self.connection, values[filter.place])? {
                    values[LET] = 0;
                }
            }
        }
        Ok(values)
    }
}

impl Filter {
    fn fits(&mut self, connection: &Connection, key: i64) -> rusqlite::Result<bool> {
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let label = label(connection, self.dimension, key)?;
        let fits = self.conditions.iter().any(|condition| condition.matches(label.as_deref()));
        self.known.insert(key, fits);
        Ok(fits)
    }
}

/// The SQL expression for a column of a context. Installations that stand for a person are negative, because they are
/// shown differently.
pub(super) fn expression(column: &str) -> &str {
    match column {
        "person" => "CASE installation WHEN 0 THEN person ELSE -person END",
        // Its sessions are found beforehand.
        AUTOMATION => "0",
        column => column,
    }
}

/// The place of a column.
pub(super) fn index(columns: &[&str], name: &str) -> usize {
    columns.iter().position(|column| *column == name).unwrap_or_default()
}

/// Conditions on single rows: on models, kinds, tools, prompts, times and statuses.
pub(super) struct Late(Vec<(super::reader::Reader, Filter)>);

impl Late {
    pub(super) fn new(contexts: &Contexts<'_>, filter: &[Condition]) -> Self {
        let mut late = Vec::new();
        for dimension in Dimension::all().filter(|dimension| !matches!(dimension.place(), Place::Context(_))) {
            let conditions: Vec<_> =
                filter.iter().filter(|condition| condition.dimension == dimension).cloned().collect();
            if !conditions.is_empty() {
                let reader = super::reader::Reader::of(dimension, contexts);
                late.push((reader, Filter { dimension, place: 0, conditions, known: HashMap::default() }));
            }
        }
        Self(late)
    }

    /// Whether the conditions accept a row.
    pub(super) fn lets(
        &mut self,
        connection: &Connection,
        row: &super::reader::Scanned,
        names: &mut super::reader::Names,
    ) -> rusqlite::Result<bool> {
        for (reader, filter) in &mut self.0 {
            if !filter.fits(connection, reader.key(row, names, 0))? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
