//! Counts and halves requests in their wire form, so that nothing is lost. A backend that accepts only smaller requests
//! gets more of them.
//!
//! A request is a tree: resources hold scopes, scopes hold log records, spans or metrics, and metrics hold data points.

use super::schema::every::{DATA, POINTS, RECORD, RESOURCE_ITEM, SCOPE_ITEM};
use super::signal::Signal;
use super::wire::{Field, Malformed, fields, put_message};

/// Two requests that replace one.
pub type Halves = (Vec<u8>, Vec<u8>);

/// One level of the tree: the fields of a message that contain the level below.
struct Level {
    numbers: &'static [u32],
    /// Whether the field is a list whose messages may be separated. `Metric.data` is a `oneof` instead.
    is_list: bool,
}

const fn list(numbers: &'static [u32]) -> Level {
    Level { numbers, is_list: true }
}

/// From a request down to the data points of its metrics.
const LEVELS: [Level; 5] = [
    list(&[RESOURCE_ITEM]),
    list(&[SCOPE_ITEM]),
    list(&[RECORD]),
    Level { numbers: &DATA, is_list: false },
    list(&[POINTS]),
];

/// Log records and spans have nothing below them.
fn levels(signal: Signal) -> &'static [Level] {
    match signal {
        Signal::Metrics => &LEVELS,
        Signal::Logs | Signal::Traces => &LEVELS[..3],
    }
}

impl Level {
    fn holds(&self, field: &Field<'_>) -> bool {
        self.numbers.contains(&field.number)
    }
}

/// How many log records, spans or data points an `Export…ServiceRequest` in protobuf holds.
pub fn count(signal: Signal, request: &[u8]) -> Result<u64, Malformed> {
    count_below(request, levels(signal))
}

/// How many of them a `ResourceX` holds.
pub(super) fn count_in_resource(signal: Signal, item: &[u8]) -> Result<u64, Malformed> {
    count_below(item, &levels(signal)[1..])
}

fn count_below(message: &[u8], levels: &[Level]) -> Result<u64, Malformed> {
    let Some((level, below)) = levels.split_first() else { return Ok(1) };
    let mut found = 0;
    for field in fields(message) {
        let field = field?;
        if level.holds(&field) {
            found += count_below(field.bytes()?, below)?;
        }
    }
    Ok(found)
}

/// Splits an `Export…ServiceRequest` in protobuf into two that together contain exactly its records. It splits between
/// two resources, or else between two scopes, or else between two records, or else between two data points of one
/// metric. The position is chosen so that the halves are as equal in size as possible. `None` if the request has at
/// most one record.
///
/// Both halves contain the description of the records (resource, scope, schema, a metric's name, unknown fields).
pub fn halve(signal: Signal, request: &[u8]) -> Result<Option<Halves>, Malformed> {
    halve_below(request, levels(signal))
}

fn halve_below(message: &[u8], levels: &[Level]) -> Result<Option<Halves>, Malformed> {
    let Some((level, below)) = levels.split_first() else { return Ok(None) };
    let mut children = Vec::new();
    for field in fields(message) {
        let field = field?;
        if level.holds(&field) {
            children.push(field.raw.len());
        }
    }
    match children.len() {
        0 => Ok(None),
        1 => halve_child(message, level, below),
        _ if level.is_list => between_children(message, level, middle(&children)).map(Some),
        // A `oneof` in several pieces, which a reader would merge. No encoder writes that.
        _ => Ok(None),
    }
}

/// Halves the only child. Each half gets all other fields.
fn halve_child(message: &[u8], level: &Level, below: &[Level]) -> Result<Option<Halves>, Malformed> {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for field in fields(message) {
        let field = field?;
        if level.holds(&field) {
            let Some((left, right)) = halve_below(field.bytes()?, below)? else { return Ok(None) };
            put_message(&mut first, field.number, &left);
            put_message(&mut second, field.number, &right);
        } else {
            first.extend_from_slice(field.raw);
            second.extend_from_slice(field.raw);
        }
    }
    Ok(Some((first, second)))
}

/// The first `few` children go into the first half, the others into the second.
fn between_children(message: &[u8], level: &Level, few: usize) -> Result<Halves, Malformed> {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let mut passed = 0;
    for field in fields(message) {
        let field = field?;
        if !level.holds(&field) {
            first.extend_from_slice(field.raw);
            second.extend_from_slice(field.raw);
        } else if passed < few {
            passed += 1;
            first.extend_from_slice(field.raw);
        } else {
            second.extend_from_slice(field.raw);
        }
    }
    Ok((first, second))
}

/// How many of at least two sizes make up the first half: at least one, but not all.
fn middle(sizes: &[usize]) -> usize {
    let half = sizes.iter().sum::<usize>() / 2;
    let mut sum = 0;
    let few = sizes.iter().take_while(|size| {
        sum += *size;
        sum <= half
    });
    few.count().clamp(1, sizes.len() - 1)
}

#[cfg(test)]
mod tests;
