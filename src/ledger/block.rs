//! How sums are stored: one row has the sums of one context and four hours.
//!
//! A row's id consists of the four-hour slice since 1970 and, in its lower 40 bits, the context, so that a range of
//! time is a range of ids. Its blob has an entry for each prompt, quarter of an hour, name and kind, in that order. An
//! entry consists of these four, a bit for each measure that is not zero, and the amounts of those measures, all as
//! varints (LEB128). A report reads a hundred thousand sums. As separate rows with a column for each measure, they
//! would take ten times as long.

use rusqlite::{Connection, OptionalExtension};

use super::QUARTER;
use super::row::Key;
use crate::usage::{Amounts, MEASURES};

/// How many quarters of an hour a block covers.
pub const QUARTERS: i64 = 16;

/// The number of bits of an id that the context takes.
const BITS: u32 = 40;

/// The latest slice, in the year 2435, when this format will no longer be in use.
const LATEST: i64 = (1 << 20) - 1;

/// The id of the block that holds a context's sums of a quarter of an hour.
pub fn id(quarter: i64, context: i64) -> i64 {
    first_id(quarter) | (context & CONTEXT)
}

/// The bits of an id that the context takes.
pub const CONTEXT: i64 = (1 << BITS) - 1;

/// The lowest id of the blocks that hold a quarter of an hour, or a later one.
pub fn first_id(quarter: i64) -> i64 {
    quarter.div_euclid(QUARTERS).clamp(0, LATEST) << BITS
}

/// An id above those of all blocks that hold a quarter of an hour before this one.
pub fn end_id(quarter: i64) -> i64 {
    first_id(quarter.saturating_sub(1)) + CONTEXT + 1
}

/// The context that a block belongs to.
pub fn context(id: i64) -> i64 {
    id & CONTEXT
}

/// The first quarter of an hour of a block.
pub fn first_quarter(id: i64) -> i64 {
    (id >> BITS) * QUARTERS
}

/// The quarter of an hour of a time in Unix milliseconds.
pub fn quarter(at: i64) -> i64 {
    at.div_euclid(QUARTER).clamp(0, LATEST * QUARTERS)
}

/// The key of an entry in a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The prompt, in sums by prompt; zero for none.
    pub prompt: i64,
    /// The quarter of an hour within the block, one of sixteen.
    pub quarter: i64,
    /// The model or the tool; zero for none.
    pub name: i64,
    /// The purpose of a request; the MCP server of a tool.
    pub kind: i64,
}

impl From<&Key> for Entry {
    fn from(key: &Key) -> Self {
        let Key { quarter, name, kind, prompt, .. } = *key;
        Self { quarter: quarter.rem_euclid(QUARTERS), name, kind, prompt }
    }
}

/// Amounts that are not zero, each after the index of its measure.
pub type Told<'a> = &'a [(usize, i64)];

/// Calls `work` with each entry of a block, in order. Stops at damaged data.
pub fn each(mut blob: &[u8], mut work: impl FnMut(Entry, Told<'_>)) {
    let mut told = [(0, 0); MEASURES];
    while let Some((entry, count)) = next(&mut blob, &mut told) {
        work(entry, &told[..count]);
    }
}

fn next(blob: &mut &[u8], told: &mut [(usize, i64); MEASURES]) -> Option<(Entry, usize)> {
    let mut take = || number(blob);
    let entry = Entry { prompt: take()?, quarter: take()?, name: take()?, kind: take()? };
    let mut bits = take()?;
    let mut count = 0;
    while bits != 0 {
        let index = bits.trailing_zeros() as usize;
        *told.get_mut(count).filter(|_| index < MEASURES)? = (index, take()?);
        count += 1;
        bits &= bits - 1;
    }
    Some((entry, count))
}

/// The amounts of a sum in the ledger.
pub(super) fn of(connection: &Connection, key: &Key) -> rusqlite::Result<Amounts> {
    let select = format!("SELECT amounts FROM {} WHERE id = ?1", key.family.table());
    let mut find = connection.prepare_cached(&select)?;
    let blob: Option<Vec<u8>> = find.query_row([id(key.quarter, key.context)], |row| row.get(0)).optional()?;
    let (wanted, mut amounts) = (Entry::from(key), [0; MEASURES]);
    each(&blob.unwrap_or_default(), |entry, told| {
        if entry == wanted {
            for (index, amount) in told {
                amounts[*index] = *amount;
            }
        }
    });
    Ok(amounts)
}

/// Adds entries, in order, to those of a block.
pub(super) fn merge(blob: &[u8], added: &[(Entry, &Amounts)]) -> Vec<u8> {
    let mut merged = Vec::with_capacity(blob.len() + 40 * added.len());
    let mut added = added.iter().peekable();
    let mut sum = [0; MEASURES];
    each(blob, |entry, told| {
        while let Some((new, amounts)) = added.next_if(|(new, _)| *new < entry) {
            put(&mut merged, *new, amounts);
        }
        sum.fill(0);
        for (index, amount) in told {
            sum[*index] = *amount;
        }
        if let Some((_, amounts)) = added.next_if(|(new, _)| *new == entry) {
            add(&mut sum, amounts);
        }
        // Subtractions may have left nothing.
        if sum.iter().any(|amount| *amount != 0) {
            put(&mut merged, entry, &sum);
        }
    });
    for (new, amounts) in added {
        put(&mut merged, *new, amounts);
    }
    merged
}

/// Adds amounts to others.
pub(super) fn add(sum: &mut Amounts, amounts: &Amounts) {
    for (sum, amount) in sum.iter_mut().zip(amounts) {
        *sum = sum.saturating_add(*amount);
    }
}

/// Keeps the entries of a block that `keeps` selects, and returns the number of removed ones.
pub(super) fn retain(blob: &[u8], mut keeps: impl FnMut(&Entry) -> bool) -> (Vec<u8>, usize) {
    let (mut kept, mut removed) = (Vec::new(), 0);
    each(blob, |entry, told| {
        if !keeps(&entry) {
            removed += 1;
            return;
        }
        let mut amounts = [0; MEASURES];
        for (index, amount) in told {
            amounts[*index] = *amount;
        }
        put(&mut kept, entry, &amounts);
    });
    (kept, removed)
}

/// Appends an entry.
pub(super) fn put(blob: &mut Vec<u8>, entry: Entry, amounts: &Amounts) {
    for number in [entry.prompt, entry.quarter, entry.name, entry.kind] {
        put_number(blob, number);
    }
    let told = || amounts.iter().enumerate().filter(|(_, amount)| **amount != 0);
    put_number(blob, told().fold(0, |bits, (index, _)| bits | 1 << index));
    told().for_each(|(_, amount)| put_number(blob, *amount));
}

pub(super) fn put_number(blob: &mut Vec<u8>, number: i64) {
    let mut rest = number.cast_unsigned();
    while rest >= 0x80 {
        blob.push(0x80 | rest.to_le_bytes()[0]);
        rest >>= 7;
    }
    blob.push(rest.to_le_bytes()[0]);
}

/// Takes a number from the front; `None` at the end, or if the bytes are not a number.
#[inline]
pub(super) fn number(blob: &mut &[u8]) -> Option<i64> {
    let (first, mut rest) = blob.split_first()?;
    let mut number = u64::from(first & 0x7f);
    let mut last = *first;
    let mut shift = 7;
    while last >= 0x80 {
        let byte;
        (byte, rest) = rest.split_first()?;
        last = *byte;
        number |= u64::from(last & 0x7f).checked_shl(shift)?;
        shift += 7;
    }
    *blob = rest;
    Some(number.cast_signed())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn amounts(some: &[(usize, i64)]) -> Amounts {
        let mut amounts = [0; MEASURES];
        for (index, amount) in some {
            amounts[*index] = *amount;
        }
        amounts
    }

    fn read(blob: &[u8]) -> Vec<(Entry, Vec<(usize, i64)>)> {
        let mut all = Vec::new();
        each(blob, |entry, told| all.push((entry, told.to_vec())));
        all
    }

    #[test]
    fn an_id_consists_of_a_time_slice_and_a_context() {
        let id = id(16 * 7 + 3, 5);
        assert_eq!((context(id), first_quarter(id)), (5, 16 * 7));
        assert!(first_id(16 * 7) <= id && id < first_id(16 * 8));
        for absurd in [i64::MIN, -1, i64::MAX] {
            assert!(super::id(absurd, 1) > 0 && quarter(absurd) >= 0);
        }
    }

    proptest! {
        /// Blocks merge to the sum of their entries, regardless of how these are divided.
        #[test]
        fn entries_add_up(parts in proptest::collection::vec(
            proptest::collection::btree_map((0..4_i64, 0..3_i64), (0..MEASURES, 0..=i64::MAX), 0..8), 0..5)
        ) {
            let mut expected = std::collections::BTreeMap::<Entry, Amounts>::new();
            let mut blob = Vec::new();
            for part in &parts {
                let entries: Vec<_> = part
                    .iter()
                    .map(|((quarter, name), told)| (Entry { quarter: *quarter, name: *name, ..Entry::default() }, amounts(&[*told])))
                    .collect();
                for (entry, amounts) in &entries {
                    add(expected.entry(*entry).or_insert([0; MEASURES]), amounts);
                }
                blob = merge(&blob, &entries.iter().map(|(entry, amounts)| (*entry, amounts)).collect::<Vec<_>>());
            }
            let told = |amounts: &Amounts| {
                amounts.iter().copied().enumerate().filter(|(_, amount)| *amount != 0).collect::<Vec<_>>()
            };
            let expected: Vec<_> = expected.iter().map(|(entry, amounts)| (*entry, told(amounts))).collect();
            prop_assert_eq!(read(&blob), expected);
        }

        /// Reading arbitrary bytes does not panic.
        #[test]
        fn arbitrary_bytes_can_be_read(blob in proptest::collection::vec(any::<u8>(), 0..60)) {
            read(&blob);
        }
    }
}
