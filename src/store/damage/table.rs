//! Reads one table of a damaged database: from both ends to the break, then the part between.

use std::collections::VecDeque;

use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, ErrorCode, Params, Row, params_from_iter};

use super::carry::Carried;

/// How many reads beyond the breaks of a table are tried.
const LOOKS: usize = 2_000;

/// A table as the new database has it.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    columns: Vec<Column>,
    /// The integer columns that identify its rows, in order.
    keys: Vec<String>,
    /// The order of its rows.
    order: Vec<String>,
    is_rowid: bool,
}

#[derive(Debug)]
struct Column {
    name: String,
    kind: Option<Type>,
    is_nullable: bool,
}

/// Rows with the same first keys, whose next key lies between two numbers.
#[derive(Clone, Debug)]
struct Range {
    prefix: Vec<i64>,
    low: i64,
    high: i64,
}

impl Table {
    /// All tables of a database.
    pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Self>> {
        let mut statement = connection.prepare(
            "SELECT name, sql LIKE '%WITHOUT ROWID%' FROM sqlite_schema
             WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid",
        )?;
        let found = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))?;
        let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
        found.into_iter().map(|(name, is_without)| Self::of(connection, name, !is_without)).collect()
    }

    fn of(connection: &Connection, name: String, is_rowid: bool) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare("SELECT name, type, \"notnull\", pk FROM pragma_table_info(?1)")?;
        let mut rows = statement.query([&name])?;
        let (mut columns, mut primary) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next()? {
            let (column, kind): (String, String) = (row.get(0)?, row.get(1)?);
            let place: i64 = row.get(3)?;
            let kind = match &*kind {
                "INTEGER" => Some(Type::Integer),
                "TEXT" => Some(Type::Text),
                "BLOB" => Some(Type::Blob),
                "REAL" => Some(Type::Real),
                _ => None,
            };
            if place > 0 {
                primary.push((place, column.clone(), kind == Some(Type::Integer)));
            }
            let is_nullable = row.get::<_, i64>(2)? == 0 && place == 0;
            columns.push(Column { name: column, kind, is_nullable });
        }
        primary.sort();
        let (keys, order) = if is_rowid {
            (vec!["rowid".to_owned()], vec!["rowid".to_owned()])
        } else {
            let keys = primary.iter().take_while(|(_, _, is_whole)| *is_whole).map(|(_, name, _)| name.clone());
            (keys.collect(), primary.iter().map(|(_, name, _)| name.clone()).collect())
        };
        Ok(Self { name, columns, keys, order, is_rowid })
    }

    /// Copies the readable rows, up to this many.
    pub(super) fn copy(&self, source: &Connection, into: &Connection, most: u64) -> rusqlite::Result<Carried> {
        let names: Vec<_> = self.columns.iter().map(|column| &*column.name).collect();
        let (names, places) = (names.join(", "), vec!["?"; names.len()].join(", "));
        let insert = format!("INSERT OR IGNORE INTO {} ({names}) VALUES ({places})", self.name);
        let mut copying = Copying { table: self, source, into, insert, left: most, carried: Carried::default() };
        copying.carried.is_whole = true;
        copying.all()?;
        Ok(copying.carried)
    }

    fn select(&self, condition: &str, is_descending: bool) -> String {
        let direction = if is_descending { " DESC" } else { "" };
        let order: Vec<_> = self.order.iter().map(|name| format!("{name}{direction}")).collect();
        let columns: Vec<_> =
            self.keys.iter().map(|key| &**key).chain(self.columns.iter().map(|column| &*column.name)).collect();
        // An index may be as damaged as the table.
        let not_indexed = if self.is_rowid { "NOT INDEXED" } else { "" };
        let (columns, order) = (columns.join(", "), order.join(", "));
        format!("SELECT {columns} FROM {} {not_indexed} {condition} ORDER BY {order}", self.name)
    }
}

struct Copying<'a> {
    table: &'a Table,
    source: &'a Connection,
    into: &'a Connection,
    insert: String,
    /// How many more rows there can be.
    left: u64,
    carried: Carried,
}

/// The result of a scan.
struct Scanned {
    /// The key of the last row read.
    last: Option<i64>,
    /// Whether the scan reached the end.
    is_whole: bool,
}

impl Copying<'_> {
    fn all(&mut self) -> rusqlite::Result<()> {
        if self.table.keys.is_empty() {
            for is_descending in [false, true] {
                if self.scan("", [], None, is_descending)?.is_whole {
                    return Ok(());
                }
            }
            self.carried.is_whole = false;
            return Ok(());
        }
        // The widest gaps first: a readable part may begin anywhere in them.
        let mut ranges = VecDeque::from([Range { prefix: Vec::new(), low: i64::MIN, high: i64::MAX }]);
        for _ in 0..LOOKS {
            let Some(range) = ranges.pop_front() else { return Ok(()) };
            self.range(&range, &mut ranges)?;
        }
        Ok(())
    }

    /// Reads a range from both ends, and queues the part between the two breaks.
    fn range(&mut self, range: &Range, ranges: &mut VecDeque<Range>) -> rusqlite::Result<()> {
        let up = self.within(range, false)?;
        if up.is_whole {
            return Ok(());
        }
        self.carried.is_whole = false;
        let low = up.last.unwrap_or(range.low);
        let down = self.within(&Range { low, ..range.clone() }, true)?;
        if down.is_whole {
            return Ok(());
        }
        let high = down.last.unwrap_or(range.high);
        let has_next = range.prefix.len() + 1 < self.table.keys.len();
        let one = |key: i64| Range { prefix: [&range.prefix[..], &[key]].concat(), low: i64::MIN, high: i64::MAX };
        if has_next && up.last.is_some() {
            ranges.push_back(one(low));
        }
        if has_next && down.last.is_some() && high > low {
            ranges.push_back(one(high));
        }
        let (first, last) =
            (low.saturating_add(i64::from(up.last.is_some())), high.saturating_sub(i64::from(down.last.is_some())));
        if first > last {
            return Ok(());
        }
        if first == last {
            if has_next {
                ranges.push_back(one(first));
            }
            return Ok(());
        }
        let middle = first.midpoint(last);
        ranges.push_back(Range { low: first, high: middle, ..range.clone() });
        ranges.push_back(Range { low: middle + 1, high: last, ..range.clone() });
        Ok(())
    }

    fn within(&mut self, range: &Range, is_descending: bool) -> rusqlite::Result<Scanned> {
        let keys = &self.table.keys;
        let fixed = range.prefix.iter().enumerate().map(|(at, _)| format!("{} = ?{} AND", keys[at], at + 3));
        let fixed = fixed.collect::<Vec<_>>().join(" ");
        let condition = format!("WHERE {fixed} {} BETWEEN ?1 AND ?2", keys[range.prefix.len()]);
        let parameters: Vec<_> = [range.low, range.high].into_iter().chain(range.prefix.iter().copied()).collect();
        self.scan(&condition, params_from_iter(parameters), Some(range.prefix.len()), is_descending)
    }

    /// Copies rows in order until there are no more, or until they cannot be read. `key` is the index of the number
    /// that orders them.
    fn scan(
        &mut self,
        condition: &str,
        parameters: impl Params,
        key: Option<usize>,
        is_descending: bool,
    ) -> rusqlite::Result<Scanned> {
        let mut scanned = Scanned { last: None, is_whole: false };
        let Ok(mut statement) = self.source.prepare_cached(&self.table.select(condition, is_descending)) else {
            return Ok(scanned);
        };
        let Ok(mut rows) = statement.query(parameters) else { return Ok(scanned) };
        loop {
            let row = match rows.next() {
                Ok(Some(row)) if self.left > 0 => row,
                Ok(None) => {
                    scanned.is_whole = true;
                    return Ok(scanned);
                }
                _ => return Ok(scanned),
            };
            self.left -= 1;
            if let Some(key) = key {
                let Ok(found) = row.get::<_, i64>(key) else { return Ok(scanned) };
                // If a page leads back to an earlier one, the scan would never end.
                let is_in_order = |last: i64| if is_descending { found <= last } else { found >= last };
                if !scanned.last.is_none_or(is_in_order) {
                    return Ok(scanned);
                }
                scanned.last = Some(found);
            }
            self.put(row)?;
        }
    }

    /// Copies a row, unless it cannot belong to the table.
    fn put(&mut self, row: &Row<'_>) -> rusqlite::Result<()> {
        let mut values = Vec::with_capacity(self.table.columns.len());
        for (at, column) in self.table.columns.iter().enumerate() {
            match row.get_ref(self.table.keys.len() + at) {
                Ok(value) if column.takes(value) => values.push(rusqlite::types::ToSqlOutput::Borrowed(value)),
                _ => {
                    self.carried.is_whole = false;
                    return Ok(());
                }
            }
        }
        match self.into.prepare_cached(&self.insert)?.execute(params_from_iter(values)) {
            Ok(new) => self.carried.rows += new as u64,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                self.carried.is_whole = false;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Column {
    fn takes(&self, value: ValueRef<'_>) -> bool {
        match value {
            ValueRef::Null => self.is_nullable,
            ValueRef::Text(text) if std::str::from_utf8(text).is_err() => false,
            value => self.kind.is_none_or(|kind| kind == value.data_type()),
        }
    }
}
