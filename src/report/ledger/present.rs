//! Finds whose usage is current: the person, project, branch, team, profile and session that it would be recorded for.

use rusqlite::{Connection, OptionalExtension, Row};

use super::contexts::expression;
use super::label::label;
use crate::report::dimension::Dimension;

/// How many of the latest contexts are searched for the person who uses this machine.
const LATEST: usize = 256;

/// What is known of the present without the ledger. An unknown value is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Here {
    /// The session's id.
    pub session: Option<String>,
    /// Claude Code's id of its session.
    pub claude_session: Option<String>,
    /// The project's directory.
    pub project: Option<String>,
    /// The branch that is checked out.
    pub branch: Option<String>,
    /// The team that the profile names.
    pub team: Option<String>,
    /// The profile's name.
    pub profile: Option<String>,
    /// The person that the profile names (`enduser.id`).
    pub person: Option<String>,
    /// The operating system's user.
    pub user: Option<String>,
    /// Whether facts record the person (`[ledger] persons`).
    pub has_persons: bool,
}

/// The values of dimensions that usage would have now. A missing value is `None`, as in a row of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each has the name of its dimension")]
pub struct Present {
    pub person: Option<String>,
    pub project: Option<String>,
    pub branch: Option<String>,
    pub team: Option<String>,
    pub profile: Option<String>,
    pub session: Option<String>,
}

/// The parts of a context that are not known without the ledger.
#[derive(Clone, Copy, Default)]
struct Known {
    session: i64,
    person: i64,
    team: i64,
    profile: i64,
}

impl Present {
    /// Finds the values. What the ledger knows of the session takes precedence. Before its first request, the person is
    /// the one that the profile names, else the last one who used this profile here, else any profile, else the
    /// operating system's user.
    pub(super) fn find(connection: &Connection, here: &Here) -> rusqlite::Result<Self> {
        let known = of_session(connection, here)?;
        let named = |dimension, key: i64| if key == 0 { Ok(None) } else { label(connection, dimension, key) };
        let of = |key: fn(Known) -> i64, dimension| named(dimension, known.map(key).unwrap_or_default());
        let person = match of(|known| known.person, Dimension::Person)? {
            _ if !here.has_persons => None,
            None if here.person.is_some() => here.person.clone(),
            None => named(Dimension::Person, last_person(connection, here.profile.as_deref())?)?,
            person => person,
        };
        Ok(Self {
            person: person.or_else(|| here.user.clone().filter(|_| here.has_persons)),
            project: here.project.clone(),
            branch: here.branch.clone(),
            team: of(|known| known.team, Dimension::Team)?.or_else(|| here.team.clone()),
            profile: here.profile.clone(),
            session: here.claude_session.clone().or(of(|known| known.session, Dimension::Session)?),
        })
    }
}

/// The latest context of the session.
fn of_session(connection: &Connection, here: &Here) -> rusqlite::Result<Option<Known>> {
    for (column, id) in [("session", &here.claude_session), ("ours", &here.session)] {
        let Some(id) = id else { continue };
        let select = format!(
            "SELECT session, {}, team, profile FROM context
             WHERE {column} = (SELECT id FROM text WHERE text = ?1) ORDER BY id DESC LIMIT 1",
            expression("person")
        );
        let found = connection.prepare_cached(&select)?.query_row([id], known).optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The last person on this machine who used the profile, else any profile. Zero if there is none.
fn last_person(connection: &Connection, profile: Option<&str>) -> rusqlite::Result<i64> {
    let mut find = connection.prepare_cached("SELECT id FROM text WHERE text = ?1")?;
    let profile: Option<i64> = find.query_row([profile.unwrap_or_default()], |row| row.get(0)).optional()?;
    let select = format!(
        "SELECT session, {}, team, profile FROM context
         WHERE machine = (SELECT text.id FROM text JOIN meta ON text.text = meta.machine)
         ORDER BY id DESC LIMIT {LATEST}",
        expression("person")
    );
    let mut statement = connection.prepare_cached(&select)?;
    let mut last = 0;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let known = known(row)?;
        if known.person != 0 && Some(known.profile) == profile {
            return Ok(known.person);
        }
        last = if last == 0 { known.person } else { last };
    }
    Ok(last)
}

fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    Ok(Known { session: row.get(0)?, person: row.get(1)?, team: row.get(2)?, profile: row.get(3)? })
}
