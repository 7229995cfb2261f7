//! Sums of all time, for counters that only grow.

use std::collections::{HashMap, HashSet};

use jiff::tz::TimeZone;

use super::LedgerSource;
use super::contexts::{Contexts, SESSION};
use super::group::From;
use super::label::label;
use super::scan::{bits, counts};
use crate::ledger::block::{self, Told};
use crate::ledger::{Family, Quick};
use crate::report::SourceError;
use crate::report::dimension::{Dimension, Place};
use crate::report::query::Query;
use crate::usage::{Amounts, MEASURES, Measure};

/// Everything that was used, by some dimensions of sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lasting {
    /// By model as well, which is `None` where there is none.
    pub by_model: Vec<LastingSum>,
    /// Runs of tools and edits, by tool as well.
    pub by_tool: Vec<LastingSum>,
    /// Sessions.
    pub sessions: Vec<LastingSessions>,
}

/// The sums of a model or a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastingSum {
    /// The value of each dimension, or `None` if it is unknown.
    pub keys: Vec<Option<String>>,
    /// The model or the tool.
    pub name: Option<String>,
    /// The amounts.
    pub amounts: Amounts,
    /// The first quarter of an hour with some of each measure, since 1970; `i64::MAX` without any.
    pub firsts: Amounts,
    /// The last quarter of an hour with usage.
    pub last: i64,
}

impl LastingSum {
    /// The amount of a measure.
    pub fn amount(&self, measure: Measure) -> i64 {
        self.amounts[measure.index()]
    }
}

/// How many of Claude Code's sessions there were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastingSessions {
    /// The value of each dimension.
    pub keys: Vec<Option<String>>,
    /// How many.
    pub count: i64,
    /// The first quarter of an hour of the first of them.
    pub first: i64,
    /// The last quarter of an hour of the last of them.
    pub last: i64,
}

impl LedgerSource<'_> {
    /// Sums of everything by these dimensions, which are dimensions of sessions.
    pub fn lasting(&self, by: &[Dimension]) -> Result<Lasting, SourceError> {
        let query = Query { by: by.to_vec(), ..Query::new(TimeZone::UTC) };
        let mut contexts = Contexts::new(self.connection, std::slice::from_ref(&query))?;
        let places = by.iter().map(|dimension| match dimension.place() {
            Place::Context(column) => contexts.place(column),
            _ => SESSION,
        });
        let mut groups = Groups { places: places.collect(), ..Groups::default() };
        let (mut models, mut tools) = (Sums::default(), Sums::default());
        for family in [Family::Model, Family::Counter, Family::Twin, Family::Tool, Family::ToolTwin] {
            let is_of_tools = matches!(family, Family::Tool | Family::ToolTwin);
            let sums = if is_of_tools { &mut tools } else { &mut models };
            self.add(family, &mut contexts, &mut groups, sums)?;
        }
        let labels = self.labels(by, &groups)?;
        let keys = |group: i64| usize::try_from(group).ok().and_then(|group| labels.get(group)).cloned();
        let sessions = groups.counts.iter().map(|(group, counted)| {
            let Counted { sessions: count, first, last } = *counted;
            LastingSessions { keys: keys(*group).unwrap_or_default(), count, first, last }
        });
        Ok(Lasting {
            sessions: sessions.collect(),
            by_model: self.with_names(Dimension::Model, models, keys)?,
            by_tool: self.with_names(Dimension::Tool, tools, keys)?,
        })
    }

    fn add(
        &self,
        family: Family,
        contexts: &mut Contexts<'_>,
        groups: &mut Groups,
        sums: &mut Sums,
    ) -> rusqlite::Result<()> {
        let from = match family {
            Family::Counter => From::Counters,
            Family::Twin | Family::ToolTwin => From::Twins,
            _ => From::Events,
        };
        if from == From::Twins && self.wins.is_empty() {
            return Ok(());
        }
        let mut statement = self.connection.prepare_cached(&format!("SELECT id, amounts FROM {}", family.table()))?;
        let mut rows = statement.query([])?;
        let mut counted = [(0, 0); MEASURES];
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let Some(context) = contexts.get(block::context(id))? else { continue };
            let wins = self.wins.get(&context[SESSION]);
            if from == From::Twins && wins.is_none() {
                continue;
            }
            let group = groups.of(block::context(id), context);
            let begin = block::first_quarter(id);
            let mut span: Option<(i64, i64)> = None;
            let blob = row.get_ref(1)?;
            block::each(blob.as_blob()?, |entry, told| {
                let bits = wins.map_or(0, |wins| bits(wins, family, entry.name));
                let Some(told) = counts(from, bits, told, &mut counted) else { return };
                let quarter = begin + entry.quarter;
                let (first, last) = span.unwrap_or((quarter, quarter));
                span = Some((first.min(quarter), last.max(quarter)));
                sums.entry([group, entry.name]).or_default().add(quarter, told);
            });
            if let Some(span) = span.filter(|_| !matches!(family, Family::Tool | Family::ToolTwin)) {
                groups.count_session(group, context[SESSION], span);
            }
        }
        Ok(())
    }

    fn with_names(
        &self,
        name: Dimension,
        sums: Sums,
        keys: impl Fn(i64) -> Option<Vec<Option<String>>>,
    ) -> rusqlite::Result<Vec<LastingSum>> {
        let mut named = Vec::with_capacity(sums.len());
        for ([group, key], Sum { amounts, firsts, last }) in sums {
            let (keys, name) = (keys(group).unwrap_or_default(), label(self.connection, name, key)?);
            named.push(LastingSum { keys, name, amounts, firsts, last });
        }
        Ok(named)
    }

    /// The values of the dimensions, for each group.
    fn labels(&self, by: &[Dimension], groups: &Groups) -> rusqlite::Result<Vec<Vec<Option<String>>>> {
        let labels = |values: &Vec<i64>| {
            let pairs = by.iter().zip(values);
            pairs.map(|(dimension, key)| label(self.connection, *dimension, *key)).collect()
        };
        groups.values.iter().map(labels).collect()
    }
}

/// The sums by group and by model or tool.
type Sums = HashMap<[i64; 2], Sum, Quick>;

struct Sum {
    amounts: Amounts,
    firsts: Amounts,
    last: i64,
}

impl Default for Sum {
    fn default() -> Self {
        Self { amounts: [0; MEASURES], firsts: [i64::MAX; MEASURES], last: i64::MIN }
    }
}

impl Sum {
    fn add(&mut self, quarter: i64, told: Told<'_>) {
        for (index, amount) in told {
            self.amounts[*index] = self.amounts[*index].saturating_add(*amount);
            self.firsts[*index] = self.firsts[*index].min(quarter);
        }
        self.last = self.last.max(quarter);
    }
}

/// The distinct values of the dimensions, by number.
#[derive(Default)]
struct Groups {
    /// Where a context has each value.
    places: Vec<usize>,
    values: Vec<Vec<i64>>,
    numbers: HashMap<Vec<i64>, i64>,
    of_contexts: HashMap<i64, i64, Quick>,
    sessions: HashSet<[i64; 2], Quick>,
    counts: HashMap<i64, Counted, Quick>,
}

/// How many sessions a group has, and its first and last quarter of an hour.
struct Counted {
    sessions: i64,
    first: i64,
    last: i64,
}

impl Groups {
    /// The group of a context with these values.
    fn of(&mut self, id: i64, context: &[i64]) -> i64 {
        if let Some(group) = self.of_contexts.get(&id) {
            return *group;
        }
        let values: Vec<i64> = self.places.iter().map(|place| context[*place]).collect();
        let next = i64::try_from(self.values.len()).unwrap_or(i64::MAX);
        let group = *self.numbers.entry(values).or_insert_with_key(|values| {
            self.values.push(values.clone());
            next
        });
        self.of_contexts.insert(id, group);
        group
    }

    fn count_session(&mut self, group: i64, session: i64, (first, last): (i64, i64)) {
        let is_new = self.sessions.insert([group, session]);
        let counted = self.counts.entry(group).or_insert(Counted { sessions: 0, first, last });
        counted.sessions += i64::from(is_new);
        counted.first = counted.first.min(first);
        counted.last = counted.last.max(last);
    }
}
