//! Decides whether events or metrics count. Both report the same tokens, cost and edits: for each measure the larger
//! amount counts, by session and by model or tool.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension};

use super::block::{self, number, put_number};
use super::family::Family;
use super::hasher::Quick;
use super::row::Key;
use super::sums::{blocks, sessions};
use crate::usage::Measure;

const MEASURES: usize = Measure::TWICE.len();

/// By how much the cost in metrics must exceed the cost in events to count, in billionths of a dollar: each sum of
/// metrics is rounded.
const ROUNDING: i64 = 1000;

/// The amounts of events and of metrics for a model or a tool.
type Sides = [[i64; MEASURES]; 2];

/// The amounts of events and of metrics for a session. The key is whether the name is a tool's, and the name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Balance(BTreeMap<(bool, i64), Sides>);

/// For each model or tool, a bit for each measure of [`Measure::TWICE`] for which metrics report more.
pub type Wins = Vec<((bool, i64), i64)>;

impl Balance {
    /// Adds the amounts of a sum with that key.
    pub(super) fn add(&mut self, key: &Key, amounts: &[(Measure, i64)]) {
        // The amounts by prompt are the same as those by model.
        if key.family == Family::Prompt {
            return;
        }
        let twice = amounts.iter().filter_map(|(measure, amount)| Some((measure.twice()?, *amount)));
        for (index, amount) in twice.filter(|(_, amount)| *amount != 0) {
            let sides = self.0.entry((key.family.is_of_tools(), key.name)).or_default();
            let sum = &mut sides[usize::from(key.family.is_of_metrics())][index];
            *sum = sum.saturating_add(amount);
        }
    }

    fn wins(&self) -> Wins {
        let wins = self.0.iter().map(|(name, sides)| (*name, wins(sides)));
        wins.filter(|(_, bits)| *bits != 0).collect()
    }

    /// Adds the balance to the ledger.
    pub(super) fn write(mut self, connection: &Connection, session: i64) -> rusqlite::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut find = connection.prepare_cached("SELECT amounts FROM balance WHERE session = ?1")?;
        let found: Option<Vec<u8>> = find.query_row([session], |row| row.get(0)).optional()?;
        for (name, sides) in found.map(|found| Self::decode(&found)).unwrap_or_default().0 {
            let sums = self.0.entry(name).or_default();
            for (sum, amount) in sums.iter_mut().flatten().zip(sides.into_iter().flatten()) {
                *sum = sum.saturating_add(amount);
            }
        }
        // Subtractions may have left nothing.
        self.0.retain(|_, sides| sides.iter().flatten().any(|amount| *amount != 0));
        if self.0.is_empty() {
            connection.prepare_cached("DELETE FROM balance WHERE session = ?1")?.execute([session])?;
            return Ok(());
        }
        let wins = !self.wins().is_empty();
        connection
            .prepare_cached("INSERT OR REPLACE INTO balance (session, wins, amounts) VALUES (?1, ?2, ?3)")?
            .execute((session, wins, self.encode()))?;
        Ok(())
    }

    /// Encodes it as varints: whether the name is a tool's, the name, and the amounts of both sides.
    fn encode(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        for ((is_tool, name), sides) in &self.0 {
            let head = [i64::from(*is_tool), *name];
            head.iter().chain(sides.iter().flatten()).for_each(|number| put_number(&mut blob, *number));
        }
        blob
    }

    fn decode(mut blob: &[u8]) -> Self {
        let mut balance = Self::default();
        while let Some(is_tool) = number(&mut blob) {
            let Some(name) = number(&mut blob) else { break };
            let mut sides = Sides::default();
            for amount in sides.iter_mut().flatten() {
                *amount = number(&mut blob).unwrap_or_default();
            }
            balance.0.insert((is_tool != 0, name), sides);
        }
        balance
    }
}

fn wins([events, metrics]: &Sides) -> i64 {
    let more = |index: usize| {
        let slack = if Measure::TWICE[index] == Measure::Cost && events[index] > 0 {
            ROUNDING.saturating_add(events[index] / 1_000_000)
        } else {
            0
        };
        metrics[index] > events[index].saturating_add(slack)
    };
    (0..MEASURES).filter(|index| more(*index)).fold(0, |wins, index| wins | 1 << index)
}

/// The sessions for which metrics report more than events, with the measures.
pub fn by_metrics(connection: &Connection) -> rusqlite::Result<HashMap<i64, Wins, Quick>> {
    let mut statement = connection.prepare("SELECT session, amounts FROM balance WHERE wins")?;
    let rows = statement.query_map([], |row| {
        let amounts = row.get_ref(1)?;
        Ok((row.get(0)?, Balance::decode(amounts.as_blob()?).wins()))
    })?;
    rows.collect()
}

/// The cost of a session, in billionths of a US dollar: first by events and transcripts, then by metrics.
pub fn told(connection: &Connection, session: i64) -> rusqlite::Result<[i64; 2]> {
    let mut find = connection.prepare_cached("SELECT amounts FROM balance WHERE session = ?1")?;
    let found: Option<Vec<u8>> = find.query_row([session], |row| row.get(0)).optional()?;
    let balance = found.map(|found| Balance::decode(&found)).unwrap_or_default();
    let cost = Measure::Cost.twice().unwrap_or_default();
    let of_models = balance.0.iter().filter(|((is_tool, _), _)| !is_tool);
    Ok(of_models.fold([0; 2], |[events, metrics], (_, sides)| {
        [events.saturating_add(sides[0][cost]), metrics.saturating_add(sides[1][cost])]
    }))
}

/// Rebuilds the balances from the sums.
pub(super) fn rebuild(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("DELETE FROM balance")?;
    let sessions = sessions(connection)?;
    let mut balances: HashMap<i64, Balance, Quick> = HashMap::default();
    for family in [Family::Model, Family::Tool, Family::Twin, Family::ToolTwin] {
        blocks(connection, family, |id, blob| {
            let session = sessions.get(&block::context(id)).copied().unwrap_or_default();
            block::each(blob, |entry, told| {
                let key =
                    Key { family, quarter: 0, context: 0, name: entry.name, kind: entry.kind, prompt: entry.prompt };
                let amounts = told.iter().map(|(index, amount)| (Measure::ALL[*index], *amount));
                balances.entry(session).or_default().add(&key, &amounts.collect::<Vec<_>>());
            });
            Ok(())
        })?;
    }
    balances.into_iter().try_for_each(|(session, balance)| balance.write(connection, session))
}
