//! What only the status line's JSON has of a session, as it was last: limits, the context window, misses of the prompt
//! cache, and the client's running total.

use rusqlite::{Connection, OptionalExtension, params_from_iter};

use crate::claude::status_line::{Cache, Context, Limit, Limits, Reading, Spend};

/// The tables for this data. Numbers are -1 if they are unknown.
pub(super) const SCHEMA: &str = "
CREATE TABLE gauge (
    session INTEGER PRIMARY KEY,             -- a text
    at      INTEGER NOT NULL,                -- Unix milliseconds
    day     INTEGER NOT NULL,                -- of the last reading, since 1970 in its time zone
    carried INTEGER NOT NULL,                -- the running total before that day, in billionths of a US dollar
    total   INTEGER NOT NULL,                -- the running total
    tokens  INTEGER NOT NULL,                -- in the context window
    window  INTEGER NOT NULL,                -- its size in tokens
    used    INTEGER NOT NULL,                -- in hundredths of a percent, as all shares
    five_hour INTEGER NOT NULL, five_hour_resets INTEGER NOT NULL,    -- Unix seconds
    seven_day INTEGER NOT NULL, seven_day_resets INTEGER NOT NULL,
    spend INTEGER NOT NULL, spend_resets INTEGER NOT NULL,
    spend_used INTEGER NOT NULL, spend_limit INTEGER NOT NULL,        -- billionths of a US dollar
    requests  INTEGER NOT NULL,              -- of the main conversation
    misses    INTEGER NOT NULL,              -- that did not find their prefix in the prompt cache
    rewritten INTEGER NOT NULL               -- tokens written to the cache again because of these
);
CREATE TABLE gauge_cause (                   -- the misses by the client's name of their cause
    session INTEGER NOT NULL,
    cause   INTEGER NOT NULL,                -- a text
    count   INTEGER NOT NULL,
    PRIMARY KEY (session, cause)
) WITHOUT ROWID;
";

/// The columns after the session.
pub(super) const COLUMNS: [&str; 18] = [
    "at",
    "day",
    "carried",
    "total",
    "tokens",
    "window",
    "used",
    "five_hour",
    "five_hour_resets",
    "seven_day",
    "seven_day_resets",
    "spend",
    "spend_resets",
    "spend_used",
    "spend_limit",
    "requests",
    "misses",
    "rewritten",
];

/// The value of each column.
pub(super) type Values = [i64; COLUMNS.len()];

/// The maximum length of a session's id, in bytes.
const LONGEST_ID: usize = 128;

/// The last reading of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gauge {
    /// When it was taken, in Unix milliseconds.
    pub at: i64,
    /// The day on which it was taken, since 1970 in the reader's time zone.
    pub day: i64,
    /// The running total before that day, in billionths of a US dollar.
    pub carried: i64,
    /// The running total. It goes on over resumes.
    pub total: Option<i64>,
    /// The context window.
    pub context: Context,
    /// The account's limits.
    pub limits: Limits,
    /// The prompt cache, without its share of hits.
    pub cache: Option<Cache>,
}

impl Gauge {
    /// The gauge after a reading at a time. What was spent before the first reading is not of its day.
    pub fn after(before: Option<&Self>, reading: &Reading, at: i64, day: i64) -> Self {
        let total = reading.cost;
        let carried = match before {
            Some(before) if before.day == day => before.carried,
            Some(before) => before.total.unwrap_or_else(|| total.unwrap_or_default()),
            None => total.unwrap_or_default(),
        };
        Self {
            at,
            day,
            carried: carried.min(total.unwrap_or(carried)),
            total,
            context: reading.context,
            limits: reading.limits,
            cache: reading.cache.clone().map(|cache| Cache { hits: None, ..cache }),
        }
    }

    /// What the session has cost on that day, in billionths of a US dollar.
    pub fn spent(&self) -> i64 {
        self.total.map_or(0, |total| total.saturating_sub(self.carried))
    }

    /// Whether it says the same as another, except when.
    pub fn is_as(&self, other: &Self) -> bool {
        let same = |gauge: &Self| Self { at: 0, ..gauge.clone() };
        same(self) == same(other)
    }

    fn values(&self) -> Values {
        let known = |number: Option<i64>| number.unwrap_or(-1);
        let limit = |limit: Option<Limit>| limit.map_or([-1, -1], |limit| [limit.used, limit.resets_at]);
        let Limits { five_hour, seven_day, spend } = self.limits;
        let [five_hour, five_hour_resets] = limit(five_hour);
        let [seven_day, seven_day_resets] = limit(seven_day);
        let [share, share_resets] = limit(spend.map(|spend| spend.limit));
        let [spend_used, spend_limit] = spend.and_then(|spend| spend.amounts).unwrap_or([-1, -1]);
        let cache = self.cache.as_ref();
        [
            self.at,
            self.day,
            self.carried,
            known(self.total),
            known(self.context.tokens),
            known(self.context.window),
            known(self.context.used),
            five_hour,
            five_hour_resets,
            seven_day,
            seven_day_resets,
            share,
            share_resets,
            spend_used,
            spend_limit,
            known(cache.map(|cache| cache.requests)),
            known(cache.map(|cache| cache.misses)),
            known(cache.map(|cache| cache.rewritten)),
        ]
    }

    fn of(values: Values, causes: Vec<(String, i64)>) -> Self {
        let known = |number: i64| (number >= 0).then_some(number);
        let limit = |used: i64, resets_at: i64| known(used).map(|used| Limit { used, resets_at });
        let [at, day, carried, total, tokens, window, used, five, five_resets, seven, seven_resets, ..] = values;
        let [.., share, share_resets, spend_used, spend_limit, requests, misses, rewritten] = values;
        let amounts = known(spend_used).zip(known(spend_limit)).map(|(used, limit)| [used, limit]);
        Self {
            at,
            day,
            carried,
            total: known(total),
            context: Context { tokens: known(tokens), window: known(window), used: known(used) },
            limits: Limits {
                five_hour: limit(five, five_resets),
                seven_day: limit(seven, seven_resets),
                spend: limit(share, share_resets).map(|limit| Spend { limit, amounts }),
            },
            cache: known(requests).map(|requests| Cache { hits: None, requests, misses, rewritten, causes }),
        }
    }
}

/// The gauge of a session, by Claude Code's id. A ledger of an older `ccrun` has none.
pub fn gauge(connection: &Connection, session: &str) -> rusqlite::Result<Option<Gauge>> {
    let has_gauges = "SELECT 1 FROM sqlite_schema WHERE name = 'gauge'";
    if !connection.prepare_cached(has_gauges)?.exists([])? {
        return Ok(None);
    }
    let columns = COLUMNS.map(|column| format!("g.{column}")).join(", ");
    let select = format!("SELECT {columns} FROM text t JOIN gauge g ON g.session = t.id WHERE t.text = ?1");
    let read = |row: &rusqlite::Row<'_>| {
        let mut values: Values = [0; COLUMNS.len()];
        for (index, value) in values.iter_mut().enumerate() {
            *value = row.get(index)?;
        }
        Ok(values)
    };
    let Some(values) = connection.prepare_cached(&select)?.query_row([session], read).optional()? else {
        return Ok(None);
    };
    let mut causes = connection.prepare_cached(
        "SELECT c.text, g.count FROM text t JOIN gauge_cause g ON g.session = t.id JOIN text c ON c.id = g.cause
         WHERE t.text = ?1 ORDER BY c.text",
    )?;
    let causes = causes.query_map([session], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Some(Gauge::of(values, causes.collect::<rusqlite::Result<_>>()?)))
}

/// Replaces the gauge of a session. An id that no client gives is ignored.
pub fn keep(connection: &Connection, session: &str, gauge: &Gauge) -> rusqlite::Result<()> {
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if session.is_empty() || session.len() > LONGEST_ID || !session.bytes().all(is_id) {
        return Ok(());
    }
    let session = text(connection, session)?;
    put(connection, session, gauge.values())?;
    connection.prepare_cached("DELETE FROM gauge_cause WHERE session = ?1")?.execute([session])?;
    for (cause, count) in gauge.cache.iter().flat_map(|cache| &cache.causes) {
        put_cause(connection, session, text(connection, cause)?, *count)?;
    }
    Ok(())
}

/// Stores a row of the table.
pub(super) fn put(connection: &Connection, session: i64, values: Values) -> rusqlite::Result<()> {
    let places = vec!["?"; COLUMNS.len()].join(", ");
    let insert = format!("INSERT OR REPLACE INTO gauge (session, {}) VALUES (?, {places})", COLUMNS.join(", "));
    let values = std::iter::once(session).chain(values);
    connection.prepare_cached(&insert)?.execute(params_from_iter(values)).map(drop)
}

/// Stores a number of misses.
pub(super) fn put_cause(connection: &Connection, session: i64, cause: i64, count: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO gauge_cause (session, cause, count) VALUES (?1, ?2, ?3)")?
        .execute((session, cause, count))
        .map(drop)
}

/// The id of a text.
fn text(connection: &Connection, text: &str) -> rusqlite::Result<i64> {
    connection.prepare_cached("INSERT OR IGNORE INTO text (text) VALUES (?1)")?.execute([text])?;
    connection.prepare_cached("SELECT id FROM text WHERE text = ?1")?.query_row([text], |row| row.get(0))
}

/// Removes the gauges before a time, in Unix milliseconds, of the sessions whose contexts are in the table `forgotten`,
/// and of the session with this id.
pub(super) fn forget(connection: &Connection, session: Option<&str>, before: i64) -> rusqlite::Result<()> {
    connection.execute(
        "DELETE FROM gauge WHERE at < ?1 AND session IN (
             SELECT session FROM context WHERE id IN forgotten UNION SELECT id FROM text WHERE text = ?2)",
        (before, session),
    )?;
    clear(connection)
}

/// Removes the gauges before a time, in Unix milliseconds.
pub(super) fn prune(connection: &Connection, before: i64) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM gauge WHERE at < ?1", [before])?;
    clear(connection)
}

fn clear(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM gauge_cause WHERE session NOT IN (SELECT session FROM gauge)", []).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Forget, empty, forget as forget_facts};

    fn reading(cost: i64) -> Reading {
        let limit = |used| Some(Limit { used, resets_at: 1_796_019_749 });
        Reading {
            cost: Some(cost),
            context: Context { tokens: Some(55_031), window: Some(200_000), used: Some(2800) },
            limits: Limits { five_hour: limit(2300), seven_day: None, spend: None },
            cache: Some(Cache {
                hits: Some(9000),
                requests: 3,
                misses: 2,
                rewritten: 4007,
                causes: vec![("model_changed".to_owned(), 1), ("tools_changed".to_owned(), 1)],
            }),
            ..Reading::default()
        }
    }

    #[test]
    fn a_gauge_is_read_as_it_was_kept() {
        let connection = empty().unwrap();
        assert_eq!(gauge(&connection, "s").unwrap(), None);
        let first = Gauge::after(None, &reading(7), 1000, 20_000);
        keep(&connection, "s", &first).unwrap();
        assert_eq!(gauge(&connection, "s").unwrap().as_ref(), Some(&first));
        let amounts = Some([1, 20_000_000_000]);
        let spend = Some(Spend { limit: Limit { used: 0, resets_at: 0 }, amounts });
        let limits = Limits { spend, ..Limits::default() };
        let second = Gauge { at: 2000, limits, cache: None, total: None, ..first.clone() };
        keep(&connection, "s", &second).unwrap();
        assert_eq!(gauge(&connection, "s").unwrap(), Some(second));
        for id in ["", "a b", "\u{1b}", &"x".repeat(129)] {
            keep(&connection, id, &first).unwrap();
            assert_eq!(gauge(&connection, id).unwrap(), None);
        }
    }

    #[test]
    fn only_what_was_spent_on_a_day_is_of_that_day() {
        let started = Gauge::after(None, &reading(0), 0, 1);
        let later = Gauge::after(Some(&started), &reading(70), 10, 1);
        assert_eq!((started.spent(), later.spent()), (0, 70));
        let next_day = Gauge::after(Some(&later), &reading(100), 20, 2);
        assert_eq!((next_day.carried, next_day.spent()), (70, 30));
        let resumed = Gauge::after(None, &reading(500), 0, 1);
        assert_eq!((resumed.spent(), Gauge::after(Some(&resumed), &reading(510), 1, 1).spent()), (0, 10));
        assert_eq!(Gauge::after(Some(&later), &reading(3), 30, 1).spent(), 3);
        assert!(!later.is_as(&started) && later.is_as(&Gauge { at: 11, ..later.clone() }));
        assert_eq!(Gauge::after(Some(&later), &Reading::default(), 30, 1).spent(), 0);
    }

    #[test]
    fn forgetting_a_session_removes_its_gauge() {
        let connection = empty().unwrap();
        for session in ["s", "t"] {
            keep(&connection, session, &Gauge::after(None, &reading(7), 1000, 1)).unwrap();
        }
        forget_facts(&connection, Forget::Session("s"), 1000).unwrap();
        assert!(gauge(&connection, "s").unwrap().is_some());
        forget_facts(&connection, Forget::Session("s"), 1001).unwrap();
        assert!(gauge(&connection, "s").unwrap().is_none() && gauge(&connection, "t").unwrap().is_some());
        let count = |table: &str| -> i64 {
            connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        assert_eq!((count("gauge_cause"), count("text WHERE text = 's'")), (2, 0));
        prune(&connection, 1001).unwrap();
        assert_eq!((count("gauge"), count("gauge_cause")), (0, 0));
    }
}
