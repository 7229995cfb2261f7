//! Reads another machine's export into the ledger.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::{FORMAT, MergeError, VERSION};
use crate::claude::transcript::Lines;
use crate::ledger::LEDGER;
use crate::store::write_soon;

mod apply;

use apply::Applying;

/// The maximum ratio of decompressed to compressed size; the ratio of an export is about ten.
const LARGER: u64 = 100;

/// The decompressed size that is always allowed, in bytes.
const AT_LEAST: u64 = 1 << 20;

/// How many lines are applied at once.
const LINES: usize = 2000;

/// How long to wait for other writers of the ledger.
const PATIENCE: Duration = Duration::from_secs(30);

/// The result of a merge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// The machine that wrote the file, by its random id.
    pub machine: String,
    /// New facts.
    pub facts: u64,
    /// Facts that now belong to another machine.
    pub moved: u64,
    /// Facts that were removed because that machine has forgotten them.
    pub forgotten: u64,
    /// Lines that make no sense.
    pub skipped: u64,
}

/// Merges a file into the ledger at `ledger`. The file is first read to its end: a damaged or truncated file changes
/// nothing.
pub fn merge(ledger: &Path, file: &mut File) -> Result<Merged, MergeError> {
    let mut head = None;
    let mut lines = 0_u64;
    let mut end = None;
    each(file, |line| {
        let value: Value = serde_json::from_slice(line).map_err(|_| MergeError::Damaged)?;
        if end.is_some() {
            return Err(MergeError::Damaged);
        }
        if let Some(count) = value.get("end").and_then(Value::as_u64) {
            end = Some(count);
            return Ok(());
        }
        if lines == 0 {
            head = Some(checked(value)?);
        }
        lines += 1;
        Ok(())
    })?;
    let (Some(head), true) = (head, end == Some(lines)) else { return Err(MergeError::Damaged) };
    let mut applying = Applying::new(&head).ok_or(MergeError::Damaged)?;
    let mut batch: Vec<Value> = Vec::new();
    let write = |applying: &mut Applying, batch: &mut Vec<Value>, is_last: bool| {
        let done = write_soon(ledger, LEDGER, PATIENCE, |connection| {
            applying.apply(connection, batch)?;
            if is_last {
                applying.finish(connection)?;
            }
            Ok(Some(()))
        })?;
        batch.clear();
        done.ok_or(MergeError::Busy)
    };
    each(file, |line| {
        let value: Value = serde_json::from_slice(line).map_err(|_| MergeError::Damaged)?;
        batch.push(value);
        if batch.len() < LINES { Ok(()) } else { write(&mut applying, &mut batch, false) }
    })?;
    write(&mut applying, &mut batch, true)?;
    Ok(applying.merged)
}

/// The first line, if its version is supported.
fn checked(head: Value) -> Result<Value, MergeError> {
    if head["format"] != FORMAT {
        return Err(MergeError::Damaged);
    }
    match head["version"].as_i64() {
        Some(VERSION) => Ok(head),
        Some(version) if version > VERSION => Err(MergeError::Newer(version)),
        _ => Err(MergeError::Damaged),
    }
}

/// Calls `work` with each line, from the start.
fn each(file: &mut File, mut work: impl FnMut(&[u8]) -> Result<(), MergeError>) -> Result<(), MergeError> {
    file.rewind()?;
    let limit = file.metadata()?.len().saturating_mul(LARGER).max(AT_LEAST);
    let unpacked = MultiGzDecoder::new(BufReader::new(file)).take(limit + 1);
    let mut lines = Lines::new(unpacked, Vec::new());
    loop {
        let line = match lines.next() {
            Ok(line) => line,
            // The decoder reports invalid data with these kinds.
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::InvalidInput
                        | std::io::ErrorKind::InvalidData
                        | std::io::ErrorKind::UnexpectedEof
                ) =>
            {
                return Err(MergeError::Damaged);
            }
            Err(error) => return Err(error.into()),
        };
        let Some(line) = line else { break };
        work(line)?;
        if lines.bytes > limit {
            return Err(MergeError::Endless);
        }
    }
    match (lines.bytes > limit, lines.too_long) {
        (true, _) => Err(MergeError::Endless),
        (false, 0) => Ok(()),
        _ => Err(MergeError::Damaged),
    }
}
