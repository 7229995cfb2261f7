//! Counts and halves requests in their wire form, so that nothing of them is lost: a backend that takes only smaller
//! requests is given more of them.
//!
//! A request is a tree: resources hold scopes, scopes hold log records, spans or metrics, and metrics hold data points
//! (opentelemetry-proto, `logs.proto`, `trace.proto`, `metrics.proto`).

use super::signal::Signal;
use super::wire::{Field, Malformed, fields, put_message};

/// Two requests that take the place of one.
pub type Halves = (Vec<u8>, Vec<u8>);

/// One step down the tree: the fields of a message that hold what is below it.
struct Level {
    numbers: &'static [u32],
    /// Whether the field is a list, so that its messages may be told apart. `Metric.data` is a `oneof` instead.
    is_list: bool,
}

const fn list(number: &'static [u32]) -> Level {
    Level { numbers: number, is_list: true }
}

/// `resource_x` of a request, `scope_x` of that, `log_records` or `spans` of that.
const RECORDS: [Level; 3] = [list(&[1]), list(&[2]), list(&[2])];

/// The same down to `metrics`, then the metric's `gauge`, `sum`, `histogram`, `exponential_histogram` or `summary`, and
/// the `data_points` of that.
const POINTS: [Level; 5] =
    [list(&[1]), list(&[2]), list(&[2]), Level { numbers: &[5, 7, 9, 10, 11], is_list: false }, list(&[1])];

fn levels(signal: Signal) -> &'static [Level] {
    match signal {
        Signal::Metrics => &POINTS,
        Signal::Logs | Signal::Traces => &RECORDS,
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

/// Parts an `Export…ServiceRequest` in protobuf in two that together hold exactly its records: between two resources,
/// else between two scopes, else between two records, else between two data points of one metric; and there where the
/// parts come closest to being equally large. `None` if it holds a single record, or none.
///
/// What describes the records (resource, scope, schema, a metric's name, fields that nobody here knows) is in both.
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
        // A `oneof` in several pieces, which a reader merges: no encoder writes that.
        _ => Ok(None),
    }
}

/// The only child is halved, and each half gets all that stands beside it.
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

/// How many of at least two sizes make up the first half: at least one, and never all.
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
