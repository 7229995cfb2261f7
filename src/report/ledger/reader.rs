//! Finds the key that groups a row.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rusqlite::Connection;

use super::contexts::{Contexts, index};
use crate::ledger::{KINDS, QUARTER, block};
use crate::report::dimension::{Dimension, Place};

/// A row of the ledger: a sum, or the part that one fact adds to it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scanned {
    pub(super) quarter: i64,
    pub(super) name: i64,
    pub(super) kind: i64,
    /// Zero if it is unknown.
    pub(super) prompt: i64,
    /// Zero if the row is not a request.
    pub(super) status: i64,
}

/// How a row's key is found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reader {
    Time(Dimension),
    /// At this place in a context's values.
    Context(usize),
    Kind(usize),
    Name,
    Server,
    Prompt,
    Status,
}

impl Reader {
    pub(super) fn of(dimension: Dimension, contexts: &Contexts<'_>) -> Self {
        match dimension.place() {
            Place::Time => Self::Time(dimension),
            Place::Context(column) => Self::Context(contexts.place(column)),
            Place::Kind(column) => Self::Kind(index(&KINDS, column)),
            Place::Model | Place::Tool => Self::Name,
            Place::Server => Self::Server,
            Place::Prompt => Self::Prompt,
            Place::Status => Self::Status,
        }
    }

    /// The key. `known` is the key that the context fixes for all of its rows.
    pub(super) fn key(self, row: &Scanned, names: &mut Names, known: i64) -> i64 {
        match self {
            Self::Time(dimension) => names.clock.key(dimension, row.quarter),
            Self::Context(_) => known,
            Self::Kind(column) => names.of_kind(row.kind, column),
            Self::Name => row.name,
            Self::Server => row.kind,
            Self::Prompt => row.prompt,
            Self::Status => row.status,
        }
    }
}

/// The data, besides the row, that keys are made from.
pub(super) struct Names {
    clock: Clock,
    kinds: Vec<[i64; KINDS.len()]>,
}

impl Names {
    pub(super) fn read(connection: &Connection, zone: TimeZone) -> rusqlite::Result<Self> {
        let mut kinds = Vec::new();
        let select = format!("SELECT id, {} FROM kind ORDER BY id", KINDS.join(", "));
        let mut statement = connection.prepare_cached(&select)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut values = [0; KINDS.len()];
            for (index, value) in values.iter_mut().enumerate() {
                *value = row.get(index + 1)?;
            }
            kinds.resize(usize::try_from(row.get::<_, i64>(0)?).unwrap_or_default(), [0; KINDS.len()]);
            kinds.push(values);
        }
        let clock = Clock { zone, first: i64::MIN, civil: [None; QUARTERS] };
        Ok(Self { clock, kinds })
    }

    fn of_kind(&self, kind: i64, column: usize) -> i64 {
        usize::try_from(kind).ok().and_then(|index| self.kinds.get(index)).map_or(0, |values| values[column])
    }
}

#[expect(clippy::cast_possible_truncation, reason = "sixteen")]
const QUARTERS: usize = block::QUARTERS as usize;

/// The hours and days of the quarters of an hour in one block. Rows come in block order.
struct Clock {
    zone: TimeZone,
    first: i64,
    civil: [Option<DateTime>; QUARTERS],
}

impl Clock {
    fn key(&mut self, dimension: Dimension, quarter: i64) -> i64 {
        let place = quarter.rem_euclid(block::QUARTERS);
        if self.first != quarter - place {
            (self.first, self.civil) = (quarter - place, [None; QUARTERS]);
        }
        let zone = &self.zone;
        let civil = self.civil[usize::try_from(place).unwrap_or_default()].get_or_insert_with(|| {
            let at = Timestamp::from_millisecond(quarter.saturating_mul(QUARTER)).unwrap_or_default();
            zone.to_datetime(at)
        });
        let date = civil.date();
        let (year, month, day) = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
        let whole = (year * 100 + month) * 100 + day;
        match dimension {
            Dimension::Hour => whole * 100 + i64::from(civil.hour()),
            Dimension::Week => {
                let week = date.iso_week_date();
                i64::from(week.year()) * 100 + i64::from(week.week())
            }
            Dimension::Month => year * 100 + month,
            Dimension::Weekday => i64::from(date.weekday().to_monday_one_offset()),
            _ => whole,
        }
    }
}
