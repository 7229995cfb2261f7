//! Shares the cost of a session over its requests.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use super::Tokens;
use super::share::{Shares, weight};
use super::state::{Known, Latest, State, Told, copied, known, latest};
use crate::ledger::DAY;
use crate::ledger::change::{Place, change, delete, insert_row, page};
use crate::ledger::columns::request::{BASIS, COST, MODEL, OUTCOME, PRICED};
use crate::ledger::row::{AT, CONTEXT, REQUEST, Row, WIDEST};
use crate::ledger::sums::Sums;
use crate::usage::identity::identity;
use crate::usage::{Basis, Outcome};

/// The amount to share for one model.
#[derive(Debug, Default)]
struct Rest {
    /// The session's cost, without the copied part.
    cost: i64,
    tokens: Tokens,
    /// The cost that is known already.
    known_cost: i64,
    known_tokens: Tokens,
    /// The weight of the requests without a known cost.
    weight: i128,
}

/// Recalculates the costs of a session's imported requests, and adds the differences to `sums`. Does nothing if its
/// transcript was not read.
pub(in crate::ledger) fn settle(connection: &Connection, sums: &mut Sums, session: i64) -> rusqlite::Result<()> {
    let Some(known) = known(connection, session)? else { return Ok(()) };
    let state = latest(connection, session, i64::MAX, None)?;
    let mut sharing = match state {
        Some(state) => Sharing::new(&before(connection, session, &state)?, state),
        None => Sharing::default(),
    };
    let contexts = contexts(connection, session)?;
    each(connection, &contexts, |_, row| {
        sharing.know(row);
        Ok(())
    })?;
    let until = sharing.until();
    let days = (known.first.div_euclid(DAY) - 1, until.min(known.last.saturating_add(DAY)).div_euclid(DAY) + 1);
    events(connection, session, days, until, |row| sharing.know_event(row))?;
    sharing.begin();
    let mut unseen = Vec::new();
    each(connection, &contexts, |place, row| {
        if row[OUTCOME] == Outcome::Unseen as i64 {
            unseen.push((place, *row));
        } else if let Some(after) = sharing.share(row) {
            change(connection, sums, session, place, row, &after)?;
        }
        Ok(())
    })?;
    for (place, row) in unseen {
        delete(connection, sums, session, place, &row)?;
    }
    insert_unseen(connection, sums, session, sharing.unseen(contexts.last()))
}

/// Shares the cost of a session over its requests before they are stored, if nothing of the session is stored yet. It
/// is not a fork. The requests get the same costs as from [`settle`], which would read and change each of them.
pub(in crate::ledger) fn settle_new(
    connection: &Connection,
    sums: &mut Sums,
    told: &Told,
    requests: &mut [(Place, Row)],
) -> rusqlite::Result<()> {
    let Some(state) = Latest::of(told) else { return Ok(()) };
    requests.sort_unstable_by_key(|(place, row)| (row[CONTEXT], place.day, place.identity));
    let mut sharing = Sharing::new(&[], state);
    for (_, row) in requests.iter() {
        sharing.know(row);
    }
    sharing.begin();
    for (_, row) in requests {
        if let Some(after) = sharing.share(row) {
            *row = after;
        }
    }
    let unseen: Vec<_> = sharing.unseen(Some(&0)).collect();
    if unseen.is_empty() {
        return Ok(());
    }
    let Some(context) = contexts(connection, told.session)?.pop() else { return Ok(()) };
    let unseen = unseen.into_iter().map(|mut row| {
        row[CONTEXT] = context;
        row
    });
    insert_unseen(connection, sums, told.session, unseen)
}

/// Adds one sum for each model for the requests that have no row in the transcript.
fn insert_unseen(
    connection: &Connection,
    sums: &mut Sums,
    session: i64,
    rows: impl Iterator<Item = Row>,
) -> rusqlite::Result<()> {
    let name = text(connection, session)?;
    for row in rows {
        let model = text(connection, row[MODEL])?;
        let identity = identity(&[b"unseen", name.as_bytes(), model.as_bytes()]);
        insert_row(connection, sums, session, identity, &row)?;
    }
    Ok(())
}

const ANSWERED: i64 = Outcome::Answered as i64;

/// A session's cost, while it is shared over its requests. Each request is known first, and then gets its share.
#[derive(Debug, Default)]
struct Sharing {
    /// The cost of the session by Claude Code; `None` if that is unknown.
    state: Option<Latest>,
    /// By model.
    rests: HashMap<i64, Rest>,
    shares: HashMap<i64, Shares>,
}

impl Sharing {
    /// `before` is what a fork copied.
    fn new(before: &[State], state: Latest) -> Self {
        let mut rests = HashMap::new();
        for State { model, tokens, cost } in &state.models {
            let base = before.iter().find(|before| before.model == *model).copied().unwrap_or_default();
            let mut own = *tokens;
            own.iter_mut().zip(base.tokens).for_each(|(all, copied)| *all = (*all - copied).max(0));
            let rest = Rest { cost: (cost - base.cost).max(0), tokens: own, ..Rest::default() };
            rests.insert(*model, rest);
        }
        Self { state: Some(state), rests, shares: HashMap::new() }
    }

    /// The time from which requests are not in the session's cost.
    fn until(&self) -> i64 {
        self.state.as_ref().map_or(i64::MIN, |state| state.until)
    }

    fn know(&mut self, row: &Row) {
        if row[AT] < self.until()
            && row[OUTCOME] == ANSWERED
            && let Some(rest) = self.rests.get_mut(&row[MODEL])
        {
            rest.know(row, row[BASIS] == Basis::Row as i64);
        }
    }

    /// Knows a request from an event, which has its cost.
    fn know_event(&mut self, row: &Row) {
        if let Some(rest) = self.rests.get_mut(&row[MODEL]) {
            rest.know(row, true);
        }
    }

    /// Begins to share, once all requests are known.
    fn begin(&mut self) {
        self.shares = self.rests.iter().map(|(model, rest)| (*model, rest.shares())).collect();
    }

    /// The request with its share of the cost, if that changes it.
    fn share(&mut self, row: &Row) -> Option<Row> {
        if row[OUTCOME] != ANSWERED || row[BASIS] == Basis::Row as i64 {
            return None;
        }
        let until = self.until();
        let (cost, basis) = match self.shares.get_mut(&row[MODEL]).filter(|_| row[AT] < until) {
            Some(shares) => (shares.next(weight(tokens(row))), Basis::Shared),
            // A price stays if nothing better is known.
            None if row[BASIS] == Basis::Priced as i64 => return None,
            None => (0, Basis::None),
        };
        let mut after = *row;
        (after[COST], after[BASIS]) = (cost, basis as i64);
        (after != *row).then_some(after)
    }

    /// For each model, the sum of the requests that are not in any row, as a row of that context.
    fn unseen(&self, context: Option<&i64>) -> impl Iterator<Item = Row> {
        let found = self.state.as_ref().zip(context);
        found.into_iter().flat_map(|(state, context)| {
            self.rests.iter().filter_map(|(model, rest)| rest.unseen(*model, state, *context))
        })
    }
}

impl Rest {
    fn know(&mut self, row: &Row, has_cost: bool) {
        let tokens = tokens(row);
        self.known_tokens.iter_mut().zip(tokens).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        if has_cost {
            self.known_cost = self.known_cost.saturating_add(row[COST]);
        } else {
            self.weight += weight(tokens);
        }
    }

    /// The tokens that are not in any row.
    fn unseen_tokens(&self) -> Tokens {
        let mut unseen = self.tokens;
        unseen.iter_mut().zip(self.known_tokens).for_each(|(all, known)| *all = (*all - known).max(0));
        unseen[4] = unseen[4].min(unseen[3]);
        unseen
    }

    fn rest(&self) -> i64 {
        (self.cost - self.known_cost).max(0)
    }

    fn shares(&self) -> Shares {
        Shares::new(self.rest(), self.weight + weight(self.unseen_tokens()))
    }

    /// The sum of the requests that are not in any row, as a row.
    fn unseen(&self, model: i64, state: &Latest, context: i64) -> Option<Row> {
        let tokens = self.unseen_tokens();
        let of_rows = if self.weight + weight(tokens) == 0 { 0 } else { self.shares().next(self.weight) };
        let cost = self.rest() - of_rows;
        if weight(tokens) == 0 && (cost == 0 || self.weight > 0) {
            return None;
        }
        let mut row: Row = [0; WIDEST];
        row[AT] = state.at;
        row[CONTEXT] = context;
        row[MODEL] = model;
        row[PRICED].copy_from_slice(&tokens);
        row[COST] = cost;
        row[BASIS] = Basis::Shared as i64;
        row[OUTCOME] = Outcome::Unseen as i64;
        Some(row)
    }
}

fn tokens(row: &Row) -> Tokens {
    let mut tokens = Tokens::default();
    tokens.copy_from_slice(&row[PRICED]);
    tokens
}

/// The client's report about a whole session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whole {
    /// The cost without the part that a fork copied, in billionths of a US dollar; `None` if the client noted no cost.
    pub cost: Option<i64>,
    /// The part of the client's total that belongs to the parent of a fork.
    pub copied: i64,
    /// Whether the copied part is an estimate.
    pub is_inexact: bool,
    /// Whether a price is a guess.
    pub is_guessed: bool,
    /// Whether requests came after the last total.
    pub is_killed: bool,
}

/// Reads the report; `None` if the transcript was not read.
pub fn whole(connection: &Connection, session: i64) -> rusqlite::Result<Option<Whole>> {
    let Some(known) = known(connection, session)? else { return Ok(None) };
    let (is_inexact, is_guessed) = connection
        .prepare_cached(
            "SELECT is_inexact, (SELECT coalesce(max(is_guessed), 0) FROM cost_state c WHERE c.session = t.session)
             FROM transcript t WHERE session = ?1",
        )?
        .query_row([session], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(state) = latest(connection, session, i64::MAX, None)? else {
        return Ok(Some(Whole { is_inexact, is_guessed, is_killed: true, ..Whole::default() }));
    };
    let sum = |states: &[State]| states.iter().fold(0_i64, |sum, state| sum.saturating_add(state.cost));
    let copied = sum(&estimated(connection, session, &known, &state)?.0);
    let is_killed = known.last >= state.until;
    Ok(Some(Whole { cost: Some((sum(&state.models) - copied).max(0)), copied, is_inexact, is_guessed, is_killed }))
}

/// The cost of a fork's parent when the fork was made, if the fork continues the parent's count.
fn before(connection: &Connection, session: i64, state: &Latest) -> rusqlite::Result<Vec<State>> {
    let Some(known) = known(connection, session)? else { return Ok(Vec::new()) };
    let (states, is_estimate) = estimated(connection, session, &known, state)?;
    connection
        .prepare_cached("UPDATE transcript SET is_inexact = ?2 WHERE session = ?1 AND is_inexact != ?2")?
        .execute((session, is_estimate))?;
    Ok(states)
}

/// The same, with whether it is an estimate.
fn estimated(
    connection: &Connection,
    session: i64,
    known: &Known,
    state: &Latest,
) -> rusqlite::Result<(Vec<State>, bool)> {
    // `/branch` starts counting at zero.
    if known.copied_until == 0 || state.started > known.copied_until {
        return Ok((Vec::new(), false));
    }
    if known.parent != 0
        && let Some(parent) = latest(connection, known.parent, known.first, Some(state.started))?
    {
        return Ok((parent.models, false));
    }
    let mut estimates = Vec::new();
    for State { model, tokens, cost } in &state.models {
        let copied = copied(connection, session, *model)?;
        let share = Shares::new(*cost, weight(*tokens).max(1)).next(weight(copied)).min(*cost);
        estimates.push(State { model: *model, tokens: copied, cost: share });
    }
    Ok((estimates, true))
}

/// The contexts of a session's imported facts.
fn contexts(connection: &Connection, session: i64) -> rusqlite::Result<Vec<i64>> {
    let mut find = connection.prepare_cached("SELECT id FROM context WHERE session = ?1 AND ours = 0 ORDER BY id")?;
    find.query_map([session], |row| row.get(0))?.collect()
}

/// Calls `work` with each imported request, always in the same order.
fn each(
    connection: &Connection,
    contexts: &[i64],
    mut work: impl FnMut(Place, &Row) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    for context in contexts {
        let mut from = Place { table: 0, day: i64::MIN, identity: i64::MIN };
        loop {
            let rows = page(connection, *context, from)?;
            for (place, row) in &rows {
                work(*place, row)?;
            }
            let Some((last, _)) = rows.last() else { break };
            from = *last;
        }
    }
    Ok(())
}

/// Calls `work` with each request of the session from an event, up to a time.
fn events(
    connection: &Connection,
    session: i64,
    days: (i64, i64),
    until: i64,
    mut work: impl FnMut(&Row),
) -> rusqlite::Result<()> {
    let has_events = "SELECT 1 FROM context WHERE session = ?1 AND ours != 0 LIMIT 1";
    if !connection.prepare_cached(has_events)?.exists([session])? {
        return Ok(());
    }
    let select = format!(
        "SELECT {} FROM request WHERE day BETWEEN ?1 AND ?2 AND at < ?3 AND basis = 0 AND outcome = 0
         AND context IN (SELECT id FROM context WHERE session = ?4 AND ours != 0)",
        REQUEST.columns.join(", ")
    );
    let mut statement = connection.prepare_cached(&select)?;
    let mut rows = statement.query((days.0, days.1, until, session))?;
    while let Some(found) = rows.next()? {
        let mut row: Row = [0; WIDEST];
        for (index, value) in row.iter_mut().enumerate().take(REQUEST.columns.len()) {
            *value = found.get(index)?;
        }
        work(&row);
    }
    Ok(())
}

fn text(connection: &Connection, id: i64) -> rusqlite::Result<String> {
    let mut find = connection.prepare_cached("SELECT text FROM text WHERE id = ?1")?;
    Ok(find.query_row([id], |row| row.get(0)).optional()?.unwrap_or_default())
}
