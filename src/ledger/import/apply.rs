//! Adds a transcript's items to the ledger.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use rusqlite::Connection;

use super::item::{Asked, Item, Told};
use super::read::Summary;
use super::{Directory, Options};
use crate::ledger::cost::{self, State};
use crate::ledger::dictionary::Dictionary;
use crate::ledger::take::insert;
use crate::ledger::{Origin, tombstone, twins};
use crate::usage::identity::of_tool;
use crate::usage::{Basis, Decision, Extract, Fact, Kind, Outcome, Owner, Prompt, Request, ToolCall, What};

/// Whether an item counts: it is not older than the retention limit, and not a copy of an item in the parent's own
/// transcript.
fn counts(item: &Item, session: &str, options: &Options<'_>, known: &HashSet<&str>) -> bool {
    let owner = &*item.wherever.session;
    let is_copy = !session.is_empty() && owner != session;
    item.at >= options.keep_from.unwrap_or(i64::MIN) && !(is_copy && known.contains(owner))
}

/// Adds items to the ledger and returns the number of new facts. The items come from the files of `session`; `known`
/// are the sessions whose own transcripts are read.
pub(super) fn add(
    connection: &Connection,
    session: &str,
    items: &[Item],
    options: &Options<'_>,
    known: &HashSet<&str>,
    mut directory: impl FnMut(&str) -> Rc<Directory>,
) -> rusqlite::Result<u64> {
    let mut new = 0;
    let is_together = |one: &Item, other: &Item| {
        Arc::ptr_eq(&one.wherever, &other.wherever)
            || one.wherever.session == other.wherever.session && one.wherever.directory == other.wherever.directory
    };
    for together in items.chunk_by(is_together) {
        let Some(first) = together.first() else { continue };
        let place = directory(&first.wherever.directory);
        let person = [options.person, options.installation, options.user].into_iter().find(|name| !name.is_empty());
        // Not even the name of a forgotten session or project comes back.
        let forgotten_before =
            tombstone::before(connection, &[&first.wherever.session], person.unwrap_or_default(), &place.project)?;
        let wanted =
            together.iter().filter(|item| item.at >= forgotten_before && counts(item, session, options, known));
        let facts: Vec<_> = wanted.map(|item| fact(item, options)).collect();
        if facts.is_empty() {
            continue;
        }
        let origin = Origin {
            transcript: &first.wherever.session,
            project: &place.project,
            repository: &place.repository,
            worktree: &place.worktree,
            user: options.user,
            persons: options.persons,
            ..Origin::default()
        };
        new += insert(connection, &origin, &[Extract { facts, refused: 0 }])?;
    }
    Ok(new)
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

/// Stores a session's data from its files, and shares its cost.
pub(super) fn settle(connection: &Connection, session: &str, summary: &Summary) -> rusqlite::Result<()> {
    // A session without usage is stored, too.
    let session = if summary.session.is_empty() { session } else { &summary.session };
    if session.is_empty() {
        return Ok(());
    }
    let (first, last) = summary.span.unwrap_or_default();
    if tombstone::before(connection, &[session], "", "")? > last {
        return Ok(());
    }
    let origin = Origin { transcript: session, ..Origin::default() };
    let mut dictionary = Dictionary::new(connection, &origin)?;
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
    dictionary.finish()?;
    cost::note(connection, &told)?;
    cost::settle(connection, told.session)?;
    for fork in cost::forks(connection, told.session)? {
        cost::settle(connection, fork)?;
    }
    Ok(())
}
