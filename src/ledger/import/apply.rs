//! Adds a transcript's items to the ledger.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use rusqlite::Connection;

use super::batch::{Batch, Part};
use super::item::{Asked, Item, Told};
use super::read::Summary;
use super::{Directory, Options};
use crate::ledger::cost::{self, State};
use crate::ledger::take::Insertion;
use crate::ledger::{Origin, tombstone, twins};
use crate::usage::identity::of_tool;
use crate::usage::{Basis, Decision, Fact, Kind, Outcome, Owner, Prompt, Request, ToolCall, What};

/// Whether an item counts: it is not older than the retention limit, and not a copy of an item in the parent's own
/// transcript.
fn counts(item: &Item, session: &str, options: &Options<'_>, known: &HashSet<&str>) -> bool {
    let owner = &*item.wherever.session;
    let is_copy = !session.is_empty() && owner != session;
    item.at >= options.keep_from.unwrap_or(i64::MIN) && !(is_copy && known.contains(owner))
}

/// Adds a batch to the ledger, and returns the number of new facts. `known` are the sessions whose own transcripts are
/// read; `directory` returns the project and repository of a working directory.
pub(super) fn add(
    connection: &Connection,
    batch: &Batch,
    options: &Options<'_>,
    known: &HashSet<&str>,
    mut directory: impl FnMut(&str) -> Rc<Directory>,
) -> rusqlite::Result<u64> {
    let places: HashMap<&str, Rc<Directory>> = batch
        .parts
        .iter()
        .flat_map(|part| groups(&part.items))
        .filter_map(|group| group.first())
        .map(|item| (&*item.wherever.directory, directory(&item.wherever.directory)))
        .collect();
    let mut insertion = Insertion::new(connection)?;
    for part in &batch.parts {
        let told = part.done.as_ref().map(|(summary, _)| summary);
        let is_held = told.is_some_and(|summary| is_alone(part, summary)) && !is_known(connection, &part.session)?;
        if is_held {
            insertion.hold();
        }
        for group in groups(&part.items) {
            let Some(first) = group.first() else { continue };
            let Some(place) = places.get(&*first.wherever.directory) else { continue };
            let counts = |item: &&Item| counts(item, &part.session, options, known);
            add_group(connection, &mut insertion, group.iter().filter(counts), place, options)?;
        }
        if let Some((summary, mark)) = &part.done {
            settle(connection, &mut insertion, &part.session, summary, is_held)?;
            mark.note(connection)?;
        }
    }
    insertion.finish()
}

/// Whether a session's cost depends on no other session: it has an id, it is not a fork, and all items are its own.
fn is_alone(part: &Part, summary: &Summary) -> bool {
    let is_own = |item: &Item| item.wherever.session == part.session;
    let has_name = !part.session.is_empty() && summary.session == part.session;
    has_name && summary.copied_until == 0 && part.items.iter().all(is_own)
}

/// Whether the ledger has ever had anything of a session, or about it.
fn is_known(connection: &Connection, session: &str) -> rusqlite::Result<bool> {
    let is_named = connection.prepare_cached("SELECT 1 FROM text WHERE text = ?1")?.exists([session])?;
    Ok(is_named || tombstone::is_forgotten(connection, session)?)
}

/// Successive items of one session and directory.
fn groups(items: &[Item]) -> impl Iterator<Item = &[Item]> {
    items.chunk_by(|one, other| {
        Arc::ptr_eq(&one.wherever, &other.wherever)
            || one.wherever.session == other.wherever.session && one.wherever.directory == other.wherever.directory
    })
}

/// Adds items of one session and directory.
fn add_group<'a>(
    connection: &Connection,
    insertion: &mut Insertion<'a>,
    items: impl Iterator<Item = &'a Item>,
    place: &'a Directory,
    options: &Options<'a>,
) -> rusqlite::Result<()> {
    let mut items = items.peekable();
    let Some(first) = items.peek() else { return Ok(()) };
    let session = &*first.wherever.session;
    let person = [options.person, options.installation, options.user].into_iter().find(|name| !name.is_empty());
    // Not even the name of a forgotten session or project comes back.
    let forgotten_before = tombstone::before(connection, &[session], person.unwrap_or_default(), &place.project)?;
    let facts: Vec<_> = items.filter(|item| item.at >= forgotten_before).map(|item| fact(item, options)).collect();
    if facts.is_empty() {
        return Ok(());
    }
    let origin = Origin {
        transcript: session,
        project: &place.project,
        repository: &place.repository,
        worktree: &place.worktree,
        user: options.user,
        persons: options.persons,
        ..Origin::default()
    };
    insertion.add(&origin, &facts)
}

fn fact<'a>(item: &'a Item, options: &Options<'a>) -> Fact<'a> {
    let place = &*item.wherever;
    let owner = Owner {
        session: &place.session,
        person: options.person,
        installation: options.installation,
        organisation: options.organisation,
        version: &place.version,
        entrypoint: &place.entrypoint,
        branch: &place.branch,
        ..Owner::default()
    };
    let prompt = &*item.prompt;
    let within = if prompt.is_empty() { &*place.session } else { prompt };
    let (identity, what) = match &item.what {
        Told::Request(asked) => (asked.identity, What::Request(Box::new(request(asked)))),
        Told::Tool { id, tool, failed } => {
            let mcp =
                tool.strip_prefix("mcp__").and_then(|rest| rest.split_once("__")).map_or("", |(server, _)| server);
            let call = ToolCall { tool, mcp, succeeded: !failed, ..ToolCall::default() };
            (of_tool(within, id), What::Tool(call))
        }
        Told::Decision { id, tool, accepted, source } => {
            (of_tool(within, id), What::Decision(Decision { tool, accepted: *accepted, source, mode: "" }))
        }
        Told::Prompt { length, number } => {
            let identity = twins::prompt_identity(prompt, *number);
            (identity, What::Prompt(Prompt { length: *length, is_builtin: false, command: "" }))
        }
    };
    Fact { identity, at: item.at, owner, prompt, what }
}

fn request(asked: &Asked) -> Request<'_> {
    let [input, output, cache_read, cache_creation, cache_hour] = asked.tokens;
    let kind = Kind {
        source: &asked.source,
        agent: &asked.agent,
        speed: &asked.speed,
        effort: &asked.effort,
        ..Kind::default()
    };
    Request {
        model: if asked.failed.is_some() { "" } else { &asked.model },
        kind,
        input,
        output,
        cache_read,
        cache_creation,
        cache_hour,
        cost: asked.cost.unwrap_or_default(),
        outcome: if asked.failed.is_some() { Outcome::Failed } else { Outcome::Answered },
        status: asked.failed.unwrap_or_default(),
        // A failed request costs nothing.
        basis: if asked.cost.is_some() || asked.failed.is_some() { Basis::Row } else { Basis::None },
        ..Request::default()
    }
}

/// Stores a session's data from its files, and shares its cost. `is_held`: over requests that are not stored yet.
fn settle<'a>(
    connection: &Connection,
    insertion: &mut Insertion<'a>,
    session: &'a str,
    summary: &'a Summary,
    is_held: bool,
) -> rusqlite::Result<()> {
    // A session without usage is stored, too.
    let session = if summary.session.is_empty() { session } else { &summary.session };
    if session.is_empty() {
        return Ok(());
    }
    let (first, last) = summary.span.unwrap_or_default();
    if tombstone::before(connection, &[session], "", "")? > last {
        return Ok(());
    }
    let dictionary = &mut insertion.dictionary;
    dictionary.enter(&Origin { transcript: session, ..Origin::default() })?;
    let mut told = cost::Told {
        session: dictionary.text(session)?,
        first,
        last,
        parent: summary.parent.as_ref().map_or(Ok(0), |parent| dictionary.text(parent))?,
        copied_until: summary.copied_until,
        ..cost::Told::default()
    };
    for (model, tokens) in &summary.copied {
        told.copied.push((dictionary.text(model)?, *tokens));
    }
    for moment in &summary.costs {
        let mut models = Vec::new();
        for (model, state) in &moment.models {
            models.push(State { model: dictionary.text(model)?, tokens: state.tokens, cost: state.cost });
        }
        let (at, until, started, is_guessed) = (moment.at, moment.until, moment.started, moment.is_guessed);
        told.moments.push(cost::Moment { at, until, started, is_guessed, models });
    }
    cost::note(connection, &told)?;
    if is_held {
        insertion.store(&told)?;
    } else {
        insertion.settle(told.session)?;
    }
    for fork in cost::forks(connection, told.session)? {
        insertion.settle(fork)?;
    }
    Ok(())
}
